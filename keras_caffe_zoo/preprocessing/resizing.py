"""Resize images as OpenCV did for Caffe."""

from collections.abc import Sequence

import numpy as np

from keras_caffe_zoo.preprocessing.opencv import opencv_resize
from keras_caffe_zoo.preprocessing.room import AT_ONCE, room


def resize(
    image: np.ndarray,
    size: tuple[int, int],
    box: tuple[slice, slice] | None = None,
) -> np.ndarray:
    """Resize bytes as OpenCV did for Caffe: bilinear, without antialiasing.

    Caffe's tools (`convert_imageset`, ImageData, SSD's data) gave OpenCV bytes; the
    result is what they got: see `opencv_resize`. What was made with pycaffe alone is
    not: `caffe.io.resize_image` was scikit-image's interpolation of floats.

    Args:
        image: uint8 array `(H, W, C)`.
        size: New height and width.
        box: The rows and columns of the new image that are wanted; all if None.

    Returns:
        uint8 array of the new size, or of the box's.

    Example:
        >>> from keras_caffe_zoo.preprocessing import resize
        >>> image = np.uint8([[[0], [200]]])
        >>> resize(image, (1, 4)).ravel().tolist()
        [0, 50, 150, 200]
    """
    return opencv_resize(image, size, box=box)


def resize_float(
    image: np.ndarray,
    size: tuple[int, int],
    *,
    box: tuple[slice, slice] | None = None,
    channels: Sequence[int] | None = None,
    scale: float | None = None,
) -> np.ndarray:
    """Resize an image like `resize`, in floats from first to last.

    Args:
        image: Array `(H, W, C)` of any numeric type.
        size: New height and width.
        box: The rows and columns of the new image that are wanted; all if None. Only
            they are computed.
        channels: The channels that are wanted, in their new order; all if None.
        scale: By how much the image is enlarged, where `size` is that rounded; the
            sizes tell it if None.

    Returns:
        Float32 array of the new size, or of the box's.

    Example:
        >>> from keras_caffe_zoo.preprocessing import resize_float
        >>> image = np.array([[[0], [1]]])
        >>> resize_float(image, (1, 4)).ravel().tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    top, bottom, down = _bilinear(image.shape[0], size[0], box and box[0], scale)
    left, right, across = _bilinear(image.shape[1], size[1], box and box[1], scale)
    count = image.shape[2]
    channels = np.arange(count) if channels is None else np.asarray(channels)

    def numbers(columns):
        return (columns[:, None] * count + channels).ravel()

    def rows(places, name):
        if few and not narrow:
            pixels = image[places].reshape(len(places), -1).take(wanted, axis=1)
        else:
            shape = (len(places), *image.shape[1:])
            pixels = room.array("pixels", shape, image.dtype)
            np.take(image, places, 0, pixels, mode="clip")  # else it is buffered
        floats = room.array(name, (len(places), pixels[0].size), "float32")
        np.copyto(floats, pixels.reshape(floats.shape), casting="same_kind")
        return floats

    few = 2 * len(left) < right[-1] + 1 - left[0]  # then the others are not touched
    narrow = image.shape[1] > image.shape[0]  # the longer axis first: see `cut`
    lefts, rights = numbers(left), numbers(right)
    if few:
        wanted = np.concatenate([lefts, rights])
        if narrow:
            image = image.reshape(len(image), -1).take(wanted, axis=1)
    across = np.repeat(across, len(channels))
    resized = np.empty((len(top), len(across)), "float32")
    step = max(1, AT_ONCE // max(1, image[0].size))
    for start in range(0, len(top), step):
        part = slice(start, start + step)
        low, high = rows(top[part], "low"), rows(bottom[part], "high")
        both = _between(low, high, down[part, None])
        if few:
            low, resized[part] = np.split(both, 2, axis=1)
        else:
            low = room.array("left", resized[part].shape, "float32")
            both.take(lefts, 1, low, mode="clip")
            both.take(rights, 1, resized[part], mode="clip")
        _between(low, resized[part], across)
    return resized.reshape(len(top), len(left), len(channels))


def _between(low: np.ndarray, high: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return `low + (high - low) * weight`, computed in the place of `high`."""
    high -= low
    high *= weight
    high += low
    return high


def _bilinear(old: int, new: int, wanted: slice | None, scale: float | None):
    """Return new pixels' two old neighbours and the weight of the second.

    Args:
        old: Length of the old axis.
        new: Length of the new axis.
        wanted: The new pixels that are wanted; all if None.
        scale: By how much the axis is stretched; `new / old` if None.
    """
    start, stop = (wanted.start, wanted.stop) if wanted else (0, new)
    step = old / new if scale is None else 1 / scale
    centre = (np.arange(start, stop) + 0.5) * step - 0.5
    centre = centre.clip(0, old - 1)
    before = np.floor(centre).astype(int)
    return before, np.minimum(before + 1, old - 1), (centre - before).astype("float32")
