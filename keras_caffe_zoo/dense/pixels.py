"""What becomes of an image's pixels before they go through a net."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from keras_caffe_zoo.preprocessing import mean_for, net_input, ordered
from keras_caffe_zoo.preprocessing.recipe import entry_of_model
from keras_caffe_zoo.weights import ModelEntry, model_entry

_LOOKED_AT = 128  # rows and columns of an image of any size
_ROUNDING = 1.0  # of 255, by which resizing and rounding may miss a range
_OF_IMAGE = 60.0  # of 255, by which a mean image's pixels may differ from its mean
_FLAT = 4.0  # of 255: a picture of fewer values is none; it was scaled to 0-1
_DARK = 16.0  # of 255, the darkest of a dark picture that nothing was subtracted from
_DO = (
    "Pass the image as it is, RGB uint8, and this is done for you; or pass what "
    "`preprocess_input` returns"
)


@dataclass(frozen=True)
class Pixels:
    """How an image becomes what a net takes: by the rule of a net of the zoo, or not.

    Attributes:
        entry: The net whose rule it is; None if pixels go in as they are.
    """

    entry: ModelEntry | None

    @classmethod
    def of(cls, model: keras.Model, image, preprocessing: str | None) -> Pixels:
        """Return what is to be done with an image's pixels; warn of strange ones.

        Args:
            model: The net.
            image: Array `(H, W, C)`.
            preprocessing: Name of the net of the zoo whose rule to use for uint8; the
                model's own if None.

        Raises:
            ValueError: If the zoo has no such net, or it takes no pictures as the model
                does.
        """
        colour = model.inputs[0].shape[-1] == 3
        if preprocessing is not None:
            entry = model_entry(preprocessing)
            if not colour or image.dtype != np.uint8:
                raise ValueError(
                    "Expected `preprocessing` for an RGB image of uint8, which is to "
                    "become the net's input; received: preprocessing="
                    f"{preprocessing!r} and {image.dtype} {image.shape}"
                )
            return cls(entry)
        entry = entry_of_model(model)
        if image.dtype == np.uint8 and colour and entry is None:
            warnings.warn(
                f"Nobody said what '{model.name}' subtracts from pixels, so this uint8 "
                "image goes in as it is. Pass `preprocessing=`, the name of the net of "
                "the zoo whose pictures it takes; or, prepared for it, as float32",
                stacklevel=3,
            )
        elif image.dtype != np.uint8 and entry is not None:
            said = strangeness(image, entry)
            if said:
                warnings.warn(said, stacklevel=3)
        return cls(entry if image.dtype == np.uint8 else None)

    def whole(self, image: np.ndarray) -> tuple[np.ndarray, Callable | None]:
        """Return an image, and what its tiles are given to before the net.

        A small image that has a mean image is prepared at once: its tiles would need to
        know their places.

        Args:
            image: RGB `(H, W, 3)` of any numeric type.
        """
        if self.entry is None:
            return image, None
        mean = mean_for(self.entry, image.shape[:2])
        if mean.ndim == 3:
            return net_input(image, self.entry, mean), None
        return image, lambda pixels: net_input(pixels, self.entry, mean)


def strangeness(image: np.ndarray, entry: ModelEntry) -> str | None:
    """Say why an image cannot be what a net takes; None if it can.

    Values must lie where those of pixels do that had the net's mean subtracted, and
    differ by more than pixels that were scaled to 0-1. The darkest must not lie just
    above 0, as in a dark picture that nothing was subtracted from; a bright page may
    lie above its mean as a whole, but far above.

    Args:
        image: Float `(H, W, 3)`; some of its rows and columns are looked at.
        entry: The net's facts.
    """
    channels = entry.mean and (entry.mean.channels or entry.mean.stand_in)
    if not channels or not any(channels):
        return None
    mean = ordered(np.asarray(channels, "float32"), entry)
    room = _ROUNDING if entry.mean.kind == "channels" else _OF_IMAGE
    steps = [max(1, side // _LOOKED_AT) for side in image.shape[:2]]
    seen = np.asarray(image[:: steps[0], :: steps[1]], "float32")
    low, high = seen.min((0, 1)), seen.max((0, 1))
    least, most = -mean * entry.scale, (255 - mean) * entry.scale
    room = room * entry.scale
    outside = (low < least - room).any() or (high > most + room).any()
    spread = high.max() - low.min()
    raw = spread <= _FLAT * entry.scale or 0 <= low.min() < _DARK * entry.scale
    if not outside and not (raw and spread > 0):
        return None
    order = entry.channel_order
    return (
        f"{entry.name} takes {order} less its mean, {least.min():.4g} to "
        f"{most.max():.4g}; received: {image.dtype} from {low.min():.4g} to "
        f"{high.max():.4g}. {_DO}"
    )
