"""Where the largest values are, as ONNX operations."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.onnx.sequence import turned


def largest(node, x, axis: int | None, count: int, values: bool):
    """Return what Caffe's ArgMax does, which of equal values has the last first.

    Args:
        node: The layer, an `OnnxNode`.
        x: The blob.
        axis: The axis that is searched; None for all but the first, flattened.
        count: How many of the largest.
        values: With an axis, the values in place of the indices; without, both.
    """
    if axis is not None:
        search = _values if values else _places
        return search(node, x, axis, count)
    flat = node.op("Flatten", x)
    found = [_places(node, flat, 1, count)]
    found += [_values(node, flat, 1, count)] if values else []
    more = [1] * max(len(x.shape) - 3, 0)
    found = [node.reshape(y, [0, 1, count, *more]) for y in found]
    return node.op("Concat", *found, axis=1) if values else found[0]


def _values(node, x, axis: int, count: int):
    if count == 1:
        return node.op("ReduceMax", x, axes=[axis])
    return node.op("TopK", x, [count], axis=axis, outputs=2)[0]


def _places(node, x, axis: int, count: int):
    if count == 1:
        places = node.op("ArgMax", x, axis=axis, select_last_index=1)
        return node.op("Cast", places, to=np.float32)
    # ONNX' first of equal values is the last here.
    _, places = node.op("TopK", turned(node, x, axis), [count], axis=axis, outputs=2)
    last = node.op("Sub", node.size(x, axis), 1)
    return node.op("Cast", node.op("Sub", last, places), to=np.float32)
