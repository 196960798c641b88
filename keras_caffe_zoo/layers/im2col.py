"""Windows of an image as channels."""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.arithmetic.windows import convolved_size
from keras_caffe_zoo.layers._windows import fitted, known_shape, pair


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

    Example:
        >>> from keras_caffe_zoo.layers import CaffeIm2col
        >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
        >>> y = np.asarray(CaffeIm2col(2)(x))
        >>> y.shape, y[0, 0, 0].tolist()  # the window in the corner
        ((1, 2, 2, 4), [0.0, 1.0, 3.0, 4.0])
    """

    def __init__(
        self, kernel_size, strides=1, pad=0, dilation_rate=1, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = pair(kernel_size, "kernel_size", minimum=1)
        self.strides = pair(strides, "strides", minimum=1)
        self.pad = pair(pad, "pad", minimum=0)
        self.dilation_rate = pair(dilation_rate, "dilation_rate", minimum=1)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        self.compute_output_shape(known_shape(inputs))  # raises if it is too small
        windows = zip(*self._geometry, strict=True)
        padded, strides = fitted(inputs, 1, windows)
        counts = [
            (size - (d * (k - 1) + 1)) // s + 1
            for size, d, k, s in zip(
                ops.shape(padded)[1:3],
                self.dilation_rate,
                self.kernel_size,
                strides,
                strict=True,
            )
        ]
        places = [
            self._place(padded, place, counts, strides)
            for place in np.ndindex(*self.kernel_size)
        ]
        channels = inputs.shape[-1] * len(places)
        return ops.reshape(ops.stack(places, -1), (-1, *counts, channels))

    def _place(self, padded, place, counts, strides):
        """Return what each window sees at its row and column `place`."""
        starts = [i * d for i, d in zip(place, self.dilation_rate, strict=True)]
        rows, columns = (
            slice(start, start + (count - 1) * stride + 1, stride)
            for start, count, stride in zip(starts, counts, strides, strict=True)
        )
        return padded[:, rows, columns]

    @property
    def _geometry(self):
        return self.kernel_size, self.strides, self.pad, self.dilation_rate

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        names = [self.name] * 2, ("height", "width")
        counts = map(convolved_size, sizes, *self._geometry, *names)
        return (batch, *counts, channels * self.kernel_size[0] * self.kernel_size[1])

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "pad": self.pad,
            "dilation_rate": self.dilation_rate,
        }
