"""How many windows Caffe's layers make along an axis."""


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


def correlated_size(size, kernel, displacement, pad, stride, layer):
    """Return the number of windows of FlowNet's `Correlation` along one axis.

    Raises:
        ValueError: If no window fits.
    """
    if size is None:
        return None
    border = 2 * displacement + kernel - 1
    space = size + 2 * pad - border
    if space < 1:
        raise ValueError(
            f"Expected a map of at least {border - 2 * pad + 1} rows and columns for "
            f"layer '{layer}' (kernel {kernel}, displacement {displacement}, pad "
            f"{pad}); received: {size}."
        )
    return -(-space // stride)


def deconvolved_size(size, kernel, stride, pad, dilation, layer):
    """Return the size of a transposed convolution's output along one axis.

    Raises:
        ValueError: If nothing is left between the borders that are cut off.
    """
    if size is None:
        return None
    result = stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad
    if result < 1:
        raise ValueError(
            f"Expected an output of at least one pixel of layer '{layer}' (kernel "
            f"{kernel}, stride {stride}, pad {pad}); received an input of {size}."
        )
    return result


def pyramid(sizes, height: int, layer: str) -> list[tuple]:
    """Return `(kernel, pad)` of each level of a pyramid, of 1, 2 x 2, 4 x 4 bins.

    Args:
        sizes: Height and width of the image.
        height: How many levels.
        layer: The layer's name, for the error.

    Raises:
        ValueError: If the image is too small, as in Caffe, or its size is not known.
    """
    if None in sizes:
        raise ValueError(
            f"Expected an image of known size for layer '{layer}'; received: "
            f"{tuple(sizes)}. Give an input_shape."
        )
    levels = []
    for level in range(height):
        bins = 2**level
        kernel = tuple(-(-size // bins) for size in sizes)
        pad = tuple(
            (k * bins - size + 1) // 2 for k, size in zip(kernel, sizes, strict=True)
        )
        if any(p >= k for p, k in zip(pad, kernel, strict=True)):
            raise ValueError(
                f"Expected an image that {bins} x {bins} bins divide (layer "
                f"'{layer}', level {level}); received: {tuple(sizes)}."
            )
        levels.append((kernel, pad))
    return levels
