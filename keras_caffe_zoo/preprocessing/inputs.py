"""From pictures to what each net wants to eat."""

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_caffe_zoo.files import check_file
from keras_caffe_zoo.lazy import keras, ops
from keras_caffe_zoo.pictures import read_picture
from keras_caffe_zoo.preprocessing.crops import five_boxes, with_mirror_images
from keras_caffe_zoo.preprocessing.means import mean_for
from keras_caffe_zoo.preprocessing.resizing import resize, resize_float
from keras_caffe_zoo.weights import model_entry
from keras_caffe_zoo.weights.manifest import Resize


def preprocess_input(
    images,
    model: str,
    data_format: str | None = None,
    mean=None,
    scale: float | None = None,
):
    """Turn RGB images into what a net of the zoo was trained on.

    `(image - mean) * scale` in the net's order of channels, which is BGR but for a few.
    The mean is the published mean image where that is in the cache (cut to the centre
    of a smaller input, as Caffe does), else its channel means. The scale is 1 for most
    nets, whose values so stay in 0-255.

    Args:
        images: RGB, 0-255, of any numeric type: `(N, H, W, 3)` or `(H, W, 3)`, or
            `(N, 3, H, W)` or `(3, H, W)` with `channels_first`. An array or a tensor;
            it is not changed.
        model: The net's name, such as `"caffenet"`.
        data_format: `"channels_last"` or `"channels_first"`; Keras' setting if None.
        mean: Another mean instead, in BGR: three numbers, or an image `(H, W, 3)`.
        scale: Another factor instead.

    Returns:
        Float32 of the same shape and kind, as the net takes it.

    Raises:
        ValueError: If the zoo has no such net, the net takes no pictures, the channels
            are not three, or the mean image is smaller than the images.

    Example:
        >>> red = np.zeros((1, 224, 224, 3), "uint8")
        >>> red[..., 0] = 255
        >>> x = kcz.preprocess_input(red, "vgg16")
        >>> [f"{value:.3f}" for value in x[0, 0, 0]]  # BGR, less the mean
        ['-103.939', '-116.779', '131.320']
    """
    data_format = data_format or keras.config.image_data_format()
    entry = model_entry(model)
    if entry.task == "colorization":
        raise ValueError(
            f"Expected a net that takes pictures; received: {model!r}, which takes "
            "lightness. `keras_caffe_zoo.colorize` makes it of pictures"
        )
    shape = tuple(images.shape)
    axis = -1 if data_format == "channels_last" else -3
    if len(shape) not in (3, 4) or shape[axis] != 3:
        raise ValueError(
            f"Expected RGB images, (N, H, W, 3) or (H, W, 3) for channels_last, "
            f"(N, 3, H, W) or (3, H, W) for channels_first; received: shape {shape} "
            f"with data_format={data_format!r}"
        )
    size = shape[-3:-1] if axis == -1 else shape[-2:]
    mean = ordered(mean_for(entry, size, mean), entry)
    if axis == -3:
        mean = np.moveaxis(mean, -1, 0) if mean.ndim == 3 else mean[:, None, None]
    factor = np.float32(entry.scale if scale is None else scale)
    turned = entry.channel_order == "BGR"
    if isinstance(images, np.ndarray):
        images = np.flip(images, axis) if turned else images
        return normalized(images.astype("float32", order="C"), mean, factor)
    images = ops.cast(ops.flip(images, axis) if turned else images, "float32") - mean
    return images if factor == 1 else images * factor


def ordered(channels: np.ndarray, entry) -> np.ndarray:
    """Return BGR images or means `(…, 3)` in the net's order of channels.

    Example:
        >>> from keras_caffe_zoo.preprocessing import ordered
        >>> bgr = np.array([104, 117, 123])
        >>> names = ["caffenet", "shufflenet_v2_x05"]
        >>> [ordered(bgr, kcz.model_info(name)).tolist() for name in names]
        [[104, 117, 123], [123, 117, 104]]
    """
    return channels if entry.channel_order == "BGR" else channels[..., ::-1]


