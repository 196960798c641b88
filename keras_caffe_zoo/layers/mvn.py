"""Normalization to mean 0 and variance 1, item by item."""

import keras
from keras import ops

from keras_caffe_zoo.layers._blobs import BlobLayer


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeMVN(BlobLayer):
    """Subtract the mean and divide by the deviation, as Caffe's `MVN` layer does.

        y = (x - mean) / (sqrt(variance) + epsilon)

    Mean and (biased) variance are of each channel of each item, or of each item.

    Args:
        normalize_variance: Whether to divide.
        across_channels: Take mean and variance of the whole item.
        epsilon: Added to the root (Caffe's other layers add it to the variance).
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Up to four axes; four are channels last.
    """

    def __init__(
        self, normalize_variance=True, across_channels=False, epsilon=1e-9, **kwargs
    ):
        super().__init__(**kwargs)
        self.normalize_variance = bool(normalize_variance)
        self.across_channels = bool(across_channels)
        self.epsilon = float(epsilon)

    def call(self, inputs):
        rank = len(inputs.shape)
        kept = {0} if self.across_channels else {0, 3 if rank == 4 else 1}
        axes = [i for i in range(rank) if i not in kept]
        outputs = inputs - ops.mean(inputs, axes, keepdims=True) if axes else inputs * 0
        if not self.normalize_variance:
            return outputs
        variance = ops.square(outputs)
        if axes:
            variance = ops.mean(variance, axes, keepdims=True)
        return outputs / (ops.sqrt(variance) + self.epsilon)

    def get_config(self):
        return {
            **super().get_config(),
            "normalize_variance": self.normalize_variance,
            "across_channels": self.across_channels,
            "epsilon": self.epsilon,
        }
