"""Colours for black-and-white photographs."""

from __future__ import annotations

import os

import numpy as np

from keras_caffe_zoo.arithmetic.colours import lightness_of, rgb_of
from keras_caffe_zoo.lazy import keras, ops
from keras_caffe_zoo.preprocessing.resizing import resize_float
from keras_caffe_zoo.tasks.net import NetTask, TaskNet, one_output
from keras_caffe_zoo.tasks.running import answers

MIDDLE = 50  # of lightness, which the net subtracts
COLOURS = "class8_ab"


def colorize(
    model: str | keras.Model,
    images,
    *,
    weights: str | os.PathLike | None = "caffe",
    runtime: str = "keras",
    batch_size: int = 8,
    progress: bool = True,
):
    """Colour black-and-white photographs.

        coloured = kcz.colorize("colorization", "grandmother.jpg")

    The net sees the lightness L of CIE Lab in 224 x 224 pixels and answers a and b,
    which are enlarged and joined with the photograph's own lightness: it stays as sharp
    as it is. Of a photograph in colour only the lightness counts.

    Args:
        model: Name of a net of the zoo, `list_models(task="colorization")`, or a model
            whose image is L less 50 and whose output a and b.
        images: A picture: its path, or an RGB uint8 array `(H, W, 3)`; or several: a
            folder, a list file, or any other source of `extract_features`.
        weights: As for the net's builder, if `model` is a name.
        runtime: What computes the net: `"keras"`, `"onnxruntime"` or `"openvino"`.
        batch_size: How many pictures go through the net at once.
        progress: Whether to show how far a long work has come.

    Returns:
        Of a picture an RGB uint8 array `(H, W, 3)` of its own size; of a folder or a
        list file a dict of them by name, without the files that are no pictures, which
        a message names; of several pictures given otherwise a list.

    Raises:
        ValueError: If the model does something else, or a picture that was given is
            none.
        ImportError: If the runtime is not installed.
        OSError: If a file cannot be read.

    Example:
        A net of one layer that answers the same colour everywhere; a picture keeps its
        lightness:

        >>> image = keras.Input((None, None, 1))
        >>> model = keras.Model(image, keras.layers.Conv2D(2, 1)(image))
        >>> model.set_weights([np.zeros((1, 1, 1, 2)), np.array([60.0, 40.0])])
        >>> grey = np.full((32, 48, 3), 128, "uint8")
        >>> coloured = kcz.colorize(model, grey)
        >>> coloured.shape, coloured[0, 0].tolist()
        ((32, 48, 3), [229, 72, 63])
    """
    options = {"weights": weights, "runtime": runtime, "batch_size": batch_size}
    return answers(Colorizer(model, **options), images, progress)


class Colorizer(NetTask):
    """A net that colours photographs, as a task.

    Args:
        model: As for `colorize`.
        **options: Of `TaskNet`.

    Raises:
        ValueError: As `colorize`.
        ImportError: As `colorize`.
    """

    def __init__(self, model, **options):
        options["mean"] = 0  # the lightness is not a picture
        self.net = TaskNet(model, ["colorization"], outputs=_colours, **options)
        self._size = self.net.size or (224, 224)

    def prepare(self, pixels: np.ndarray):
        """Return a picture as the net takes it, and its own lightness."""
        lightness = lightness_of(pixels)
        small = resize_float(lightness[..., None], self._size)
        return small - MIDDLE, lightness

    def answer(self, prepared: list) -> list[np.ndarray]:
        """Return some pictures in colour."""
        found = self.net([x for x, _ in prepared])
        pairs = zip(np.asarray(found), prepared, strict=True)
        return [coloured(lightness, colours) for colours, (_, lightness) in pairs]


def coloured(lightness: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return a picture of its lightness and a smaller map of its colours.

    Args:
        lightness: L of CIE Lab, (H, W).
        colours: a and b of CIE Lab, (h, w, 2).

    Returns:
        RGB uint8 array (H, W, 3).
    """
    ab = resize_float(colours, lightness.shape)
    return rgb_of(np.concatenate([lightness[..., None], ab], -1))


def _colours(model: keras.Model) -> keras.Model:
    """Return a model of a and b alone.

    Raises:
        ValueError: If it does not end so, or its colours were never set.
    """
    image = tuple(model.inputs[0].shape)
    output = one_output(model, COLOURS)
    if len(model.inputs) != 1 or image[-1] != 1 or output.shape[-1] != 2:
        raise ValueError(
            "Expected a model from lightness, (N, H, W, 1), to a and b of CIE Lab, "
            f"(N, h, w, 2); received: '{model.name}', from {image} to "
            f"{tuple(output.shape)}"
        )
    _check_set(model)
    return keras.Model(model.input, output)


def _check_set(model: keras.Model) -> None:
    layers = {layer.name: layer for layer in model.layers}
    layer = layers.get(COLOURS)
    kernel = ops.convert_to_numpy(layer.kernel) if layer is not None else None
    if kernel is not None and not np.any(kernel):
        raise ValueError(
            f"Expected the colours of the published net in its layer {COLOURS!r}; "
            "received: zeros. Its file has none: `keras_caffe_zoo.colorization"
            "(weights=…)` sets them"
        )
