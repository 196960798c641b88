"""Which mean a net subtracts from images of a size."""

import numpy as np

from keras_caffe_zoo.messages import say
from keras_caffe_zoo.preprocessing.crops import centre
from keras_caffe_zoo.weights import mean_image

_told: set[str] = set()


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

    Example:
        >>> from keras_caffe_zoo.preprocessing import mean_for
        >>> [f"{x:.3f}" for x in mean_for(kcz.model_info("vgg16"), (224, 224))]
        ['103.939', '116.779', '123.680']
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
        return centre(image, size)
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
    return centre(mean, size)
