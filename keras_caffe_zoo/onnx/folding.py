"""What ONNX operations on constants come to, so that a file has none of them.

Only what shapes and small tables are made with; an engine does the rest as well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np


def folded(type: str, inputs: Sequence, attributes: dict) -> np.ndarray | None:
    """Return the result of an operation on constants; None if it is left to engines.

    Args:
        type: ONNX's name of the type.
        inputs: Values; None for one that is left out.
        attributes: ONNX's attributes.
    """
    if type == "Shape" and None not in inputs[0].shape:
        return np.array(inputs[0].shape, "int64")
    if type not in _FUNCTIONS or any(x is None or x.array is None for x in inputs):
        return None
    with np.errstate(all="ignore"):  # as in an engine
        return _FUNCTIONS[type]([x.array for x in inputs], attributes)


def _quotient(arrays, _):
    a, b = arrays
    return np.trunc(a / b).astype(a.dtype) if a.dtype.kind == "i" else a / b


def _unsqueezed(arrays, _):
    return np.expand_dims(arrays[0], tuple(arrays[1].tolist()))


def _squeezed(arrays, _):
    return np.squeeze(arrays[0], tuple(arrays[1].tolist()))


def _summed(arrays, attributes):
    kept = bool(attributes.get("keepdims", 1))
    return np.sum(arrays[0], tuple(arrays[1].tolist()), keepdims=kept)


def _reshaped(arrays, _):
    x, sizes = arrays
    kept = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(kept)


_FUNCTIONS: dict[str, Callable] = {
    "Add": lambda a, _: a[0] + a[1],
    "Sub": lambda a, _: a[0] - a[1],
    "Mul": lambda a, _: a[0] * a[1],
    "Div": _quotient,
    "Max": lambda a, _: functools.reduce(np.maximum, a),
    "Min": lambda a, _: functools.reduce(np.minimum, a),
    "Abs": lambda a, _: np.abs(a[0]),
    "Equal": lambda a, _: a[0] == a[1],
    "Greater": lambda a, _: a[0] > a[1],
    "GreaterOrEqual": lambda a, _: a[0] >= a[1],
    "Less": lambda a, _: a[0] < a[1],
    "LessOrEqual": lambda a, _: a[0] <= a[1],
    "Where": lambda a, _: np.where(*a),
    "ReduceSum": _summed,
    "Transpose": lambda a, attributes: np.transpose(a[0], attributes["perm"]),
    "Floor": lambda a, _: np.floor(a[0]),
    "Ceil": lambda a, _: np.ceil(a[0]),
    "Cast": lambda a, attributes: a[0].astype(attributes["to"]),
    "Concat": lambda a, attributes: np.concatenate(a, attributes["axis"]),
    "Gather": lambda a, attributes: np.take(*a, attributes.get("axis", 0)),
    "Unsqueeze": _unsqueezed,
    "Squeeze": _squeezed,
    "Reshape": _reshaped,
    "Range": lambda a, _: np.arange(*(x.item() for x in a)),
}
