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
    mean = _mean_for(entry, size) if mean is None else _given_mean(mean, size)
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
            f"received: None. {entry.notes or ''}".strip()
        )
    image = mean_image(entry.name)
    if image is not None and _covers(entry.mean, image.shape, size):
        return _centre(image, size)
    if image is not None:  # of another size than the images
        return np.asarray(entry.mean.channels or image.mean((0, 1)), "float32")
    channels = entry.mean.channels or entry.mean.stand_in
    if channels is None:
        raise ValueError(
            f"Expected the mean image of {entry.name} ({entry.mean.file.name}) in the "
            "cache, since its channel means were never published; received: none. "
            f"{_how_to_get(entry)}, or pass `mean=…`."
        )
    if entry.mean.file:
        _tell_stand_in(entry, channels)
    return np.asarray(channels, "float32")


def _tell_stand_in(entry, channels) -> None:
    if entry.name not in _told:
        _told.add(entry.name)
        whose = "the" if entry.mean.channels else "another net's"
        say(
            f"The mean image of {entry.name} is not in the cache; subtracting {whose} "
            f"channel means {channels} instead. {_how_to_get(entry)}."
        )


def _how_to_get(entry) -> str:
    file = entry.mean.file
    if file.urls:
        return f"For {file.name}, run `keras-caffe-zoo download {entry.name}`"
    install = f"keras-caffe-zoo install {entry.name} {file.name}"
    return f"For {file.name}, fetch it by hand and run `{install}`"


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


def _centre(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut the centre out of an image `(H, W, 3)`."""
    top, left = ((i - s) // 2 for i, s in zip(image.shape, size, strict=False))
    return image[top : top + size[0], left : left + size[1]]


def _given_mean(mean, size) -> np.ndarray:
    """Return the caller's mean for images of a size, `(H, W, 3)` or `(3,)`."""
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
    return _centre(mean, size)


def load_image(path: str | os.PathLike, model: str, crops: int = 1) -> np.ndarray:
    """Load a picture the way a net of the zoo was tested: resized, cropped.

    The resize rule is the net's own: BVLC's nets squeeze the picture to 256 x 256, the
    VGG nets and ResNets shrink its shortest side to 256 and keep its proportions.
    Where no rule was published, the picture is squeezed. The nets for segmentation take
    the picture whole and as it is.

    Args:
        path: A picture that Pillow reads. Its EXIF orientation is applied; a palette,
            grey or CMYK picture becomes RGB.
        model: The net's name, such as `"caffenet"`.
        crops: 1 for the centre, or 10 for Caffe's ten: see `ten_crops`. Average the
            answers to ten crops for the figures that papers call "10-crop".

    Returns:
        RGB uint8 array `(size, size, 3)`, 227 for CaffeNet, to put into a batch
        (`image[None]`) and to pass to `preprocess_input`. A batch of ten,
        `(10, size, size, 3)`, for ten crops. `(H, W, 3)` for segmentation.

    Raises:
        ValueError: If the zoo has no such net, the file is no picture, `crops` is
            another number, or the net takes whole pictures and `crops` is 10.
    """
    entry = model_entry(model)
    if crops not in (1, 10) or (crops == 10 and entry.input_size is None):
        expected = "1 or 10" if entry.input_size else f"1 for {model}, which crops none"
        raise ValueError(f"Expected crops to be {expected}; received: crops={crops!r}")
    image = read_picture(path)
    if entry.input_size is None:
        return image
    image = _resize_for(entry, image)
    if crops == 10:
        return ten_crops(image, (entry.input_size, entry.input_size))
    return _centre(image, (entry.input_size, entry.input_size))


def _resize_for(entry, image: np.ndarray) -> np.ndarray:
    """Resize a picture by the rule of a net."""
    size = entry.resize.size if entry.resize else 256
    if entry.resize is None or entry.resize.rule == "warp":
        return resize(image, (size, size))
    short = min(image.shape[:2])
    sides = (max(size, round(side * size / short)) for side in image.shape[:2])
    return resize(image, tuple(sides))


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
    """
    image = np.asarray(image)
    if image.ndim != 3 or any(s < c for s, c in zip(image.shape, size, strict=False)):
        raise ValueError(
            f"Expected an image (H, W, C) of at least {size[0]} x {size[1]} pixels; "
            f"received: shape {image.shape}"
        )
    down, across = (s - c for s, c in zip(image.shape, size, strict=False))
    places = [(0, 0), (0, across), (down, 0), (down, across), (down // 2, across // 2)]
    crops = np.stack([image[y:, x:][: size[0], : size[1]] for y, x in places])
    return np.concatenate([crops, crops[:, :, ::-1]])


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
    return np.rint(resize_float(image, size)).astype("uint8")


def resize_float(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image like `resize`, without rounding.

    Args:
        image: Array `(H, W, C)` of any numeric type.
        size: New height and width.

    Returns:
        Float32 array of the new size.
    """
    resized = image.astype("float32")
    for axis in (0, 1):
        before, after, weight = _bilinear(image.shape[axis], size[axis])
        weight = np.expand_dims(weight, tuple(i for i in range(3) if i != axis))
        low, high = resized.take(before, axis), resized.take(after, axis)
        resized = low + (high - low) * weight
    return resized


def _bilinear(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each new pixel's two old neighbours and the weight of the second."""
    centre = (np.arange(new) + 0.5) * (old / new) - 0.5
    centre = centre.clip(0, old - 1)
    before = np.floor(centre).astype(int)
    return before, np.minimum(before + 1, old - 1), (centre - before).astype("float32")
