"""SSD's distortion of colours, in OpenCV's arithmetic of 8 bits."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_caffe_zoo.training.data.order import Draws

_SHIFT = 12  # bits of OpenCV's fixed-point quotients
_AT_ONCE = 1 << 13  # pixels
_LEVELS = np.arange(256)
# Of value, least and greatest share and what lies between: which are B, G and R in each
# sixth of the circle of hues.
_SIXTHS = np.array([[1, 3, 0], [1, 0, 2], [3, 0, 1], [0, 2, 1], [0, 1, 3], [2, 1, 0]])
_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@dataclass(frozen=True)
class Distortion:
    """Changes a picture's brightness, contrast, saturation, hue and order of channels.

    Each with a probability of its own, in this order, or, half of the time, with the
    contrast behind the hue. Values are rounded and kept within 0 to 255 after each.

    Attributes:
        brightness_prob, brightness_delta: How often, and up to how much is added or
            taken away.
        contrast_prob, contrast_lower, contrast_upper: How often, and by what it is
            multiplied.
        saturation_prob, saturation_lower, saturation_upper: How often, and by what the
            saturation is multiplied, which is of 0 to 255.
        hue_prob, hue_delta: How often, and up to how much is added to the hue or taken
            away, in units of two degrees. Below 0 it is 0, as in the fork.
        random_order_prob: How often channels are shuffled.

    Raises:
        ValueError: If a number is negative or infinite, or limits are crossed.

    Reference:
        `ApplyDistort` of the SSD fork of Caffe, and OpenCV's conversions to and from
        HSV, which are those of its scalar code, bit by bit; the vector code of
        OpenCV 4 drops what follows the point on the way back, and so may be one less.

    Example:
        >>> from keras_caffe_zoo.training import AnnotatedTransform, Distortion
        >>> brighter = Distortion(brightness_prob=1, brightness_delta=32)
        >>> transform = AnnotatedTransform(distortion=brighter)
        >>> image, _ = transform(np.full((4, 4, 3), 100, "uint8"), np.zeros((0, 8)))
        >>> len(np.unique(image))  # all pixels by as much
        1
        >>> bool(68 <= image.max() <= 132)
        True
    """

    brightness_prob: float = 0.0
    brightness_delta: float = 0.0
    contrast_prob: float = 0.0
    contrast_lower: float = 0.0
    contrast_upper: float = 0.0
    hue_prob: float = 0.0
    hue_delta: float = 0.0
    saturation_prob: float = 0.0
    saturation_lower: float = 0.0
    saturation_upper: float = 0.0
    random_order_prob: float = 0.0

    def __post_init__(self):
        wrong = {k: v for k, v in vars(self).items() if not 0 <= v < np.inf}
        if wrong:
            raise ValueError(f"Expected finite numbers from 0 on; received: {wrong}")
        for kind in ("contrast", "saturation"):
            lower = getattr(self, f"{kind}_lower")
            upper = getattr(self, f"{kind}_upper")
            if lower > upper:
                raise ValueError(
                    f"Expected {kind}_lower <= {kind}_upper; received: {lower}, {upper}"
                )

    @classmethod
    def from_message(cls, message) -> "Distortion":
        """Return what a `distort_param` in a prototxt asks for."""
        return cls(**{field.name: value for field, value in message.ListFields()})

    def draw(self, draws: Draws) -> tuple[tuple[str, float], ...]:
        """Return what is done to a picture: the steps' names and values, in order."""
        contrast_first = draws.uniform() > 0.5
        contrast = (
            "contrast",
            self.contrast_prob,
            self.contrast_lower,
            self.contrast_upper,
        )
        kinds = [
            (
                "brightness",
                self.brightness_prob,
                -self.brightness_delta,
                self.brightness_delta,
            ),
            (
                "saturation",
                self.saturation_prob,
                self.saturation_lower,
                self.saturation_upper,
            ),
            ("hue", self.hue_prob, -self.hue_delta, self.hue_delta),
        ]
        kinds.insert(1 if contrast_first else 3, contrast)
        steps = []
        for name, probability, low, high in kinds:
            if draws.uniform() < probability:
                steps.append((name, float(draws.uniform(low, high))))
        if draws.uniform() < self.random_order_prob:
            steps.append(("order", float(draws.below(len(_PERMUTATIONS)))))
        return tuple(steps)


def distorted(image: np.ndarray, steps) -> np.ndarray:
    """Return a picture to which the steps of `Distortion.draw` are done.

    Args:
        image: Array `(H, W, 3)`, BGR, uint8; `(H, W, 1)`, grey, for steps that do not
            need colours.
        steps: Names and values.

    Raises:
        ValueError: If the picture is not of that kind.
    """
    if image.dtype != np.uint8 or (
        image.shape[-1] != 3 and any(name in _OF_COLOURS for name, _ in steps)
    ):
        raise ValueError(
            "Expected a colour picture of uint8 to distort; received: "
            f"{image.dtype} of shape {image.shape}"
        )
    for name, value in steps:
        image = _STEPS[name](image, value)
    return image


