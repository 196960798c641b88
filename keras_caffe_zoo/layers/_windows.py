"""What the sliding-window layers share: checks and Caffe's size arithmetic."""

import keras
from keras import ops


def data_format(value: str | None) -> str:
    """Return the data format, Keras' setting if it is `None`.

    Raises:
        ValueError: If it is another word.
    """
    if value is None:
        return keras.config.image_data_format()
    if value not in ("channels_first", "channels_last"):
        raise ValueError(
            "Expected `data_format` to be 'channels_first' or 'channels_last'; "
            f"received: data_format={value!r}."
        )
    return value


def pair(value, name: str, *, minimum: int) -> tuple[int, int]:
    """Return `value` as `(height, width)`.

    Args:
        value: An integer for both, or two integers.
        name: The argument's name, for the error.
        minimum: The least value allowed.

    Raises:
        ValueError: If it is not one or two integers of at least `minimum`.
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(
        isinstance(v, int) and not isinstance(v, bool) and v >= minimum for v in values
    ):
        raise ValueError(
            f"Expected `{name}` to be an integer of at least {minimum}, or a "
            f"(height, width) tuple of such; received: {name}={value!r}."
        )
    return values


def known_shape(x) -> tuple:
    """Return a tensor's shape, None for sizes that an engine only has a name for."""
    return tuple(size if isinstance(size, int) else None for size in x.shape)


def fitted(x, first, windows):
    """Return what a convolution looks at, and the strides that are left to it.

    That is the input with its padding, and as many zeros more as a window lacks that
    hangs over the end. An axis with one window is cut to it, and has no stride:
    backends go wrong over strides that lead nowhere.

    Args:
        x: The input.
        first: Its first axis that the window slides along.
        windows: (kernel, stride, pad, dilation) for each axis from there.
    """
    widths, cut, strides = [(0, 0)] * len(x.shape), [slice(None)] * len(x.shape), []
    padded = False
    for axis, (kernel, stride, pad, dilation) in enumerate(windows, first):
        after, reach = pad, dilation * (kernel - 1) + 1
        size, least = known_shape(x)[axis], reach - 2 * pad
        if x.shape[axis] is None and stride > 1 and least > 1:
            after = pad + ops.clip(least - ops.shape(x)[axis], 0, stride - 1)
            padded = True  # as it turns out
        elif size is not None and stride > 1 and size < least + stride:
            after, stride, cut[axis] = max(pad, reach - size - pad), 1, slice(reach)
            padded |= after > 0
        padded |= pad > 0
        widths[axis] = (pad, after)
        strides.append(stride)
    x = ops.pad(x, widths) if padded else x
    if any(part.stop for part in cut):
        x = x[tuple(cut)]
    return x, tuple(strides)


def beside_zeros(x, kernel, strides, channel_axis=-1):
    """Return an only channel and its kernel with zeros as a second, where need be.

    TensorFlow on CPU computes garbage from one channel, several items and a stride that
    leads from a row's only window. Whether it is the only one, an unknown width hides.
    """
    last = len(x.shape) - 1 - (channel_axis == -1)
    hidden = max(strides) > 1 and x.shape[last] is None
    if kernel.shape[-2] > 1 or not hidden:
        return x, kernel
    # Not `ops.pad`, which TensorFlow fuses with the convolution as if it were rows.
    x = ops.concatenate([x, ops.zeros_like(x)], channel_axis)
    return x, ops.concatenate([kernel, ops.zeros_like(kernel)], -2)
