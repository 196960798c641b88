"""Max pooling that also tells where each maximum was."""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.arithmetic.windows import pooled_size
from keras_caffe_zoo.layers.pooling import CaffePool2D, lowest


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeMaxPool2DWithMask(CaffePool2D):
    """Max pooling with the places of the maxima, Caffe's `Pooling` with two tops.

    The second output has the shape of the first and holds, as floats, the place
    `row * width + column` of each maximum in the input, the first of equal ones; -1
    where a window held nothing. They are float32 whatever the layer computes in: half
    precision has no room for them.

    Arguments as of `CaffePool2D`, without `pool`.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeMaxPool2DWithMask
        >>> x = np.array([[1.0, 9.0, 2.0], [3.0, 4.0, 5.0]]).reshape(1, 2, 3, 1)
        >>> y, mask = CaffeMaxPool2DWithMask(2, strides=2)(x)
        >>> np.asarray(y).ravel().tolist(), np.asarray(mask).ravel().tolist()
        ([9.0, 5.0], [1.0, 5.0])
    """

    def __init__(self, kernel_size=None, **kwargs) -> None:
        kwargs.pop("pool", None)
        super().__init__("max", kernel_size, **kwargs)

    def call(self, inputs):
        return [super().call(inputs), self._mask(inputs)]

    def _mask(self, inputs):
        first = self.data_format == "channels_first"
        x = ops.transpose(inputs, (0, 2, 3, 1)) if first else inputs
        mask = self._whole(x) if self.global_pooling else self._windows(x)
        mask = ops.cast(mask, "float32")
        return ops.transpose(mask, (0, 3, 1, 2)) if first else mask

    @staticmethod
    def _whole(x):
        sizes = ops.shape(x)
        flat = ops.reshape(x, (sizes[0], 1, -1, x.shape[-1]))
        places = ops.reshape(ops.arange(ops.shape(flat)[2], dtype="int32"), (-1, 1))
        largest = ops.max(flat, axis=2, keepdims=True)
        places = ops.where(flat == largest, places, ops.shape(flat)[2])
        return ops.min(places, axis=2, keepdims=True)

    def _windows(self, x):
        """Walk through the places of a window, keeping the best so far of each."""
        rows, columns = self._starts(x)
        height, width = ops.shape(x)[1:3]
        reach = [
            (p, p + k + s)
            for k, s, p in zip(self.kernel_size, self.strides, self.pad, strict=True)
        ]
        least = lowest(x.dtype)
        padded = ops.pad(x, [(0, 0), *reach, (0, 0)], constant_values=least)
        best = mask = None
        for i, j in np.ndindex(*self.kernel_size):
            values = padded[
                :,
                i : i + ops.shape(rows)[0] * self.strides[0] : self.strides[0],
                j : j + ops.shape(columns)[0] * self.strides[1] : self.strides[1],
            ]
            values = values[:, : ops.shape(rows)[0], : ops.shape(columns)[0]]
            row = ops.reshape(rows + i, (1, -1, 1, 1))
            column = ops.reshape(columns + j, (1, 1, -1, 1))
            place = ops.broadcast_to(row * width + column, ops.shape(values))
            if best is None:
                best = ops.full_like(values, least)
                mask = ops.full_like(place, -1)
            larger = ops.greater(values, best)
            best, mask = ops.where(larger, values, best), ops.where(larger, place, mask)
        return mask

    def _starts(self, x):
        """Return the first row and column of each window, before the image below 0."""
        starts = []
        for axis, window in zip((1, 2), self._axes, strict=True):
            count = pooled_size(ops.shape(x)[axis], *window)
            starts.append(ops.arange(count, dtype="int32") * window[1] - window[2])
        return starts

    def compute_output_shape(self, input_shape):
        shape = super().compute_output_shape(input_shape)
        return [shape, shape]

    def compute_output_spec(self, inputs):
        shapes = self.compute_output_shape(inputs.shape)
        dtypes = (self.compute_dtype, "float32")
        return [keras.KerasTensor(*pair) for pair in zip(shapes, dtypes, strict=True)]

    def get_config(self):
        config = super().get_config()
        del config["pool"], config["include_pad"]
        return config
