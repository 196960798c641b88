"""What the sliding-window layers share: checks and Caffe's size arithmetic."""

import keras


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
