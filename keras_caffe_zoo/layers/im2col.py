"""Windows of an image as channels."""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.layers._windows import pair


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeIm2col(keras.layers.Layer):
    """Lay each window of an image out as channels, as Caffe's `Im2col` layer does.

    Channel `(c * kernel_h + i) * kernel_w + j` of the output is channel c of the
    input at row i and column j of the window.

    Args:
        kernel_size: Pixels, an integer or `(height, width)`.
        strides: Pixels, an integer or `(height, width)`.
        pad: Zeros on each border, an integer or `(height, width)`.
        dilation_rate: An integer or `(height, width)`.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)`; H and W may be unknown.
    """

    def __init__(self, kernel_size, strides=1, pad=0, dilation_rate=1, **kwargs):
        super().__init__(**kwargs)
        self.kernel_size = pair(kernel_size, "kernel_size", minimum=1)
        self.strides = pair(strides, "strides", minimum=1)
        self.pad = pair(pad, "pad", minimum=0)
        self.dilation_rate = pair(dilation_rate, "dilation_rate", minimum=1)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        sizes = ops.shape(inputs)
        rows, columns = (self._count(sizes[1 + i], i) for i in range(2))
        padded = ops.pad(inputs, [(0, 0), *((p, p) for p in self.pad), (0, 0)])
        places = [
            self._place(padded, i, j, rows, columns)
            for i, j in np.ndindex(*self.kernel_size)
        ]
        channels = inputs.shape[-1] * len(places)
        return ops.reshape(ops.stack(places, -1), (-1, rows, columns, channels))

    def _place(self, padded, i, j, rows, columns):
        """Return what each window sees at its row i and column j."""
        (down, across), (down_rate, across_rate) = self.strides, self.dilation_rate
        top, left = i * down_rate, j * across_rate
        return padded[
            :,
            top : top + (rows - 1) * down + 1 : down,
            left : left + (columns - 1) * across + 1 : across,
        ]

    def _count(self, size, i):
        reach = self.dilation_rate[i] * (self.kernel_size[i] - 1) + 1
        return (size + 2 * self.pad[i] - reach) // self.strides[i] + 1

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        counts = [s if s is None else self._count(s, i) for i, s in enumerate(sizes)]
        if any(count is not None and count < 1 for count in counts):
            raise ValueError(
                f"Expected an image that holds one window of layer '{self.name}' "
                f"(kernel_size={self.kernel_size}); received: {tuple(sizes)}."
            )
        return (batch, *counts, channels * self.kernel_size[0] * self.kernel_size[1])

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "pad": self.pad,
            "dilation_rate": self.dilation_rate,
        }
