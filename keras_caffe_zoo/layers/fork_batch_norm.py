"""Batch normalization with factor and offset in one layer, as forks have it."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import keras_axis


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffePSPNetBN(keras.layers.BatchNormalization):
    """Batch normalization as `BN` of PSPNet computes it.

    `(x - mean) / sqrt(variance + epsilon) * slope + bias`. In training, the kept mean
    and (biased) variance move towards the batch's. Its weights are those four.

    Args:
        momentum: What is kept of mean and variance at each step.
        epsilon: Added to the variance.
        frozen: Whether training neither looks at the batch nor learns anything.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Any of two axes or more; the channels are the last of four, else the second.

    Reference:
        `BN` of PSPNet's Caffe, first of yjxiong's.

    Example:
        >>> from keras_caffe_zoo.layers import CaffePSPNetBN
        >>> layer = CaffePSPNetBN(epsilon=0)
        >>> layer.build((None, 1))
        >>> [weight.name for weight in layer.weights]
        ['gamma', 'beta', 'moving_mean', 'moving_variance']
        >>> layer.set_weights([np.array([x]) for x in (10.0, 1.0, 2.0, 4.0)])
        >>> np.asarray(layer(np.array([[6.0]]))).tolist()  # (6 - 2) / 2 * 10 + 1
        [[21.0]]
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, frozen=False, **kwargs) -> None:
        kwargs.setdefault("trainable", not frozen)
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        self.frozen = bool(frozen)

    def build(self, input_shape):
        self.axis = keras_axis(1, len(input_shape))
        super().build(input_shape)

    def get_config(self):
        config = super().get_config()
        names = ("name", "trainable", "dtype", "momentum", "epsilon")
        return {**{name: config[name] for name in names}, "frozen": self.frozen}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeSegNetBN(keras.layers.Layer):
    """Batch normalization as `BN` of SegNet computes it.

    `inference`: `x * scale + shift`; the statistics are already in these. `learn`:
    `(x - mean) / sqrt(variance + 1e-9) * scale + shift` with the batch's own
    statistics, in training and ever after: SegNet keeps none.

    Args:
        bn_mode: `"learn"` or `"inference"`.
        statistics: How many of the batch's mean and variance are outputs, too: 0, 1
            or 2. `inference` has none.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Any of two axes or more; the channels are the last of four, else the second.

    Output shape:
        The input's; with statistics a list: then also `(1, 1, 1, C)` for each.

    Raises:
        ValueError: If the arguments are not as above.

    Reference:
        `BN` of SegNet's Caffe, ENet's too.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeSegNetBN
        >>> x = np.array([[1.0], [5.0]])
        >>> np.asarray(CaffeSegNetBN()(x)).round(4).tolist()  # when predicting, too
        [[-1.0], [1.0]]
        >>> np.asarray(CaffeSegNetBN("inference")(x)).tolist()  # scale 1, shift 0
        [[1.0], [5.0]]
    """

    def __init__(self, bn_mode="learn", statistics=0, **kwargs) -> None:
        super().__init__(**kwargs)
        if bn_mode not in ("learn", "inference"):
            raise ValueError(
                "Expected `bn_mode` to be 'learn' or 'inference'; received: "
                f"bn_mode={bn_mode!r}."
            )
        self.bn_mode, self.statistics = bn_mode, int(statistics)
        if self.statistics not in (range(3) if bn_mode == "learn" else (0,)):
            raise ValueError(
                "Expected `statistics` of 0 to 2 with bn_mode='learn', else 0; "
                f"received: bn_mode={bn_mode!r}, statistics={statistics!r}."
            )

    def build(self, input_shape):
        channels = input_shape[keras_axis(1, len(input_shape))]
        options = {"autocast": False}
        self.scale = self.add_weight((channels,), "ones", name="scale", **options)
        self.shift = self.add_weight((channels,), "zeros", name="shift", **options)
        self.built = True

    def call(self, inputs):
        rank = len(inputs.shape)
        axis = keras_axis(1, rank)
        shape = [-1 if i == axis else 1 for i in range(rank)]
        scale = ops.reshape(ops.convert_to_tensor(self.scale), shape)
        shift = ops.reshape(ops.convert_to_tensor(self.shift), shape)
        wide = ops.cast(inputs, self.variable_dtype)
        if self.bn_mode == "inference":
            return ops.cast(wide * scale + shift, inputs.dtype)
        others = [i for i in range(rank) if i != axis]
        mean = ops.mean(wide, others, keepdims=True)
        variance = ops.mean(ops.square(wide - mean), others, keepdims=True)
        outputs = (wide - mean) * ops.rsqrt(variance + 1e-9)
        outputs = ops.cast(outputs * scale + shift, inputs.dtype)
        if not self.statistics:
            return outputs
        found = (mean, variance)[: self.statistics]
        found = (ops.reshape(ops.cast(x, inputs.dtype), (1, 1, 1, -1)) for x in found)
        return [outputs, *found]

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        if not self.statistics:
            return shape
        channels = shape[keras_axis(1, len(shape))]
        return [shape, *[(1, 1, 1, channels)] * self.statistics]

    def compute_output_spec(self, inputs):
        shapes = self.compute_output_shape(inputs.shape)
        if not self.statistics:
            return keras.KerasTensor(shapes, self.compute_dtype)
        return [keras.KerasTensor(shape, self.compute_dtype) for shape in shapes]

    def get_config(self):
        config = {"bn_mode": self.bn_mode, "statistics": self.statistics}
        return {**super().get_config(), **config}
