"""The window with which a transposed convolution interpolates bilinearly."""

import numpy as np


def bilinear_window(height: int, width: int) -> np.ndarray:
    """Return weights (height, width) that fall linearly from the middle to the sides.

    For a window of twice the stride; the formula is that of Caffe's `bilinear` filler
    and of the FCN authors' `interp`.
    """
    return np.outer(_hat(height), _hat(width)).astype("float32")


def _hat(size: int) -> np.ndarray:
    factor = (size + 1) // 2
    distance = np.abs(np.arange(size) - (size - 1) / 2)
    return 1 - distance / factor
