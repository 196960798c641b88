"""Pooling with Caffe's round-up output size."""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.arithmetic.windows import end_padding, pooled_size
from keras_caffe_zoo.layers import _windows
from keras_caffe_zoo.layers._windows import pair

_POOLS = ("max", "ave")


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffePool2D(keras.layers.Layer):
    """Max or average pooling as Caffe's `Pooling` layer computes it.

    The output size is rounded up, `ceil((size + 2 * pad - kernel) / stride) + 1`,
    so the last window may hang over the end of the image; where there is padding,
    a last window that would start inside it is dropped. A window's maximum is
    taken over its pixels of the image alone. Its average divides by the pixels of
    the image and of the padding, but not by those beyond the padding.

    `keras.layers.MaxPooling2D` can do neither: `"valid"` rounds down, and
    `"same"` makes 28 of 55 pixels (kernel 3, stride 2) where Caffe makes 27.

    Args:
        pool: `"max"` or `"ave"`.
        kernel_size: Pixels, an integer or `(height, width)`.
        strides: Pixels, an integer or `(height, width)`. Caffe's default is 1.
        pad: Pixels on each border, an integer or `(height, width)`, smaller than
            the kernel.
        global_pooling: Pool the whole image to one pixel; then `kernel_size`
            stays `None`, `strides` 1 and `pad` 0.
        round_mode: `"ceil"`, or `"floor"` for the number of windows that
            `round_mode: FLOOR` (in other forks `ceil_mode: false`) asks for.
        include_pad: Whether an average divides by the pixels of the padding too;
            `False` is Intel's `avg_include_pad: false`.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)`, or `(N, C, H, W)` with `channels_first`; N, H and W may
        be unknown.

    Raises:
        ValueError: On arguments that Caffe refuses too, or an input without a
            window.

    Reference:
        Caffe 1.0's `Pooling` layer. A stride above the kernel can put a last
        window outside the image; like Caffe's, its maximum is then the lowest
        float32 and its average not a number.

    Example:
        >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> y = kcz.CaffePool2D("max", kernel_size=3, strides=2)(x)
        >>> np.asarray(y)[0, :, :, 0].tolist()  # the last windows hang over the end
        [[10.0, 11.0], [14.0, 15.0]]
        >>> tuple(keras.layers.MaxPooling2D(3, strides=2)(x).shape)
        (1, 1, 1, 1)
    """

    def __init__(
        self,
        pool="max",
        kernel_size=None,
        strides=1,
        pad=0,
        global_pooling=False,
        data_format=None,
        round_mode="ceil",
        include_pad=True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if round_mode not in ("ceil", "floor"):
            raise ValueError(
                "Expected `round_mode` to be 'ceil' or 'floor'; received: "
                f"round_mode={round_mode!r}."
            )
        self.round_mode, self.include_pad = round_mode, bool(include_pad)
        if pool not in _POOLS:
            raise ValueError(f"Expected `pool` to be one of {_POOLS}; received: {pool}")
        self.pool = pool
        self.global_pooling = bool(global_pooling)
        self.strides = pair(strides, "strides", minimum=1)
        self.pad = pair(pad, "pad", minimum=0)
        self.kernel_size = None
        if global_pooling:
            self._check_global(kernel_size)
        else:
            self.kernel_size = pair(kernel_size, "kernel_size", minimum=1)
            self._check_pad()
        self.data_format = _windows.data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def _check_global(self, kernel_size):
        if kernel_size is not None or self.pad != (0, 0) or self.strides != (1, 1):
            raise ValueError(
                "Expected no `kernel_size`, `pad` 0 and `strides` 1 with "
                f"global_pooling=True; received: kernel_size={kernel_size}, "
                f"pad={self.pad}, strides={self.strides}."
            )

    def _check_pad(self):
        if any(p >= k for p, k in zip(self.pad, self.kernel_size, strict=True)):
            raise ValueError(
                "Expected `pad` to be smaller than `kernel_size`; received: "
                f"pad={self.pad}, kernel_size={self.kernel_size}."
            )

    @property
    def _spatial(self):
        return (1, 2) if self.data_format == "channels_last" else (2, 3)

    @property
    def _axes(self):
        """Kernel, stride, pad of height and width; is any padded; round down?"""
        rules = ((any(self.pad),) * 2, (self.round_mode == "floor",) * 2)
        return zip(self.kernel_size, self.strides, self.pad, *rules, strict=True)

    def call(self, inputs):
        # Raises on an image below one window, which TensorFlow may die of.
        self.compute_output_shape(_windows.known_shape(inputs))
        if self.global_pooling:
            reduce = ops.max if self.pool == "max" else ops.mean
            return reduce(inputs, axis=self._spatial, keepdims=True)
        if self.pool == "max":
            return self._max(inputs)
        return self._average(inputs)

    def _max(self, inputs):
        widths = self._pad_widths(inputs)
        padding = "valid"
        if all(width in ((0, 0), (0, 1)) for width in widths) and self._same(inputs):
            padding = "same"  # pads the same pixel, without a copy of the input
        elif any(map(any, widths)):
            inputs = self._padded(inputs, widths, lowest(inputs.dtype))
        return ops.max_pool(
            inputs, self.kernel_size, self.strides, padding, self.data_format
        )

    def _same(self, inputs):
        """Tell whether `padding="same"` makes exactly Caffe's windows here."""
        sizes = [inputs.shape[axis] for axis in self._spatial]
        if None in sizes or any(self.pad):
            return False
        return all(
            pooled_size(size, *axis) == -(-size // axis[1])
            and (-(-size // axis[1]) - 1) * axis[1] + axis[0] - size in (0, 1)
            for size, axis in zip(sizes, self._axes, strict=True)
        )

    def _average(self, inputs):
        sizes = [ops.shape(inputs)[axis] for axis in self._spatial]
        padded = self._padded(inputs, self._pad_widths(inputs), 0.0)
        means = ops.average_pool(
            padded, self.kernel_size, self.strides, "valid", self.data_format
        )
        area = self.kernel_size[0] * self.kernel_size[1]
        return means * (area / self._divisor(sizes, means))

    def _pad_widths(self, inputs):
        """Return (before, after) in pixels for height and width."""
        widths = []
        for axis, window in zip(self._spatial, self._axes, strict=True):
            kernel, stride, pad, *_ = window
            after = end_padding(*window)
            size = inputs.shape[axis]
            if size is not None:  # only as far as the last window reaches
                last = (pooled_size(size, *window) - 1) * stride + kernel
                after = max(last - size - pad, 0)
            widths.append((pad, after))
        return widths

    def _padded(self, inputs, widths, value):
        if not any(map(any, widths)):
            return inputs
        all_widths = [(0, 0)] * 4
        for axis, width in zip(self._spatial, widths, strict=True):
            all_widths[axis] = width
        return ops.pad(inputs, all_widths, constant_values=value)

    def _divisor(self, sizes, means):
        """Return the pixels that count in each window, shaped to broadcast."""
        counts = []
        for size, axis, window in zip(sizes, self._spatial, self._axes, strict=True):
            kernel, stride, pad, *_ = window
            start = ops.arange(ops.shape(means)[axis], dtype="int32") * stride - pad
            if self.include_pad:
                count = ops.minimum(start + kernel, size + pad) - start
            else:
                count = ops.minimum(start + kernel, size) - ops.maximum(start, 0)
            shape = [1] * 4
            shape[axis] = -1
            counts.append(ops.reshape(ops.cast(count, means.dtype), shape))
        return counts[0] * counts[1]

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        windows = [None] * 2 if self.global_pooling else self._axes
        names = ("height", "width")
        for axis, name, window in zip(self._spatial, names, windows, strict=True):
            shape[axis] = self._output_size(shape[axis], name, window)
        return tuple(shape)

    def _output_size(self, size, name, window):
        if window is None:
            return 1
        if size is None:
            return None
        windows = pooled_size(size, *window)
        if windows < 1:
            raise ValueError(
                f"Expected an input {name} that holds one window of layer "
                f"'{self.name}' (kernel_size={self.kernel_size}, "
                f"strides={self.strides}, pad={self.pad}); received: {size}."
            )
        return windows

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "pool": self.pool,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "pad": self.pad,
            "global_pooling": self.global_pooling,
            "data_format": self.data_format,
            "round_mode": self.round_mode,
            "include_pad": self.include_pad,
        }


def lowest(dtype):
    """Return what Caffe starts a maximum from, in `dtype`."""
    # The lowest float32 would round to infinity in half precision.
    lowest = {"float16": -65504.0, "bfloat16": -(2.0**128 - 2.0**120)}
    dtype = keras.backend.standardize_dtype(dtype)
    return lowest.get(dtype, float(np.finfo("float32").min))
