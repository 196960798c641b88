"""Does a file that was written compute what our model does, in its own engine?"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keras_caffe_zoo.conversion.comparison import arrays_by_blob
from keras_caffe_zoo.conversion.formats import GRAPH_FORMATS, form_of
from keras_caffe_zoo.conversion.naming import named_outputs
from keras_caffe_zoo.conversion.running import Engine, engines_of
from keras_caffe_zoo.conversion.spare import caffe_blob, source_of_rows
from keras_caffe_zoo.lazy import keras, ops
from keras_caffe_zoo.messages import said
from keras_caffe_zoo.preprocessing.recipe import Recipe
from keras_caffe_zoo.rules.layout import tensor_from_blob
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import traits_of

TOLERANCE = 1e-5
# Of files of fewer bits: float16 has 3 digits, of which some get lost from layer to
# layer; int8 has 2, and is judged by its best classes.
TOLERANCES = {"float32": TOLERANCE, "float16": 1e-2, "int8": 0.2}
ITEMS = 2  # where their number is free
PIXELS = 64  # of a height or width that is free, and that nobody tells
_NOTHING = 1e-30  # a probability that some engines round to 0
_FADED = 3  # how often images are made fainter for nets that are too sure of them
_MEAN = np.array([104, 117, 123], "float32").reshape(1, 3, 1, 1)  # of photographs, BGR

Sizes = Mapping[str, tuple[int | None, ...]]


@dataclass(frozen=True)
class Check:
    """How one engine runs a file.

    Attributes:
        engine: Its name.
        difference: The largest difference of an output to our model's, as a fraction
            of that output's largest value, and for a softmax of its logarithm's, too;
            infinite where the shapes differ. None if the engine does not run the file.
        why: What the engine says then.
        tolerance: The difference that it may have.
    """

    engine: str
    difference: float | None
    why: str = ""
    tolerance: float = TOLERANCE

    @property
    def agrees(self) -> bool:
        """Whether the file computes the same there, or is not run there at all."""
        return self.difference is None or self.difference <= self.tolerance

    def __str__(self):
        if self.difference is None:
            return f"{self.engine} does not run it: {self.why}"
        off = "" if self.agrees else f", more than {self.tolerance:g}"
        return f"{self.engine}: largest difference {self.difference:.1e}{off}"


def check_file(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    inputs: Mapping[str, np.ndarray] | str | os.PathLike | None = None,
    sizes: Sizes | None = None,
    recipe: Recipe | None = None,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> list[Check]:
    """Run a file that was written of a net, and compare it with our Keras model.

    Args:
        model: The net as a Keras model.
        path: The file, or folder; see `convert`.
        inputs: The data blobs in Caffe's order of axes by name, or the path of an
            `.npz` of them; random ones if not given. A detector that was trained finds
            little in those, and one that was not may find boxes whose scores tie.
        sizes: Shapes of inputs in Caffe's order of axes, by name, for sizes that the
            model leaves open.
        recipe: What the file does to pixels itself, if it takes such.
        tolerance: What an output may be off, as a fraction of its largest value.
        seed: What the random inputs begin with.

    Returns:
        One for each engine: the format's own, and others that are installed.

    Raises:
        ValueError: If `inputs` lacks one of the model's.
        ImportError: If the format's own engine is not installed.
        Exception: What that engine raises if it does not run the file.
    """
    form = form_of(path)
    engines = engines_of(form)
    first = form in GRAPH_FORMATS  # channels first, as in Caffe
    softmaxes = [x for x, y in named_outputs(model).items() if _is_softmax(y)]
    if inputs is None:
        blobs = random_inputs(model, sizes or {}, seed)
    else:
        blobs = _given_inputs(model, arrays_by_blob(inputs))
    pixels = {}
    if recipe is not None:
        (image,) = (name for name, x in blobs.items() if x.ndim == 4)
        pixels[image] = _random_pixels(blobs[image].shape, seed)
        blobs[image] = np.moveaxis(recipe(pixels[image]), -1, 1)
    expected = _computed(model, blobs, as_blobs=first)
    for _ in range(_FADED if inputs is None and not pixels else 0):
        if all(_tells(expected[name]) for name in softmaxes):
            break
        blobs = {k: x / 10 if x.ndim == 4 else x for k, x in blobs.items()}
        expected = _computed(model, blobs, as_blobs=first)
    data = {name: x if first else tensor_from_blob(x) for name, x in blobs.items()}
    data |= pixels
    run = functools.partial(_run, tolerance=tolerance)
    return [run(x, os.fspath(path), data, expected, softmaxes) for x in engines]


def _random_pixels(shape, seed: int) -> np.ndarray:
    """Return pictures, uint8 (N, H, W, C), for a blob's shape."""
    items, channels, height, width = shape
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (items, height, width, channels), "uint8")


def _is_softmax(tensor) -> bool:
    return traits_of(tensor._keras_history.operation).activation == "softmax"


