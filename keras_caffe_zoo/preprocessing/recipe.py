"""What a net does to an image before its first layer, from whoever tells it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from keras_caffe_zoo.caffe import read_mean
from keras_caffe_zoo.preprocessing.crops import centre
from keras_caffe_zoo.preprocessing.inputs import ordered, prepared
from keras_caffe_zoo.preprocessing.means import mean_for
from keras_caffe_zoo.rules.data import PixelTransform
from keras_caffe_zoo.weights import ModelEntry, entry_of, model_entry

_HOW = (
    "Give `mean`: a number for each channel in BGR, 0 for none, an image (H, W, C), or "
    "the path of a .binaryproto; or the name of a net of the zoo, as `preprocessing`; "
    "or the training net's prototxt, whose data layer tells"
)


@dataclass(frozen=True, eq=False)
class Recipe:
    """What becomes of an image, gray or in the net's order: `(x - mean) * scale`.

    Attributes:
        mean: Float32 `(1,)`, `(C,)` or `(H, W, C)`, in the net's order of channels.
        scale: What the difference is multiplied by.
        entry: The net of the zoo by whose rule pictures are resized, if it is one.
    """

    mean: np.ndarray
    scale: float = 1.0
    entry: ModelEntry | None = None

    @property
    def turned(self) -> bool:
        """Whether the net takes the channels of RGB images in the other order."""
        return self.entry is None or self.entry.channel_order == "BGR"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return RGB or gray images `(…, H, W, C)` as the net's float32 input."""
        return prepared(images, self.mean, self.scale, self.turned)


def recipe_for(
    shape: Sequence[int | None],
    *,
    net: str | None = None,
    told: PixelTransform | None = None,
    mean=None,
    scale: float | None = None,
) -> Recipe:
    """Return what a net does to images.

    Args:
        shape: Height, width and channels of its input; None for a free side.
        net: The net of the zoo that it is, if it is one.
        told: What the data layer of its training net says.
        mean: Another mean instead: one number, or one for each channel in BGR, or an
            image `(H, W, C)` no smaller than the input, whose centre counts, or the
            path of a `.binaryproto` with one.
        scale: Another scale instead; 1 where nobody tells one.

    Returns:
        The recipe, of BGR channels unless the net of the zoo takes them as RGB.

    Raises:
        ValueError: If the input is no image; if nobody tells the mean, or one of these
            does not fit.
        CaffeFormatError: If the mean's file is no `.binaryproto`.
    """
    _check_image(shape)
    entry = None if net is None else model_entry(net)
    if mean is None and entry is not None:
        _check_colour(shape, entry)
        mean = mean_for(entry, tuple(shape[:2]))
    elif mean is None:
        mean = _told_mean(told)
    if scale is None:
        scale = 1.0 if told is None else told.scale
        scale = scale if entry is None else entry.scale
    mean = _fitted_mean(mean, shape)
    mean = mean if entry is None else ordered(mean, entry)
    return Recipe(mean, _checked_scale(scale), entry)


def entry_of_model(model) -> ModelEntry | None:
    """Return the net of the zoo whose pictures a model takes, as its name tells.

    Args:
        model: A Keras model; None is known of one whose first input is no colour image.
    """
    return entry_of(model.name) if model.inputs[0].shape[-1] == 3 else None


def _check_image(shape) -> None:
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ValueError(
            "Expected a net of images with 3 channels, or 1 for gray, to take pictures "
            f"as they are; received an input (H, W, C) of {tuple(shape)}. Prepare its "
            "input outside, without `preprocessing`"
        )


def _check_colour(shape, entry: ModelEntry) -> None:
    if shape[2] != 3:
        raise ValueError(
            f"Expected an input of 3 channels for {entry.name}; received: {shape[2]}"
        )


def _told_mean(told: PixelTransform | None):
    if told is None:
        raise ValueError(
            "Expected to know what the net subtracts from pixels; received: neither a "
            f"mean nor a data layer with a transform_param. {_HOW}"
        )
    if told.mean_file:
        raise ValueError(
            f"Expected `mean=…`: the net subtracts that in {told.mean_file}; received: "
            "None. Give the path of that file on this machine"
        )
    return told.mean_values or 0.0


def _fitted_mean(mean, shape) -> np.ndarray:
    """Return a mean for images of a size, of any kind that `recipe_for` takes."""
    if isinstance(mean, str | os.PathLike):
        mean = np.moveaxis(read_mean(mean), 0, -1)
    mean = np.atleast_1d(np.asarray(mean, "float32"))
    size, channels = shape[:2], shape[2]
    if not np.isfinite(mean).all():
        raise ValueError("Expected a mean of finite numbers; received others")
    if mean.shape in ((1,), (channels,)):
        return mean
    if mean.ndim != 3 or mean.shape[2] != channels:
        raise ValueError(
            f"Expected a mean of {channels} numbers, or an image (H, W, {channels}); "
            f"received: shape {mean.shape}"
        )
    if None in size:
        raise ValueError(
            f"Expected a mean of {channels} numbers for a net whose height and width "
            f"are free; received: an image {mean.shape}. Give its means over all "
            f"pixels, {_numbers(mean.mean((0, 1)))}, or a size, `input_shape`"
        )
    if any(m < s for m, s in zip(mean.shape, size, strict=False)):
        raise ValueError(
            f"Expected a mean image no smaller than the input, {tuple(size)}; "
            f"received: {mean.shape[:2]}"
        )
    return np.ascontiguousarray(centre(mean, tuple(size)))


def _numbers(values) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _checked_scale(scale) -> float:
    number = isinstance(scale, Real) and not isinstance(scale, bool)
    if not number or not math.isfinite(scale) or scale == 0:
        raise ValueError(f"Expected a scale other than 0; received: scale={scale!r}")
    return float(scale)
