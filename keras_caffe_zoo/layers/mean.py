"""Means that FlowNet2 takes from its images."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeMean(keras.layers.Layer):
    """Scale a map and shift its channels, as FlowNet2's `Mean` layer does.

    That is `output_scale * (input_scale * x + value)`, with a value for each channel.

    Args:
        values: Numbers that are added to the channels, over and over again.
        input_scale: Factor of the input.
        output_scale: Factor of the sum.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)`; N, H and W may be unknown.

    Raises:
        ValueError: If there are no values.

    Reference:
        The layer of that name in FlowNet2's Caffe; `values` are its `value` times
        `mean_scale`, negative if the `operation` is SUBTRACT.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeMean
        >>> x = np.full((1, 1, 1, 3), 5.0)
        >>> np.asarray(CaffeMean((-1, -2), output_scale=10)(x)).ravel().tolist()
        [40.0, 30.0, 40.0]
    """

    def __init__(self, values, input_scale=1.0, output_scale=1.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.values = tuple(float(value) for value in values)
        self.input_scale = float(input_scale)
        self.output_scale = float(output_scale)
        if not self.values:
            raise ValueError("Expected `values` to be numbers; received: none.")

    def call(self, inputs):
        values = np.resize(np.asarray(self.values, "float32"), inputs.shape[-1])
        shift = ops.convert_to_tensor(values, inputs.dtype)
        return self.output_scale * (self.input_scale * inputs + shift)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "values": self.values,
            "input_scale": self.input_scale,
            "output_scale": self.output_scale,
        }


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeSubtractMean(keras.layers.Layer):
    """Subtract a mean that was found in training, as `DataAugmentation` does.

    That is what the layer does where it augments nothing.

    Args:
        per_pixel: Whether each pixel has a mean of its own.
        images: How many images in training the mean was made of.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)`; N may be unknown, and without `per_pixel` H and W.

    Reference:
        The `DataAugmentation` layer of FlowNet2's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeSubtractMean
        >>> layer = CaffeSubtractMean()
        >>> layer.build((None, None, None, 3))
        >>> layer.set_weights([np.array([1.0, 2.0, 3.0])])
        >>> np.asarray(layer(np.full((1, 1, 1, 3), 5.0))).ravel().tolist()
        [4.0, 3.0, 2.0]
    """

    def __init__(self, per_pixel=False, images=0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.per_pixel, self.images = bool(per_pixel), int(images)

    def build(self, input_shape):
        shape = tuple(input_shape[1:] if self.per_pixel else input_shape[-1:])
        self.mean = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="mean"
        )
        self.built = True

    def call(self, inputs):
        return inputs - ops.cast(self.mean, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        config = {"per_pixel": self.per_pixel, "images": self.images}
        return {**super().get_config(), **config}