def _tells(softmax: np.ndarray) -> bool:
    """Tell whether a softmax has few mere zeros: then it shows what is before it."""
    return bool((softmax > _NOTHING).mean() > 0.9)


def _run(
    engine: Engine, path: str, data: dict, expected: dict, softmaxes, tolerance: float
) -> Check:
    try:
        found = engine.run(path, data, list(expected))
    except Exception as error:  # each has errors of its own kind
        if not engine.optional:
            raise
        return Check(engine.name, None, said(error)[:200], tolerance)
    if not isinstance(found, Mapping):
        found = dict(zip(expected, found, strict=True))
    gaps = [difference(found[name], value) for name, value in expected.items()]
    if max(gaps) < np.inf:
        gaps += [difference(*_logarithms(found[x], expected[x])) for x in softmaxes]
    return Check(engine.name, max(gaps), tolerance=tolerance)


def _logarithms(found: np.ndarray, expected: np.ndarray) -> tuple:
    """Return the logarithms of two softmaxes, where the expected one is no mere zero.

    Of random images a net is so sure that whatever it computed shows in these alone.
    """
    told = expected > _NOTHING
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(found[told]), np.log(expected[told])


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference as a fraction of the largest expected value."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return float("inf")
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(found)) or not np.array_equal(
        found[~finite], expected[~finite], equal_nan=True
    ):
        return float("inf")
    gap = np.abs(found[finite].astype("float64") - expected[finite])
    largest = float(np.abs(expected[finite]).max(initial=0))
    return float(gap.max(initial=0)) / (largest or 1.0)


def _given_inputs(model: keras.Model, arrays: Mapping) -> dict:
    """Return a model's data blobs, in its order, of those that were given."""
    names = [caffe_name(tensor.name) for tensor in model.inputs]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(
            f"Expected the data blobs {names} to check with; received none for "
            f"{missing} in {sorted(arrays)}"
        )
    return {name: np.asarray(arrays[name], "float32") for name in names}


def random_inputs(model: keras.Model, sizes: Sizes, seed: int) -> dict:
    """Return random data blobs of a model by name, as such blobs are.

    Images are whole numbers from 0 to 255, minus the mean of photographs where they
    have three channels. What is no image is 0 or 1, which may be a number, a flag or an
    index, but for the two that say something of the images: their sizes, and places.

    Args:
        model: The model.
        sizes: As in `check_file`.
        seed: As in `check_file`.
    """
    rng = np.random.default_rng(seed)
    shapes = {}
    for tensor in model.inputs:
        name = caffe_name(tensor.name)
        shapes[name] = _sized(caffe_shape(tensor), sizes.get(name))
    images = [shape for shape in shapes.values() if len(shape) == 4]
    window = images[0][2:] if images else (1, 1)
    return {name: _random(rng, name, s, window) for name, s in shapes.items()}


def _sized(shape, known) -> tuple[int, ...]:
    """Return a shape without open sizes."""
    items, *rest = shape
    told = known[1:] if known is not None and len(known) == len(shape) else ()
    told = [*told, *[None] * (len(rest) - len(told))]
    rest = [size or other or PIXELS for size, other in zip(rest, told, strict=True)]
    return (items or ITEMS, *rest)


def _random(rng, name: str, shape, window: tuple[int, int]) -> np.ndarray:
    if len(shape) == 4:
        pixels = rng.integers(0, 256, shape).astype("float32")
        return pixels - _MEAN if shape[1] == 3 else pixels
    if name == "im_info":
        rows = np.zeros(shape, "float32")
        rows[..., :3] = (*window, 1)
        return rows
    if name == "rois" and shape[-1] == 5:
        return _random_boxes(rng, shape, window)
    return rng.integers(0, 2, shape).astype("float32")


def _random_boxes(rng, shape, window: tuple[int, int]) -> np.ndarray:
    """Return boxes in the first image: its number, and two corners."""
    height, width = window
    corners = rng.random((*shape[:-1], 2, 2)) * (width - 1, height - 1)
    corners = np.sort(np.floor(corners), axis=-2).reshape(*shape[:-1], 4)
    first = np.zeros((*shape[:-1], 1))
    return np.concatenate([first, corners], -1).astype("float32")


def _computed(model: keras.Model, blobs: dict, as_blobs: bool) -> dict:
    """Return what a model computes by name, as Caffe's blobs if asked for."""
    outputs = named_outputs(model)
    rows = {name: source_of_rows(y) for name, y in outputs.items()} if as_blobs else {}
    tensors = {id(y): y for y in (*outputs.values(), *rows.values()) if y is not None}
    x = [tensor_from_blob(array) for array in blobs.values()]
    found = keras.Model(model.inputs, list(tensors.values()))(x, training=False)
    found = found if isinstance(found, (list, tuple)) else [found]
    values = dict(zip(tensors, map(ops.convert_to_numpy, found), strict=True))
    if not as_blobs:
        return {name: values[id(y)] for name, y in outputs.items()}
    return {
        name: caffe_blob(y, values[id(y)], values.get(id(rows[name])))
        for name, y in outputs.items()
    }
