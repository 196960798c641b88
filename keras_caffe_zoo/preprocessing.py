"""What each net wants to eat: images resized, cropped, BGR, the mean subtracted."""

import os

import keras
import numpy as np
from keras import ops
from PIL import Image, ImageOps

from keras_caffe_zoo.weights import mean_image, model_entry
from keras_caffe_zoo.weights.transfer import say

_told: set[str] = set()


def preprocess_input(images, model: str, data_format: str | None = None, mean=None):
    """Turn RGB images into what a net of the zoo was trained on.

    Channels are reversed to BGR and the net's mean is subtracted; values stay in
    0-255. The mean is the published mean image where that is in the cache (cut to the
    centre of a smaller input, as Caffe does), else its channel means.

    Args:
        images: RGB, 0-255, of any numeric type: `(N, H, W, 3)` or `(H, W, 3)`, or
            `(N, 3, H, W)` or `(3, H, W)` with `channels_first`. An array or a tensor;
            it is not changed.
        model: The net's name, such as `"caffenet"`.
        data_format: `"channels_last"` or `"channels_first"`; Keras' setting if None.
        mean: Another mean instead, in BGR: three numbers, or an image `(H, W, 3)`.

    Returns:
        Float32 of the same shape and kind, BGR, mean-subtracted.

    Raises:
        ValueError: If the zoo has no such net, the channels are not three, or the mean
            image is smaller than the images.
    """
    data_format = data_format or keras.config.image_data_format()
    entry = model_entry(model)
    shape = tuple(images.shape)
    axis = -1 if data_format == "channels_last" else -3
    if len(shape) not in (3, 4) or shape[axis] != 3:
        raise ValueError(
            f"Expected RGB images, (N, H, W, 3) or (H, W, 3) for channels_last, "
            f"(N, 3, H, W) or (3, H, W) for channels_first; received: shape {shape} "
            f"with data_format={data_format!r}"
        )
    size = shape[-3:-1] if axis == -1 else shape[-2:]
    mean = _mean_for(entry, size) if mean is None else _centre(mean, size)
    if axis == -3:
        mean = np.moveaxis(mean, -1, 0) if mean.ndim == 3 else mean[:, None, None]
    if isinstance(images, np.ndarray):
        bgr = np.flip(images, axis).astype("float32")
        bgr -= mean
        return bgr
    return ops.cast(ops.flip(images, axis), "float32") - mean


def _mean_for(entry, size) -> np.ndarray:
    """Return the mean to subtract from images of a size, `(H, W, 3)` or `(3,)`."""
    if entry.mean is None:
        raise ValueError(
            f"Expected `mean=…` for {entry.name}, whose mean was never published; "
            "received: None"
        )
    image = mean_image(entry.name)
    if image is not None and _covers(entry.mean, image.shape, size):
        return _centre(image, size)
    if image is not None and entry.mean.kind == "pixel":
        return image.mean((0, 1))  # for inputs of another size than its own
    channels = entry.mean.channels or entry.mean.stand_in
    if channels is None:
        raise ValueError(
            f"Expected the mean image of {entry.name} ({entry.mean.file.name}) in the "
            "cache, since its channel means were never published; received: none. "
            f"Fetch it and run `keras-caffe-zoo install {entry.name} FILE`, or pass "
            "`mean=…`."
        )
    if image is None and entry.mean.file and entry.name not in _told:
        _told.add(entry.name)
        say(
            f"The mean image of {entry.name} is not in the cache; subtracting the "
            f"channel means {channels} instead. To have it, fetch "
            f"{entry.mean.file.name} and run `keras-caffe-zoo install {entry.name} "
            f"{entry.mean.file.name}`."
        )
    return np.asarray(channels, "float32")


def _covers(mean, shape, size) -> bool:
    """Tell whether a mean image serves inputs of a size.

    One that was subtracted before the crop ("image") serves any smaller input; one
    that belongs to the cropped input ("pixel") serves exactly its own size.
    """
    if None in size:
        return False
    if mean.kind == "pixel":
        return tuple(shape[:2]) == tuple(size)
    return shape[0] >= size[0] and shape[1] >= size[1]


def _centre(mean, size) -> np.ndarray:
    mean = np.asarray(mean, "float32")
    if mean.shape == (3,):
        return mean
    if (
        mean.ndim != 3
        or mean.shape[2] != 3
        or None in size
        or any(m < s for m, s in zip(mean.shape, size, strict=False))
    ):
        raise ValueError(
            "Expected `mean` to be three numbers or an image (H, W, 3) no smaller than "
            f"the images, {tuple(size)}; received: shape {mean.shape}"
        )
    top, left = ((m - s) // 2 for m, s in zip(mean.shape, size, strict=False))
    return mean[top : top + size[0], left : left + size[1]]


def load_image(path: str | os.PathLike, model: str) -> np.ndarray:
    """Load a picture the way a net of the zoo was tested: resized, centre cropped.

    The resize rule is the net's own: BVLC's nets squeeze the picture to 256 x 256, the
    VGG nets and ResNets shrink its shortest side to 256 and keep its proportions.
    Where no rule was published, the picture is squeezed.

    Args:
        path: A picture that Pillow reads. Its EXIF orientation is applied; a palette,
            grey or CMYK picture becomes RGB.
        model: The net's name, such as `"caffenet"`.

    Returns:
        RGB uint8 array `(size, size, 3)`, 227 for CaffeNet, to put into a batch
        (`image[None]`) and to pass to `preprocess_input`.

    Raises:
        ValueError: If the zoo has no such net, or the file is no picture.
    """
    entry = model_entry(model)
    image = read_picture(path)
    rule, size = (
        (entry.resize.rule, entry.resize.size) if entry.resize else ("warp", 256)
    )
    target = (size, size)
    if rule == "shortest_side":
        short = min(image.shape[:2])
        target = tuple(
            max(size, round(side * size / short)) for side in image.shape[:2]
        )
    image = resize(image, target)
    crop = entry.input_size or size
    top, left = ((side - crop) // 2 for side in target)
    return image[top : top + crop, left : left + crop]


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """Return a picture as an RGB uint8 array `(H, W, 3)`.

    Raises:
        ValueError: If the file is no picture, or a damaged one.
    """
    try:
        with Image.open(path) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, FileNotFoundError | IsADirectoryError | PermissionError):
            raise
        raise ValueError(
            f"Expected a picture that Pillow can read; received: {os.fspath(path)} "
            f"({error})"
        ) from error


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image as OpenCV did for Caffe: bilinear, without antialiasing.

    Args:
        image: RGB uint8 array `(H, W, 3)`.
        size: New height and width.

    Returns:
        RGB uint8 array of the new size.
    """
    if image.shape[:2] == tuple(size):
        return image
    resized = image.astype("float32")
    for axis in (0, 1):
        before, after, weight = _bilinear(image.shape[axis], size[axis])
        weight = np.expand_dims(weight, tuple(i for i in range(3) if i != axis))
        low, high = resized.take(before, axis), resized.take(after, axis)
        resized = low + (high - low) * weight
    return np.rint(resized).astype("uint8")


def _bilinear(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each new pixel, its two old neighbours and the weight of the second."""
    centre = (np.arange(new) + 0.5) * (old / new) - 0.5
    centre = centre.clip(0, old - 1)
    before = np.floor(centre).astype(int)
    return before, np.minimum(before + 1, old - 1), (centre - before).astype("float32")
