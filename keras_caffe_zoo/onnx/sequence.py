"""Layers that turn sequences round and read them, as ONNX operations."""

from __future__ import annotations

import numpy as np


def turned(node, x, axis: int):
    """Return a blob turned round along an axis."""
    size = x.shape[axis]
    if size is not None:  # OpenCV 4 has no steps back
        back = node.op("Sub", size - 1, node.counted(size))
        return node.op("Gather", x, back, axis=axis)
    return node.op("Slice", x, [-1], [-(2**31) - 1], [axis], [-1])


def decoded(node, values, begins, blank: int, merge_repeated: bool) -> list:
    """Return labels and scores of sequences; see `CaffeCTCGreedyDecoder`.

    Args:
        node: The layer, an `OnnxNode`.
        values: (T, N, C), of a known number of times.
        begins: (T, N), which is 0 where a sequence begins.
        blank: The label that means none.
        merge_repeated: Leave repeated labels out.
    """
    times = values.shape[0]
    labels = node.op("ArgMax", values, axis=2, keepdims=0)
    labels = node.op("Cast", labels, to=np.float32)
    later = np.arange(times).reshape(-1, 1) > 0  # the first begins anyhow
    ends = node.op("Mul", _is(node, begins, 0.0), later.astype("float32"))
    read = _is(node, node.op("CumSum", ends, 0), 0.0)
    told = node.op("Mul", read, _is_not(node, labels, float(blank)))
    if merge_repeated:
        before = node.op("Slice", labels, [0], [times - 1], [0])
        before = node.op("Pad", before, [1, 0, 0, 0], -1.0)
        told = node.op("Mul", told, _is_not(node, labels, before))
    # The place among those that are told, from 1 on; 0 for the others.
    place = node.op("Mul", told, node.op("CumSum", told, 0))
    places = np.arange(1, times + 1, dtype="float32")
    there = _is(node, node.op("Unsqueeze", place, [2]), places)
    number = node.op("Unsqueeze", node.op("Add", labels, 1.0), [2])
    found = node.op("ReduceSum", node.op("Mul", there, number), [0], keepdims=0)
    found = node.reshape(node.op("Sub", found, 1.0), [-1, times, 1, 1])
    highest = node.op("ReduceMax", values, axes=[2], keepdims=0)
    highest = node.op("Where", node.op("Greater", read, 0.0), highest, 0.0)
    score = node.op("Neg", node.op("ReduceSum", highest, [0]))
    return [found, node.reshape(score, [-1, 1, 1, 1])]


def _is(node, x, other):
    """Return 1 where values are the same, else 0."""
    return node.op("Cast", node.op("Equal", x, other), to=np.float32)


def _is_not(node, x, other):
    return node.op("Sub", 1.0, _is(node, x, other))
