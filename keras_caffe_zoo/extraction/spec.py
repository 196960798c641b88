"""What is to be extracted, and how a picture becomes the input of its net."""

import hashlib
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_caffe_zoo.preprocessing import cut_input, mean_for, net_input
from keras_caffe_zoo.runtimes import check_runtime
from keras_caffe_zoo.weights import ModelEntry, entry_of, model_entry

DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class Spec:
    """What is to be extracted; it can be pickled and sent to other machines.

    The attributes are arguments of `extract_features`; `layers` is a tuple.
    """

    model: str | keras.Model
    layers: tuple[str, ...]
    weights: str | os.PathLike | None = "caffe"
    batch_size: int = 32
    crops: int = 1
    pool: str | None = None
    dtype: str = "float32"
    preprocess: str | Callable | None = None
    mean: Any = None
    runtime: str = "keras"

    def __post_init__(self):
        check_runtime(self.runtime)
        _expect(self.layers, "at least one layer", layers=self.layers)
        expected = "layers that differ"
        _expect(len(set(self.layers)) == len(self.layers), expected, layers=self.layers)
        _expect(_is_count(self.batch_size), "a number", batch_size=self.batch_size)
        _expect(self.crops in (1, 10), "1 or 10", crops=self.crops)
        _expect(self.pool in (None, "mean"), "'mean' or None", pool=self.pool)
        _expect(self.dtype in DTYPES, f"one of {DTYPES}", dtype=self.dtype)
        is_ours = isinstance(self.model, str | keras.Model)
        _expect(is_ours, "a net's name or a Keras model", model=self.model)
        unused = isinstance(self.model, str) or self.weights == "caffe"
        _expect(unused, "no weights beside a Keras model", weights=self.weights)
        how = self.preprocess
        expected = "a function, a net's name or None"
        _expect(
            how is None or isinstance(how, str) or callable(how),
            expected,
            preprocess=how,
        )
        given = callable(how) and (self.mean is not None or self.crops != 1)
        _expect(not given, "no mean and no crops beside a function", preprocess=how)


def _expect(right, expected: str, **received) -> None:
    if not right:
        ((name, value),) = received.items()
        raise ValueError(f"Expected {name}: {expected}; received: {name}={value!r}")


def _is_count(number) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0


def recipe_for(spec: Spec) -> "_Rule | _Given":
    """Return the recipe for a model, before it is built.

    It has `of_file` and `of_array`, which return the net's input for the pixels of a
    file and for an array of the caller's; `shape`, that of its inputs, where that is
    known; `net`, the name of the net of the zoo that the model is (None for others);
    and `identity`, what decides about the inputs, as JSON types.

    Raises:
        ValueError: If none is known, or the zoo has no net of a name.
    """
    if isinstance(spec.model, str):
        name = net = model_entry(spec.model).name  # raises if there is no such net
    else:
        name, entry = spec.model.name, entry_of(spec.model.name)
        net = entry and entry.name
    if callable(spec.preprocess):
        return _Given(spec.preprocess, net)
    rule = spec.preprocess or net
    if rule is None:
        raise ValueError(
            f"Expected `preprocess` for '{name}', which is no net of the zoo: a "
            "function of an RGB uint8 array (H, W, 3) that returns the model's input, "
            "or the name of the net whose rule to use; received: None"
        )
    entry = model_entry(rule)
    if entry.input_size is None:
        raise ValueError(
            f"Expected a net that takes pictures of one size; received: {entry.name}, "
            "which takes each as it is, so that no two maps need be alike. Pass "
            "`preprocess`, a function that gives all inputs one shape."
        )
    mean = mean_for(entry, entry.input_size, spec.mean)
    return _Rule(net, entry, mean, spec.crops)


@dataclass
class _Rule:
    """The rule of a net of the zoo: `load_image`, then `preprocess_input`."""

    net: str | None
    entry: ModelEntry
    mean: np.ndarray
    crops: int

    def __post_init__(self):
        entry, rule = self.entry, self.entry.resize
        self.shape = (*entry.input_size, 3)
        mean = np.ascontiguousarray(self.mean, "<f4")
        self.identity = {
            "resize": f"{rule.rule} {rule.size or ''}".strip() if rule else "warp 256",
            "input": list(entry.input_size),
            "mean": mean.tolist()
            if mean.ndim == 1
            else f"image, sha256 {hashlib.sha256(mean).hexdigest()[:16]}",
            "scale": entry.scale,
            "channel_order": entry.channel_order,
        }

    def of_file(self, pixels: np.ndarray) -> np.ndarray:
        return cut_input(pixels, self.entry, self.mean, self.crops)

    def of_array(self, pixels: np.ndarray) -> np.ndarray:
        if self.crops == 1 and pixels.shape[:2] == self.entry.input_size:
            return net_input(pixels, self.entry, self.mean)
        return self.of_file(pixels)


@dataclass
class _Given:
    """A function of the caller."""

    function: Callable
    net: str | None
    shape = None

    def __post_init__(self):
        self.identity = {"function": _name_of(self.function)}

    def of_file(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(self.function(pixels))

    of_array = of_file


def _name_of(function: Callable) -> str:
    """Return a function's name and, where it has one, a digest of its source."""
    kind = function if hasattr(function, "__qualname__") else type(function)
    name = f"{kind.__module__}.{kind.__qualname__}"
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):  # built in, or typed in
        return name
    return f"{name}, sha256 {hashlib.sha256(source.encode()).hexdigest()[:16]}"
