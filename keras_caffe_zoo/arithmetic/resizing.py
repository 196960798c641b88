"""How large Caffe's layers that resize maps make them."""


def interpolated_size(size, wanted=None, zoom_factor=None, shrink_factor=None):
    """Return the size along one axis that `Interp` makes of `size` pixels.

    Args:
        size: Pixels that are left of the border; an integer or a tensor of one.
        wanted: The size that the layer says, which counts alone; None if it does not.
        zoom_factor: See `CaffeInterp`.
        shrink_factor: Likewise; shrinking comes first.
    """
    if wanted is not None:
        return wanted
    if shrink_factor is not None:
        size = (size - 1) // shrink_factor + 1
    if zoom_factor is not None:
        size = size + (size - 1) * (zoom_factor - 1)
    return size
