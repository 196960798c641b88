"""Blobs that no data makes: learned ones and fixed ones."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import caffe_shape, keras_shape
from keras_caffe_zoo.layers._blobs import keras_order


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeParameter(keras.layers.Layer):
    """A learned blob, whatever the input is, Caffe's `Parameter` layer.

    Args:
        shape: Its shape, in Caffe's order of axes.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    A Keras graph begins with its inputs, so this layer is given one to hang on.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeParameter
        >>> layer = CaffeParameter((2, 3))
        >>> tuple(layer(np.ones((1, 7))).shape)  # whatever the input's is
        (2, 3)
        >>> [weight.name for weight in layer.trainable_weights]
        ['blob']
    """

    def __init__(self, shape, **kwargs) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(int(size) for size in shape)

    def build(self, input_shape):
        self.blob = self.add_weight(self.shape, "zeros", name="blob")
        self.built = True

    def call(self, inputs):
        return keras_order(ops.convert_to_tensor(self.blob))

    def compute_output_shape(self, input_shape):
        return keras_shape(self.shape)

    def get_config(self):
        return {**super().get_config(), "shape": self.shape}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeConstant(CaffeParameter):
    """A blob of one value, Caffe's `DummyData` layer with a constant filler.

    Args:
        shape: Its shape, in Caffe's order of axes.
        value: The value.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeConstant
        >>> np.asarray(CaffeConstant((2, 3), 0.5)(np.ones((1, 7)))).tolist()
        [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    """

    def __init__(self, shape, value=0.0, **kwargs) -> None:
        super().__init__(shape, **kwargs)
        self.value = float(value)

    def build(self, input_shape):
        self.built = True

    def call(self, inputs):
        return ops.full(keras_shape(self.shape), self.value, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "value": self.value}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeSilence(keras.layers.Layer):
    """Pass the first input on and let the others end here, Caffe's `Silence` layer.

    A Keras model consists of what its outputs are made from. So that it has the blobs
    too that a Caffe net silences, one output is led through this layer.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeSilence
        >>> x = keras.Input((2,))
        >>> silenced = keras.layers.Dense(3, name="silenced")(x)
        >>> model = keras.Model(x, CaffeSilence()([x, silenced]))  # x, as it is
        >>> model.get_layer("silenced").count_params()  # is in the model all the same
        9
    """

    def call(self, inputs):
        return inputs[0]

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeBatchReindex(keras.layers.Layer):
    """Take items by number, Caffe's `BatchReindex` layer.

    Inputs are a tensor and the numbers, (M,), of its items along the first axis.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeBatchReindex
        >>> x = np.array([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]])
        >>> np.asarray(CaffeBatchReindex()([x, np.array([2, 0, 2])])).tolist()
        [[2.0, 2.5], [0.0, 0.5], [2.0, 2.5]]
    """

    def call(self, inputs):
        return ops.take(inputs[0], ops.cast(inputs[1], "int32"), axis=0)

    def compute_output_shape(self, input_shape):
        items, numbers = (tuple(shape) for shape in input_shape)
        if len(numbers) != 1 or not items:
            raise ValueError(
                f"Expected a blob and numbers (M,) for layer '{self.name}'; received: "
                f"{caffe_shape(items)} and {numbers}."
            )
        return (*numbers, *items[1:])
