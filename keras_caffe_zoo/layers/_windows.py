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


def convolved_size(size, kernel, stride, pad, dilation, layer, axis="size"):
    """Return the number of windows of Caffe's convolution along one axis.

    Caffe divides integers as C++ does and drops the fraction, towards zero: a window
    that lacks fewer pixels than a stride is still one, and sees zeros there.

    Raises:
        ValueError: If there is no window.
    """
    if size is None:
        return None
    reach = dilation * (kernel - 1) + 1
    space = size + 2 * pad - reach
    windows = (space if space >= 0 else space + stride - 1) // stride + 1
    if windows < 1:
        raise ValueError(
            f"Expected an input {axis} of at least {reach - 2 * pad - stride + 1} for "
            f"layer '{layer}' (kernel {kernel}, stride {stride}, dilation {dilation}, "
            f"pad {pad}); received: {size}."
        )
    return windows


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


def end_padding(
    kernel: int, stride: int, pad: int, padded: bool, floor: bool = False
) -> int:
    """Return the pixels beyond the bottom (or right) that Caffe's pooling reaches.

    Caffe rounds the number of windows up, then, if either axis of the layer is
    `padded`, drops a last window that would start in the padding. A VALID pooling
    over the input with `pad` pixels before and this many after it has exactly
    that many windows, whatever the size of the input. Where the number is rounded
    down (`floor`), the windows end within the padding.
    """
    if floor:
        return pad
    return min(kernel - 1, pad + stride - 1) if padded else stride - 1


def pooled_size(
    size: int, kernel: int, stride: int, pad: int, padded: bool, floor: bool = False
) -> int:
    """Return the number of windows of Caffe's pooling along one axis."""
    after = end_padding(kernel, stride, pad, padded, floor)
    return (size + pad + after - kernel) // stride + 1