def _brighter(image, value):
    return rescaled(image, 1, value)


def _contrasted(image, value):
    return rescaled(image, value, 0) if abs(value - 1) > 1e-3 else image


def _saturated(image, value):
    hsv = bgr_to_hsv(image)  # there and back even by a factor of 1, as in the fork
    hsv[..., 1] = rescaled(hsv[..., 1], value, 0)
    return hsv_to_bgr(hsv)


def _hued(image, value):
    if not value:
        return image
    hsv = bgr_to_hsv(image)
    hsv[..., 0] = rescaled(hsv[..., 0], 1, value)
    return hsv_to_bgr(hsv)


def _reordered(image, value):
    return image[..., _PERMUTATIONS[int(value)]]


_OF_COLOURS = ("saturation", "hue", "order")
_STEPS = {
    "brightness": _brighter,
    "contrast": _contrasted,
    "saturation": _saturated,
    "hue": _hued,
    "order": _reordered,
}


def rescaled(levels: np.ndarray, factor: float, offset: float) -> np.ndarray:
    """Return `levels * factor + offset`, rounded half to even and kept in 0 to 255.

    Args:
        levels: Array of uint8.
        factor: What they are multiplied by, in float32.
        offset: What is added.
    """
    table = np.float32(factor) * _LEVELS.astype("float32") + np.float32(offset)
    return np.clip(np.rint(table), 0, 255).astype("uint8").take(levels)


def _quotients(numerator: float) -> np.ndarray:
    whole = numerator * (1 << _SHIFT) / np.maximum(_LEVELS, 1)
    return np.where(_LEVELS > 0, np.rint(whole), 0).astype("int32")


# Of each level: the hue's sixth of the circle, which share each colour is in it, and
# how far the hue is in it; and the level as a number up to 1.
_HUES = _LEVELS.astype("float32") * np.float32(6 / 180)
_SIXTH = _SIXTHS[np.floor(_HUES).astype(int) % 6]
_REST = _HUES - np.floor(_HUES)
_UNIT = _LEVELS.astype("float32") * np.float32(1 / 255)
_PER_VALUE = _quotients(255)
_PER_DIFFERENCE = _quotients(180 / 6)


def _in_parts(function: Callable) -> Callable:
    """Return a function of pixels `(…, 3)` by one of some of them, `(N, 3)`.

    So many at a time that all that is made of them stays in the processor's cache.
    """

    @functools.wraps(function)
    def whole(image: np.ndarray) -> np.ndarray:
        pixels = image.reshape(-1, 3)
        out = np.empty(pixels.shape, "uint8")
        for start in range(0, len(pixels), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            out[part] = function(pixels[part])
        return out.reshape(image.shape)

    return whole


@_in_parts
def bgr_to_hsv(image: np.ndarray) -> np.ndarray:
    """Return hue (0 to 179), saturation and value (0 to 255) of a BGR picture.

    Args:
        image: Array `(…, 3)` of uint8.
    """
    blue, green, red = image.T.astype("int32")
    value = np.maximum(np.maximum(blue, green), red)
    range_ = value - np.minimum(np.minimum(blue, green), red)
    half = 1 << (_SHIFT - 1)
    saturation = (range_ * _PER_VALUE.take(value) + half) >> _SHIFT
    hue = np.where(
        value == red,
        green - blue,
        np.where(value == green, blue - red + 2 * range_, red - green + 4 * range_),
    )
    hue = (hue * _PER_DIFFERENCE.take(range_) + half) >> _SHIFT
    hue += np.where(hue < 0, 180, 0)
    return np.stack([hue, saturation, value], -1)


@_in_parts
def hsv_to_bgr(image: np.ndarray) -> np.ndarray:
    """Return the BGR picture of hue, saturation and value.

    Args:
        image: Array `(…, 3)` of uint8; hues from 180 on go round once more.
    """
    hue, saturation, value = image.T
    one = np.float32(1)
    rest = _REST.take(hue)
    saturation, value = _UNIT.take(saturation), _UNIT.take(value)
    shares = np.empty((4, len(image)), "float32")
    shares[0] = value
    shares[1] = value * (one - saturation)
    shares[2] = value * (one - saturation * rest)
    shares[3] = value * (one - saturation * (one - rest))
    shares *= np.float32(255)
    levels = np.rint(shares, out=shares).astype("uint8")
    places = np.arange(len(image))[:, None] + _SIXTH.take(hue, 0) * len(image)
    return levels.take(places)