def load_image(
    path: str | os.PathLike, model: str | None = None, crops: int = 1
) -> np.ndarray:
    """Load a picture: as it is, or the way a net was tested, resized and cropped.

    The resize rule is the net's own: BVLC's nets squeeze the picture to 256 x 256, the
    VGG nets and ResNets shrink its shortest side to 256 and keep its proportions.
    Where no rule was published, the picture is squeezed. Some nets take the picture
    whole: squeezed to their own size, as it is, or, Faster R-CNN and R-FCN, with its
    shortest side of 600 pixels and its longest of at most 1000.

    Args:
        path: A picture that Pillow reads. Its EXIF orientation is applied; a palette,
            grey or CMYK picture becomes RGB.
        model: The net's name, such as `"caffenet"`. Without one the picture keeps its
            size, for what prepares pictures itself: `classify`, `detect`,
            `predict_dense`, ….
        crops: 1 for the centre, or 10 for Caffe's ten: see `ten_crops`. Average the
            answers to ten crops for the figures that papers call "10-crop".

    Returns:
        RGB uint8 array `(height, width, 3)` of the net's input size, 227 x 227 for
        CaffeNet, to put into a batch (`image[None]`) and to pass to `preprocess_input`.
        A batch of ten, `(10, height, width, 3)`, for ten crops. The picture's own size
        for nets that take any, and without a net.

    Raises:
        ValueError: If the zoo has no such net, the file is no picture, `crops` is
            another number, or the net takes whole pictures and `crops` is 10.

    Example:
        >>> keras.utils.save_img("photo.png", np.zeros((300, 400, 3)))
        >>> kcz.load_image("photo.png").shape
        (300, 400, 3)
        >>> kcz.load_image("photo.png", "caffenet").shape
        (227, 227, 3)
        >>> kcz.load_image("photo.png", "caffenet", crops=10).shape
        (10, 227, 227, 3)
        >>> kcz.load_image("photo.png", "fcn8s").shape  # of any size
        (300, 400, 3)
    """
    if model is None and crops != 1:
        raise ValueError(
            f"Expected `model`, whose size crops are of; received: crops={crops!r} "
            "without one"
        )
    entry = None if model is None else model_entry(model)
    if entry is not None:
        check_crops(entry, crops)
    try:
        picture = read_picture(path)
    except FileNotFoundError:
        check_file(path, "a picture")  # raises, and tells which may be meant
        raise
    return picture if entry is None else cut(picture, entry, crops)


def check_crops(entry, crops: int) -> None:
    """Refuse a number of crops that a net does not take.

    Raises:
        ValueError: If `crops` is neither 1 nor 10, or 10 for a net of whole pictures.

    Example:
        >>> from keras_caffe_zoo.preprocessing import check_crops
        >>> check_crops(kcz.model_info("caffenet"), 10)
        >>> check_crops(kcz.model_info("fcn8s"), 10)
        Traceback (most recent call last):
        ValueError: Expected crops to be 1 for fcn8s, which crops none; received:
        crops=10
    """
    whole = entry.input_size is None or (
        entry.resize is not None and entry.resize.rule == "to_input"
    )
    if crops not in (1, 10) or (crops == 10 and whole):
        expected = f"1 for {entry.name}, which crops none" if whole else "1 or 10"
        raise ValueError(f"Expected crops to be {expected}; received: crops={crops!r}")


def cut(image: np.ndarray, entry, crops: int = 1) -> np.ndarray:
    """Resize and crop a picture by the rule of a net, as `load_image` does.

    Args:
        image: RGB uint8 array `(H, W, 3)`.
        entry: The net's `ModelEntry`.
        crops: 1 or 10.

    Returns:
        RGB uint8 array, of the shape that `load_image` tells.

    Example:
        >>> from keras_caffe_zoo.preprocessing import cut
        >>> picture = np.zeros((300, 400, 3), "uint8")
        >>> cut(picture, kcz.model_info("resnet50")).shape
        (224, 224, 3)
    """
    if entry.input_size is None:
        if entry.resize is None:
            return image
        return np.rint(fit(image, entry.resize)[0]).astype("uint8")
    size, sides = entry.input_size, resized_sides(entry, image.shape)
    if crops == 1:
        return resize(image, sides, five_boxes(sides, size)[-1])
    # Box by box: a picture 1 pixel high may be enlarged to millions of columns.
    five = [resize(image, sides, box) for box in five_boxes(sides, size)]
    return with_mirror_images(five)


def cut_input(image: np.ndarray, entry, mean: np.ndarray, crops: int = 1) -> np.ndarray:
    """Return `preprocess_input(cut(image, entry, crops))`, with a mean at hand.

    Args:
        image: RGB uint8 array `(H, W, 3)`.
        entry: The `ModelEntry` of a net with an input size.
        mean: What `mean_for` returned.
        crops: 1 or 10.

    Returns:
        Float32, as the net takes it: `(H, W, 3)` or `(10, H, W, 3)` of its input size.

    Example:
        >>> from keras_caffe_zoo.preprocessing import cut_input
        >>> picture = np.full((300, 400, 3), 130, "uint8")
        >>> mean = np.float32([104, 117, 123])
        >>> x = cut_input(picture, kcz.model_info("resnet50"), mean)
        >>> x.shape, x[0, 0].tolist()
        ((224, 224, 3), [26.0, 13.0, 7.0])
    """
    return net_input(cut(image, entry, crops), entry, mean)


