"""Features of length 1, times a learned scale."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import keras_axis


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeNormalize(keras.layers.Layer):
    """Divide by the Euclidean norm and multiply by a scale: SSD's `Normalize`.

    `scale * x / sqrt(sum(x ** 2) + epsilon)`; the sum is over an item, or over the
    channels of each place.

    The gradients are those of this function. The fork's are too while the scale is
    shared; with a scale for each channel it leaves the scale out of the sum that its
    gradient at the input has, and what it computes is not the true gradient.

    Args:
        across_spatial: Take the norm of the whole item, not of each place.
        channel_shared: Learn one scale, not one for each channel.
        epsilon: Added to the sum of squares.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Two axes or more; the channels are the last of four axes, else the second.

    Reference:
        `Normalize` of the SSD fork of Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeNormalize
        >>> x = np.array([[3.0, 4.0], [0.0, 2.0]]).reshape(1, 1, 2, 2)
        >>> y = CaffeNormalize(across_spatial=False)(x)  # its scale begins at 1
        >>> print(np.asarray(y).round(3))
        [[[[0.6 0.8]
           [0.  1. ]]]]
    """

    def __init__(
        self, across_spatial=True, channel_shared=True, epsilon=1e-10, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.across_spatial = bool(across_spatial)
        self.channel_shared = bool(channel_shared)
        self.epsilon = float(epsilon)

    def build(self, input_shape):
        channels = input_shape[keras_axis(1, len(input_shape))]
        shape = () if self.channel_shared else (channels,)
        self.scale = self.add_weight(shape, "ones", name="scale")
        self.built = True

    def call(self, inputs):
        rank = len(inputs.shape)
        channels = keras_axis(1, rank)
        axes = tuple(range(1, rank)) if self.across_spatial else channels
        wide = ops.cast(inputs, "float32")  # squares overflow half precision
        squares = ops.sum(ops.square(wide), axes, keepdims=True)
        scale = ops.convert_to_tensor(self.scale)
        if not self.channel_shared:
            scale = ops.reshape(
                scale, [-1 if i == channels else 1 for i in range(rank)]
            )
        found = wide * ops.rsqrt(squares + self.epsilon) * ops.cast(scale, "float32")
        return ops.cast(found, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "across_spatial": self.across_spatial,
            "channel_shared": self.channel_shared,
            "epsilon": self.epsilon,
        }
