"""What each net wants to eat: images resized, cropped, BGR, the mean subtracted."""

import os
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.messages import say
from keras_caffe_zoo.pictures import read_picture
from keras_caffe_zoo.weights import mean_image, model_entry

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
    mean = mean_for(entry, size, mean)
    if axis == -3:
        mean = np.moveaxis(mean, -1, 0) if mean.ndim == 3 else mean[:, None, None]
    if isinstance(images, np.ndarray):
        return _minus(np.flip(images, axis).astype("float32", order="C"), mean)
    return ops.cast(ops.flip(images, axis), "float32") - mean


def mean_for(entry, size, mean=None) -> np.ndarray:
    """Return what `preprocess_input` subtracts from images of a size.

    Args:
        entry: The net's `ModelEntry`.
        size: Height and width; `None` where they are not known.
        mean: Another mean instead, as for `preprocess_input`.

    Returns:
        Float32, BGR: `(H, W, 3)` or `(3,)`.

    Raises:
        ValueError: If none is known, or the one given does not fit.
    """
    if mean is not None:
        return _given_mean(mean, size)
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
    check_crops(entry, crops)
    return cut(read_picture(path), entry, crops)


def check_crops(entry, crops: int) -> None:
    """Refuse a number of crops that a net does not take.

    Raises:
        ValueError: If `crops` is neither 1 nor 10, or 10 for a net of whole pictures.
    """
    if crops not in (1, 10) or (crops == 10 and entry.input_size is None):
        whole = f"1 for {entry.name}, which crops none"
        expected = "1 or 10" if entry.input_size else whole
        raise ValueError(f"Expected crops to be {expected}; received: crops={crops!r}")


def cut(image: np.ndarray, entry, crops: int = 1) -> np.ndarray:
    """Resize and crop a picture by the rule of a net, as `load_image` does.

    Args:
        image: RGB uint8 array `(H, W, 3)`.
        entry: The net's `ModelEntry`.
        crops: 1 or 10.

    Returns:
        RGB uint8 array, of the shape that `load_image` tells.
    """
    if entry.input_size is None:
        return image
    size = (entry.input_size, entry.input_size)
    sides = resized_sides(entry, image.shape)
    if crops == 1:
        return _resized_box(image, sides, _five_boxes(sides, size)[-1])
    # Box by box: a picture 1 pixel high may be enlarged to millions of columns.
    five = [_resized_box(image, sides, box) for box in _five_boxes(sides, size)]
    return _with_mirror_images(five)


def _resized_box(image: np.ndarray, sides, box) -> np.ndarray:
    """Return a part of `resize(image, sides)`."""
    if image.shape[:2] == sides:
        return image[box]
    pixels = resize_float(image, sides, box=box)
    return np.rint(pixels, out=pixels).astype("uint8")


def cut_input(image: np.ndarray, entry, mean: np.ndarray, crops: int = 1) -> np.ndarray:
    """Return `preprocess_input(cut(image, entry, crops))`, in fewer steps.

    Args:
        image: RGB uint8 array `(H, W, 3)`.
        entry: The `ModelEntry` of a net with an input size.
        mean: What `mean_for` returned.
        crops: 1 or 10.

    Returns:
        Float32, BGR, mean-subtracted: `(size, size, 3)` or `(10, size, size, 3)`.
    """
    sides = resized_sides(entry, image.shape)
    if crops == 10 or image.shape[:2] == sides:
        return bgr_minus(cut(image, entry, crops), mean)
    box = _five_boxes(sides, (entry.input_size, entry.input_size))[-1]
    pixels = resize_float(image, sides, box=box, channels=(2, 1, 0))
    np.rint(pixels, out=pixels)  # as uint8 rounds
    return _minus(pixels, mean)


