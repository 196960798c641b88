"""Places as channels and channels as places, in darknet's order."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.yolo import reorged_shape
from keras_caffe_zoo.layers._blobs import BlobLayer
from keras_caffe_zoo.layers._windows import known_shape


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeReorg(BlobLayer):
    """Trade places for channels, as YOLO's `Reorg` layer does.

    With `reverse`, channel `(i * stride + j) * K + k` of K * stride ** 2 becomes row i
    and column j of each block of stride x stride pixels of channel k.

    Without, darknet does not the opposite of that: it does the *same* with the map's
    values as they stand in memory, and calls what comes out (C * stride ** 2, H /
    stride, W / stride).

    Args:
        stride: Rows and columns of a block.
        reverse: Make channels places.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)`; N, H and W may be unknown.

    Raises:
        ValueError: If the sizes or channels of a map are no multiples.

    Reference:
        The `Reorg` layer of Intel's Caffe and of MobileNet-YOLO.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeReorg
        >>> x = np.array([0.0, 1.0, 2.0, 3.0]).reshape(1, 1, 1, 4)
        >>> y = CaffeReorg(2, reverse=True)(x)  # four channels become four pixels
        >>> np.asarray(y)[0, :, :, 0].tolist()
        [[0.0, 1.0], [2.0, 3.0]]
        >>> tuple(CaffeReorg(2)(np.zeros((1, 26, 26, 64))).shape)
        (1, 13, 13, 256)
    """

    def __init__(self, stride, reverse=False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.stride, self.reverse = int(stride), bool(reverse)
        if self.stride < 1:
            raise ValueError(
                f"Expected `stride` to be positive; received: stride={stride}."
            )

    def blob_shape(self, shapes):
        return reorged_shape(shapes, self.stride, self.reverse)

    def call(self, inputs):
        if not self.reverse:
            return super().call(inputs)
        self.compute_output_shape(known_shape(inputs))
        _, height, width, channels = ops.shape(inputs)
        stride, kept = self.stride, channels // self.stride**2
        parts = ops.reshape(inputs, (-1, height, width, stride, stride, kept))
        spread = ops.transpose(parts, (0, 1, 3, 2, 4, 5))
        return ops.reshape(spread, (-1, height * stride, width * stride, kept))

    def compute(self, blobs):
        _, channels, height, width = ops.shape(blobs)
        stride, kept = self.stride, channels // self.stride**2
        parts = ops.reshape(blobs, (-1, kept, height, stride, width, stride))
        gathered = ops.transpose(parts, (0, 3, 5, 1, 2, 4))
        new = (-1, channels * stride**2, height // stride, width // stride)
        return ops.reshape(gathered, new)

    def get_config(self):
        return {**super().get_config(), "stride": self.stride, "reverse": self.reverse}