def net_input(images: np.ndarray, entry, mean: np.ndarray) -> np.ndarray:
    """Return RGB images `(…, H, W, 3)` as a net takes them.

    Args:
        images: Of any numeric type.
        entry: The net's `ModelEntry`.
        mean: What `mean_for` returned.

    Example:
        >>> from keras_caffe_zoo.preprocessing import net_input
        >>> rgb, mean = np.array([[[255, 128, 0]]]), np.float32([104, 117, 123])
        >>> net_input(rgb, kcz.model_info("resnet50"), mean).tolist()
        [[[-104.0, 11.0, 132.0]]]
    """
    turned = entry.channel_order == "BGR"
    return prepared(images, ordered(mean, entry), entry.scale, turned)


def prepared(
    images: np.ndarray, mean: np.ndarray, scale: float, turned: bool
) -> np.ndarray:
    """Return RGB or grey images `(…, H, W, C)` as a net takes them.

    Args:
        images: Of any numeric type.
        mean: As for `normalized`.
        scale: As for `normalized`.
        turned: Whether the net takes the channels in the other order.
    """
    if turned:
        floats = np.empty(images.shape, "float32")
        for channel in range(images.shape[-1]):  # faster than pixels turned one by one
            floats[..., channel] = images[..., -1 - channel]
    else:
        floats = images.astype("float32", order="C")
    return normalized(floats, mean, np.float32(scale))


def normalized(
    images: np.ndarray, mean: np.ndarray | None, scale: np.float32
) -> np.ndarray:
    """Subtract a mean from contiguous images and scale them, in their place.

    Args:
        images: Float32 `(…, H, W, C)`, in the order of channels of the mean.
        mean: `(C,)`, `(1,)` or `(H, W, C)`; nothing is subtracted if None.
        scale: What the difference is multiplied by.
    """
    if mean is None:
        pass
    elif mean.ndim == 1:  # row by row: many times as fast as pixel by pixel
        rows = images.reshape(*images.shape[:-2], -1)
        rows -= mean if len(mean) == 1 else np.tile(mean, images.shape[-2])
    else:
        images -= mean
    if scale != 1:
        images *= scale
    return images


def fit(
    image: np.ndarray, rule: Resize, channels: Sequence[int] | None = None
) -> tuple[np.ndarray, float]:
    """Resize a whole picture by the rule `"fit"` of a net, as its authors did.

    Args:
        image: Array `(H, W, C)` of any numeric type.
        rule: The rule.
        channels: The channels that are wanted, in their new order; all if None.

    Returns:
        `(image, scale)`: float32, not rounded, and by how much it was enlarged.

    Example:
        >>> from keras_caffe_zoo.preprocessing import fit
        >>> picture = np.zeros((375, 500, 3), "uint8")
        >>> image, scale = fit(picture, kcz.model_info("faster_rcnn_zf").resize)
        >>> image.shape, scale
        ((600, 800, 3), 1.6)
    """
    scale = _fitting_scale(rule, image.shape)
    sides = _scaled_sides(image.shape, scale)
    # The sides are rounded; the places of the pixels are not.
    return resize_float(image, sides, channels=channels, scale=scale), scale


def _fitting_scale(rule: Resize, shape) -> float:
    """Return by how much a picture is enlarged by the rule `"fit"`."""
    scale = rule.size / min(shape[:2])
    if round(scale * max(shape[:2])) > rule.longest:
        return rule.longest / max(shape[:2])
    return scale


def _scaled_sides(shape, scale: float) -> tuple[int, int]:
    height, width = (max(1, round(side * scale)) for side in shape[:2])
    return height, width


def grey(image: np.ndarray) -> np.ndarray:
    """Return an RGB uint8 image `(H, W, 3)` in grey, `(H, W, 1)`, as Pillow does."""
    return np.asarray(Image.fromarray(image).convert("L"))[..., None]


def resized_sides(entry, shape) -> tuple[int, int]:
    """Return the height and width that a net's rule resizes a picture to.

    Example:
        >>> from keras_caffe_zoo.preprocessing import resized_sides
        >>> resized_sides(kcz.model_info("caffenet"), (300, 400))
        (256, 256)
        >>> resized_sides(kcz.model_info("vgg16"), (300, 400))
        (256, 341)
    """
    if entry.resize and entry.resize.rule == "fit":
        return _scaled_sides(shape, _fitting_scale(entry.resize, shape))
    if entry.resize and entry.resize.rule == "to_input":
        return entry.input_size
    size = entry.resize.size if entry.resize else 256
    if entry.resize is None or entry.resize.rule == "warp":
        return size, size
    short = min(shape[:2])
    height, width = (max(size, round(side * size / short)) for side in shape[:2])
    return height, width
