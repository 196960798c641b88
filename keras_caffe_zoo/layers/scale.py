"""Factors and offsets along chosen axes: Caffe's Scale and Bias."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import caffe_shape, keras_axis
from keras_caffe_zoo.layers._blobs import caffe_order, is_list, known_axis


class _AlongAxes(keras.layers.Layer):
    """What Scale and Bias share: parameters that span some axes of a blob."""

    def __init__(self, axis=1, num_axes=1, **kwargs) -> None:
        super().__init__(**kwargs)
        self.axis = int(axis)
        self.num_axes = int(num_axes)

    def _span(self, shape, count):
        """Return the blob's axes, in Caffe's count, that parameters span."""
        rank = len(shape)
        if count == 0:
            return ()
        first = known_axis(self.axis, rank, self.name)
        last = rank if count == -1 else first + count
        if count < -1 or last > rank:
            raise ValueError(
                f"Expected `num_axes` of a blob with {rank} axes from axis {first} "
                f"on, or -1 for the rest; received: num_axes={count}."
            )
        return tuple(range(first, last))

    def _param_shape(self, input_shape):
        """Return the parameters' shape, checked against a second input's."""
        blob = caffe_shape(input_shape[0] if is_list(input_shape) else input_shape)
        if not is_list(input_shape):
            shape = tuple(blob[i] for i in self._span(blob, self.num_axes))
            if None in shape:
                raise ValueError(
                    f"Expected known sizes of the axes that layer '{self.name}' has "
                    f"parameters for; received shape: {blob}."
                )
            return shape
        second = caffe_shape(input_shape[1])
        spanned = [blob[i] for i in self._span(blob, len(second))]
        if any(None not in p and p[0] != p[1] for p in zip(spanned, second, strict=1)):
            raise ValueError(
                f"Expected a second input of the shape {tuple(spanned)} for layer "
                f"'{self.name}'; received: {second}."
            )
        return second

    def _broadcast(self, values, inputs):
        """Return `values`, in Caffe's order of axes, shaped to meet `inputs`."""
        rank = len(inputs.shape)
        axes = [
            keras_axis(axis, rank)
            for axis in self._span(inputs.shape, len(values.shape))
        ]
        order = sorted(range(len(axes)), key=axes.__getitem__)
        if order != list(range(len(axes))):
            values = ops.transpose(values, order)
        for axis in range(rank):
            if axis not in axes:
                values = ops.expand_dims(values, axis)
        return values

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0] if is_list(input_shape) else input_shape)

    def get_config(self):
        own = {"axis": self.axis, "num_axes": self.num_axes}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeScale(_AlongAxes):
    """Multiply by factors along some axes, Caffe's `Scale` layer.

    The factors are learned, or a second input.

    Args:
        axis: First axis of the factors, counted as Caffe does: 1 is the channels,
            also of a 4-D tensor, which is channels last here.
        num_axes: How many axes the factors span; -1 for all that follow, 0 for one
            factor. A second input has as many as it has.
        use_bias: Add learned offsets of the same shape after (`bias_term`).
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If the input has no such axes, or the second does not fit.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeScale
        >>> x, factors = np.ones((1, 1, 1, 2)), np.array([[2.0, 3.0]])
        >>> np.asarray(CaffeScale(axis=0)([x, factors])).ravel().tolist()
        [2.0, 3.0]
        >>> layer = CaffeScale(use_bias=True)
        >>> layer.build((None, None, None, 2))
        >>> [tuple(weight.shape) for weight in layer.weights]  # for each channel one
        [(2,), (2,)]
    """

    def __init__(self, axis=1, num_axes=1, use_bias=False, **kwargs) -> None:
        super().__init__(axis, num_axes, **kwargs)
        self.use_bias = bool(use_bias)

    def build(self, input_shape):
        shape = self._param_shape(input_shape)
        self.scale = self.bias = None
        if not is_list(input_shape):
            self.scale = self.add_weight(shape, "ones", name="scale")
        if self.use_bias:
            self.bias = self.add_weight(shape, "zeros", name="bias")
        self.built = True

    def call(self, inputs):
        if isinstance(inputs, (list, tuple)):
            inputs, scale = inputs[0], caffe_order(inputs[1])
        else:
            scale = ops.convert_to_tensor(self.scale)
        outputs = inputs * self._broadcast(scale, inputs)
        if self.bias is None:
            return outputs
        bias = ops.convert_to_tensor(self.bias)
        return outputs + self._broadcast(bias, inputs)

    def get_config(self):
        return {**super().get_config(), "use_bias": self.use_bias}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeBias(_AlongAxes):
    """Add offsets along some axes, Caffe's `Bias` layer.

    The offsets are learned, or a second input. Arguments as of `CaffeScale`.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeBias
        >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> np.asarray(CaffeBias()([x, np.array([10.0, 20.0])])).tolist()
        [[11.0, 22.0], [13.0, 24.0]]
    """

    def build(self, input_shape):
        shape = self._param_shape(input_shape)
        self.bias = None
        if not is_list(input_shape):
            self.bias = self.add_weight(shape, "zeros", name="bias")
        self.built = True

    def call(self, inputs):
        if isinstance(inputs, (list, tuple)):
            inputs, bias = inputs[0], caffe_order(inputs[1])
        else:
            bias = ops.convert_to_tensor(self.bias)
        return inputs + self._broadcast(bias, inputs)
