"""What is to be extracted, before any net is loaded."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

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

    def __post_init__(self):
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
