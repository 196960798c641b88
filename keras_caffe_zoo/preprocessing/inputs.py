"""From pictures to what each net wants to eat."""

import os

import numpy as np

from keras_caffe_zoo.lazy import keras, ops
from keras_caffe_zoo.pictures import read_picture
from keras_caffe_zoo.preprocessing.crops import five_boxes, with_mirror_images
from keras_caffe_zoo.preprocessing.means import mean_for
from keras_caffe_zoo.preprocessing.resizing import resize_float
from keras_caffe_zoo.weights import model_entry


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
        return _resized_box(image, sides, five_boxes(sides, size)[-1])
    # Box by box: a picture 1 pixel high may be enlarged to millions of columns.
    five = [_resized_box(image, sides, box) for box in five_boxes(sides, size)]
    return with_mirror_images(five)


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
    box = five_boxes(sides, (entry.input_size, entry.input_size))[-1]
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
