"""Factors and offsets behind a batch normalization as a part of it.

Caffe has a layer BatchNorm and a layer Scale for what ONNX does in one operation.
"""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.onnx.graph import Graph, Op, Value


def merge_factors(graph: Graph) -> None:
    """Let each batch normalization do what only multiplies and adds to its channels.

    That is, if nothing else reads what it gives, and it is no output.
    """
    readers: dict[Value, list[Op]] = {}
    for op in graph.ops:
        for value in op.inputs:
            readers.setdefault(value, []).append(op)
    ends = set(graph.outputs.values())
    gone = set()
    for op in graph.ops:
        if op.type != "BatchNormalization":
            continue
        while op.outputs[0] not in ends:
            next_ = readers.get(op.outputs[0], [])
            if len(next_) != 1 or not _merged(op, *next_):
                break
            op.outputs = next_[0].outputs
            gone.update(next_)
    graph.ops = [op for op in graph.ops if op not in gone]


def _merged(norm: Op, next_: Op) -> bool:
    """Take over what an operation does, if that is a number for each channel."""
    if next_.type not in ("Mul", "Add"):
        return False
    other = next_.inputs[next_.inputs[0] is norm.outputs[0]]
    x, factor, offset = norm.inputs[:3]
    numbers = _of_channels(other, len(x.shape), factor.shape[0])
    if numbers is None:
        return False
    with np.errstate(all="ignore"):  # as the engines would compute it
        if next_.type == "Mul":
            factor, offset = (_changed(v, v.array * numbers) for v in (factor, offset))
        else:
            offset = _changed(offset, offset.array + numbers)
    norm.inputs[1:3] = factor, offset
    return True


def _of_channels(value: Value | None, rank: int, channels: int) -> np.ndarray | None:
    """Return a constant's number for each channel; None if it is something else."""
    if value is None or value.array is None or len(value.shape) > rank:
        return None
    shape = (1,) * (rank - len(value.shape)) + value.shape
    if any(size != 1 for axis, size in enumerate(shape) if axis != 1):
        return None
    return np.broadcast_to(value.array.reshape(-1), (channels,))


def _changed(value: Value, array: np.ndarray) -> Value:
    return Value(array.shape, array.dtype, value.name, array)
