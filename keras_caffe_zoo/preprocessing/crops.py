"""Cut an image as Caffe did: the centre, or ten crops."""

import numpy as np


def centre(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut the centre out of an image `(H, W, 3)`."""
    top, left = ((i - s) // 2 for i, s in zip(image.shape, size, strict=False))
    return image[top : top + size[0], left : left + size[1]]


def ten_crops(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut ten crops out of an image, as Caffe's `caffe.io.oversample` did.

    Args:
        image: Array `(H, W, C)`, of any type.
        size: Height and width of a crop.

    Returns:
        Array `(10, height, width, C)`: the corners top left, top right, bottom left and
        bottom right, the centre, then the mirror images of these five.

    Raises:
        ValueError: If the image is smaller than a crop.

    Example:
        >>> from keras_caffe_zoo.preprocessing import ten_crops
        >>> image = np.arange(9).reshape(3, 3, 1)
        >>> ten_crops(image, (1, 1)).ravel().tolist()  # and mirrored
        [0, 2, 6, 8, 4, 0, 2, 6, 8, 4]
    """
    image = np.asarray(image)
    if image.ndim != 3 or any(s < c for s, c in zip(image.shape, size, strict=False)):
        raise ValueError(
            f"Expected an image (H, W, C) of at least {size[0]} x {size[1]} pixels; "
            f"received: shape {image.shape}"
        )
    return with_mirror_images([image[box] for box in five_boxes(image.shape, size)])


def five_boxes(shape, size: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Return where the corners and the centre of an image are, the centre last."""
    down, across = (s - c for s, c in zip(shape, size, strict=False))
    places = [(0, 0), (0, across), (down, 0), (down, across), (down // 2, across // 2)]
    return [(slice(y, y + size[0]), slice(x, x + size[1])) for y, x in places]


def with_mirror_images(crops: list[np.ndarray]) -> np.ndarray:
    """Return a batch of crops, followed by their mirror images."""
    crops = np.stack(crops)
    return np.concatenate([crops, crops[:, :, ::-1]])
