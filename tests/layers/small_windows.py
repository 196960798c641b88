"""Caffe's windows over small images, looked at one axis at a time, in NumPy.

Sizes are computed as C++ does: an integer division drops the fraction, towards zero.
Places outside an image are -1 here, so that each layer says what it sees there.
"""

import functools
import itertools

import numpy as np

SIZES = range(1, 6)
# (kernel, dilation): one pixel cannot be dilated.
WINDOWS = [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2)]
STRIDES = range(1, 5)
PADS = range(3)


def conv_places(size, kernel, stride, pad, dilation):
    """Return the pixel at [window, tap] along one axis, none if Caffe makes none."""
    count = int((size + 2 * pad - (dilation * (kernel - 1) + 1)) / stride) + 1
    starts = np.arange(max(count, 0))[:, None] * stride - pad
    return _within(starts + np.arange(kernel) * dilation, size)


def pool_places(size, kernel, stride, pad, padded, floor):
    """Return the pixel at [window, tap], and how far each window reaches."""
    part = (size + 2 * pad - kernel) / stride
    count = int(np.floor(part) if floor else np.ceil(part)) + 1
    if padded and (count - 1) * stride >= size + pad:
        count -= 1
    starts = np.arange(max(count, 0)) * stride - pad
    reach = np.minimum(starts + kernel, size + pad) - starts
    return _within(starts[:, None] + np.arange(kernel), size), reach


def _within(places, size):
    return np.where((places >= 0) & (places < size), places, -1)


def seen(x, rows, columns, outside):
    """Return what windows see of (N, H, W, C): (N, rows, columns, C, taps, taps)."""
    framed = np.pad(
        x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=outside
    )  # -1 is the frame
    values = framed[:, rows[:, None, :, None], columns[None, :, None, :]]
    return np.moveaxis(values, -1, 3)


def convolved(windows, kernel, groups):
    """Convolve what windows see with (kh, kw, C / groups, filters)."""
    n, rows, columns, channels, *taps = windows.shape
    parts = windows.reshape(n, rows, columns, groups, channels // groups, *taps)
    kernel = kernel.reshape(*kernel.shape[:3], groups, -1)
    y = np.einsum("nrcgiab,abigo->nrcgo", parts, kernel)
    return y.reshape(n, rows, columns, -1)


def backward(top, x_shape, windows, rows, columns, kernel, groups):
    """Return the gradients of a convolution at its input and its kernel."""
    n, *_, channels = x_shape
    parts = windows.reshape(*windows.shape[:3], groups, -1, *windows.shape[4:])
    top = top.reshape(*top.shape[:3], groups, -1)
    at_kernel = np.einsum("nrcgiab,nrcgo->abigo", parts, top)
    split = kernel.reshape(*kernel.shape[:3], groups, -1)
    shares = np.einsum("nrcgo,abigo->nrcabgi", top, split)
    at_input = np.zeros((n, x_shape[1] + 1, x_shape[2] + 1, channels))
    for r, c, a, b in np.ndindex(
        *rows.shape[:1], *columns.shape[:1], *kernel.shape[:2]
    ):
        at_input[:, rows[r, a], columns[c, b]] += shares[:, r, c, a, b].reshape(n, -1)
    return at_input[:, :-1, :-1], at_kernel.reshape(kernel.shape)


def spread(x, kernel, strides, pads, dilations, groups):
    """Transposed convolution: (N, H, W, C) with (kh, kw, filters / groups, C)."""
    n, height, width, channels = x.shape
    sizes = [
        s * (size - 1) + d * (k - 1) + 1
        for s, size, d, k in zip(
            strides, (height, width), dilations, kernel.shape, strict=False
        )
    ]
    filters = kernel.shape[2]
    parts = x.reshape(n, height, width, groups, -1)
    kernel = kernel.reshape(*kernel.shape[:3], groups, -1)
    y = np.zeros((n, *sizes, groups * filters))
    for a, b in np.ndindex(*kernel.shape[:2]):
        share = np.einsum("nrcgi,ogi->nrcgo", parts, kernel[a, b])
        top, left = a * dilations[0], b * dilations[1]
        y[
            :,
            top : top + strides[0] * (height - 1) + 1 : strides[0],
            left : left + strides[1] * (width - 1) + 1 : strides[1],
        ] += share.reshape(n, height, width, -1)
    down, across = (slice(p, n - p) for p, n in zip(pads, sizes, strict=True))
    return y[:, down, across]


def every_case():
    """Yield (size, kernel, dilation, stride, pad), each (height, width)."""
    both = (itertools.product(axis, axis) for axis in (WINDOWS, STRIDES, PADS, SIZES))
    for ((kh, dh), (kw, dw)), stride, pad, size in itertools.product(*both):
        yield size, (kh, kw), (dh, dw), stride, pad


def numbers(*shape):
    """Return the same numbers for the same shape."""
    return _numbers(shape).copy()


@functools.cache
def _numbers(shape):
    return np.random.default_rng(shape).uniform(-1, 1, shape).astype("float32")
