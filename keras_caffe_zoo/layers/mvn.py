"""Normalization to mean 0 and variance 1, item by item."""

import keras
from keras import ops

from keras_caffe_zoo.layers._blobs import BlobLayer, keras_order
from keras_caffe_zoo.layers._windows import known_shape


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeMVN(BlobLayer):
    """Subtract the mean and divide by the deviation, as Caffe's `MVN` layer does.

        y = (x - mean) / (sqrt(variance) + epsilon)

    Mean and (biased) variance are of each channel of each item, or of each item.

    The output always has four axes, (N, H, W, C): Caffe takes a blob with fewer for one
    (N, C, H, W) whose missing axes are 1.

    Args:
        normalize_variance: Whether to divide.
        across_channels: Take mean and variance of the whole item.
        epsilon: Added to the root (Caffe's other layers add it to the variance).
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Up to four axes; four are channels last.

    Raises:
        ValueError: If the input has more axes, as in Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeMVN
        >>> x = np.array([[1.0, 10.0], [3.0, 50.0]]).reshape(1, 1, 2, 2)
        >>> np.asarray(CaffeMVN()(x)).round(3).tolist()  # each channel by itself
        [[[[-1.0, -1.0], [1.0, 1.0]]]]
        >>> tuple(CaffeMVN()(np.array([[1.0, 3.0]])).shape)
        (1, 1, 1, 2)
    """

    def __init__(
        self, normalize_variance=True, across_channels=False, epsilon=1e-9, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.normalize_variance = bool(normalize_variance)
        self.across_channels = bool(across_channels)
        self.epsilon = float(epsilon)

    def call(self, inputs):
        self.compute_output_shape(known_shape(inputs))  # raises if it has more axes
        x = self._image(inputs)
        axes = (1, 2, 3) if self.across_channels else (1, 2)
        outputs = x - ops.mean(x, axes, keepdims=True)
        if not self.normalize_variance:
            return outputs
        variance = ops.mean(ops.square(outputs), axes, keepdims=True)
        return outputs / (ops.sqrt(variance) + self.epsilon)

    @staticmethod
    def _image(inputs):
        """Return the input with four axes, channels last."""
        missing = 4 - len(inputs.shape)
        for _ in range(missing):
            inputs = ops.expand_dims(inputs, -1)
        return keras_order(inputs) if missing else inputs

    def blob_shape(self, shapes):
        if len(shapes) > 4:
            raise ValueError(
                f"Expected a blob with at most four axes for layer '{self.name}'; "
                f"received shape: {tuple(shapes)}."
            )
        return (*shapes, *[1] * (4 - len(shapes)))

    def get_config(self):
        return {
            **super().get_config(),
            "normalize_variance": self.normalize_variance,
            "across_channels": self.across_channels,
            "epsilon": self.epsilon,
        }
