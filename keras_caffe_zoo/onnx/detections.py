"""The rows of layers that detect, as ONNX operations.

Such a layer gives Caffe's blob, (1, 1, K, 7), of as many rows as there are detections;
where there are none at all, of one row for each item, (item, -1, -1, …).
"""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.onnx.suppression import LOWEST, best, least_of


def the_best(node, stays, scores, most):
    """Return which of those that stay are among the best of an item.

    Args:
        node: The layer, an `OnnxNode`.
        stays: (N, M) of float32, 1 and 0.
        scores: (N, M).
        most: How many are kept.

    Returns:
        (N, M) of float32, 1 and 0.
    """
    scores = node.op("Where", node.op("Greater", stays, 0.0), scores, LOWEST)
    values, index = best(node, scores, least_of(node, most, node.size(stays, 1)))
    there = node.op("Cast", node.op("Greater", values, LOWEST), to=np.float32)
    none = node.op("Mul", stays, 0.0)
    return node.op("ScatterElements", none, index, there, axis=1)


def detection_rows(node, stays, labels, scores, boxes):
    """Return the rows of what stays, by item and as they stand.

    Args:
        node: The layer, an `OnnxNode`.
        stays: (N, M) of float32, 1 and 0.
        labels: (N, M).
        scores: (N, M).
        boxes: (N, M, 4).
    """
    columns = [node.op("Unsqueeze", x, [2]) for x in (labels, scores)]
    table = node.op("Concat", *columns, boxes, axis=2)
    table = node.op("Pad", table, [0, 0, 0, 0, 1, 0], -1.0)  # the row for none at all
    any_ = node.op("ReduceMax", stays, axes=[0, 1], keepdims=1)
    items = node.sizes([node.size(stays, 0), 1])
    none = node.op("Expand", node.op("Sub", 1.0, any_), items)
    at = node.op("NonZero", node.op("Concat", stays, none, axis=1))
    at = node.op("Transpose", at, perm=[1, 0])
    item = node.op("Cast", node.op("Gather", at, [0], axis=1), to=np.float32)
    rows = node.op("Concat", item, node.op("GatherND", table, at), axis=1)
    return node.reshape(rows, [1, 1, -1, 7])


def no_rows(node, items):
    """Return the rows of items that nothing can be found in.

    Args:
        node: The layer, an `OnnxNode`.
        items: How many there are, an integer or a `Value`.
    """
    item = node.counted(items, np.float32)
    item = node.op("Unsqueeze", item, [0, 1, 3])
    return node.op("Pad", item, [0, 0, 0, 0, 0, 0, 0, 6], -1.0)