def bgr_minus(images: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return RGB images `(…, H, W, 3)` as float32 BGR with the mean subtracted."""
    return _minus(np.flip(images, -1).astype("float32", order="C"), mean)


def _minus(images: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Subtract a mean from contiguous images, in their place."""
    if mean.ndim == 1:  # row by row: many times as fast as pixel by pixel
        rows = images.reshape(*images.shape[:-2], -1)
        rows -= np.tile(mean, images.shape[-2])
    else:
        images -= mean
    return images


def resized_sides(entry, shape) -> tuple[int, int]:
    """Return the height and width that a net's rule resizes a picture to."""
    size = entry.resize.size if entry.resize else 256
    if entry.resize is None or entry.resize.rule == "warp":
        return size, size
    short = min(shape[:2])
    height, width = (max(size, round(side * size / short)) for side in shape[:2])
    return height, width


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
    return _with_mirror_images([image[box] for box in _five_boxes(image.shape, size)])


def _five_boxes(shape, size: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Return where the corners and the centre of an image are, the centre last."""
    down, across = (s - c for s, c in zip(shape, size, strict=False))
    places = [(0, 0), (0, across), (down, 0), (down, across), (down // 2, across // 2)]
    return [(slice(y, y + size[0]), slice(x, x + size[1])) for y, x in places]


def _with_mirror_images(crops: list[np.ndarray]) -> np.ndarray:
    crops = np.stack(crops)
    return np.concatenate([crops, crops[:, :, ::-1]])


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


def resize_float(
    image: np.ndarray,
    size: tuple[int, int],
    *,
    box: tuple[slice, slice] | None = None,
    channels: Sequence[int] | None = None,
) -> np.ndarray:
    """Resize an image like `resize`, without rounding.

    Args:
        image: Array `(H, W, C)` of any numeric type.
        size: New height and width.
        box: The rows and columns of the new image that are wanted; all if None. Only
            they are computed.
        channels: The channels that are wanted, in their new order; all if None.

    Returns:
        Float32 array of the new size, or of the box's.
    """
    top, bottom, down = _bilinear(image.shape[0], size[0], box and box[0])
    left, right, across = _bilinear(image.shape[1], size[1], box and box[1])
    count = image.shape[2]
    channels = np.arange(count) if channels is None else np.asarray(channels)

    def numbers(columns):
        return (columns[:, None] * count + channels).ravel()

    def rows(places):
        return pick(image[places].reshape(len(places), -1)).astype("float32")

    start, stop = left[0], right[-1] + 1
    few = 2 * len(left) < stop - start  # then the others are not even touched
    if few:
        wanted = np.concatenate([numbers(left), numbers(right)])

        def pick(pixels):
            return pixels.take(wanted, axis=1)

        if image.shape[1] > image.shape[0]:  # the longer axis first: see `cut`
            image, pick = pick(image.reshape(len(image), -1)), np.asarray
    else:
        image, pick = image[:, start:stop], np.asarray
    resized = _between(rows(top), rows(bottom), down[:, None])
    if few:
        low, high = np.split(resized, 2, axis=1)
    else:
        low, high = (resized.take(numbers(c - start), axis=1) for c in (left, right))
    resized = _between(low, high, np.repeat(across, len(channels)))
    return resized.reshape(len(top), len(left), len(channels))


def _between(low: np.ndarray, high: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return `low + (high - low) * weight`, computed in the place of `high`."""
    high -= low
    high *= weight
    high += low
    return high


def _bilinear(old: int, new: int, wanted: slice | None = None):
    """Return new pixels' two old neighbours and the weight of the second.

    Args:
        old: Length of the old axis.
        new: Length of the new axis.
        wanted: The new pixels that are wanted; all if None.
    """
    start, stop = (wanted.start, wanted.stop) if wanted else (0, new)
    centre = (np.arange(start, stop) + 0.5) * (old / new) - 0.5
    centre = centre.clip(0, old - 1)
    before = np.floor(centre).astype(int)
    return before, np.minimum(before + 1, old - 1), (centre - before).astype("float32")
