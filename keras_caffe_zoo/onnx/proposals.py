"""Where objects may be, as ONNX operations: Faster R-CNN's proposals."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.arithmetic.regions import anchors, check_proposals
from keras_caffe_zoo.onnx.suppression import LOWEST, best, kept, least_of, product


def proposals(node, scores, moves, info, options: dict):
    """Return Caffe's rows, (R, 5), as many as are found, and their scores if asked.

    Args:
        node: The layer, an `OnnxNode`.
        scores: (N, 2 * A, H, W) of A anchors.
        moves: (N, 4 * A, H, W).
        info: (N or 1, 3, 4 or 6).
        options: The arguments of `CaffeProposal`.
    """
    kinds = anchors(options.get("base_size", 16), options["ratios"], options["scales"])
    shapes = (x.shape for x in (scores, moves, info))
    check_proposals(*shapes, len(kinds), node.layer.name)
    sizes = [node.size(scores, axis) for axis in (2, 3)]
    count = product(node, product(node, *sizes), len(kinds))
    boxes, large = _boxes(node, moves, info, sizes, kinds, options)
    own = list(range(len(kinds), 2 * len(kinds)))
    scores = node.op("Gather", scores, own, axis=1)
    scores = node.op("Transpose", scores, perm=[0, 2, 3, 1])
    scores = node.reshape(scores, [-1, count])
    lowest = LOWEST if options["drop_small"] else 0.0
    scores = node.op("Where", large, scores, lowest)
    most = options["pre_nms_topn"]
    most = least_of(node, count, most) if most else count
    scores, index = best(node, scores, most)
    index = node.op("Unsqueeze", index, [2])
    boxes = node.op("GatherND", boxes, index, batch_dims=1)
    return _returned(node, boxes, scores, options)


def _boxes(node, moves, info, sizes, kinds, options):
    """Return the anchors as predicted, (N, all, 4), and which are large enough."""
    at = _placed(node, sizes, kinds, options["feat_stride"])
    moves = node.op("Transpose", moves, perm=[0, 2, 3, 1])
    moves = node.reshape(moves, [-1, node.size(at, 0), 4])
    low, high = (node.op("Gather", at, i, axis=1) for i in ([0, 1], [2, 3]))
    sides = node.op("Add", node.op("Sub", high, low), 1.0)
    moved, grown = (node.op("Gather", moves, i, axis=2) for i in ([0, 1], [2, 3]))
    centre = node.op("Add", low, node.op("Mul", sides, 0.5))
    centre = node.op("Add", node.op("Mul", moved, sides), centre)
    half = node.op("Mul", node.op("Mul", node.op("Exp", grown), sides), 0.5)
    limits = node.op("Unsqueeze", node.op("Gather", info, [1, 0], axis=1), [1])
    limits = node.op("Sub", limits, 1.0)
    low, high = (
        node.op("Max", node.op("Min", node.op(type_, centre, half), limits), 0.0)
        for type_ in ("Sub", "Add")
    )
    return node.op("Concat", low, high, axis=2), _large(node, low, high, info, options)


def _large(node, low, high, info, options):
    scaled = [2, 2] if info.shape[1] == 3 else [3, 2]
    least = node.op("Unsqueeze", node.op("Gather", info, scaled, axis=1), [1])
    least = node.op("Mul", least, float(options["min_size"]))
    sides = node.op("Add", node.op("Sub", high, low), 1.0)
    large = node.op("GreaterOrEqual", sides, least)
    return node.op(
        "And", *(node.op("Gather", large, np.int64(i), axis=2) for i in (0, 1))
    )


def _placed(node, sizes, kinds, stride):
    """Return all anchors, by row, column and kind: (H * W * A, 4)."""
    steps = np.float32([[0, 1, 0, 1], [1, 0, 1, 0]]) * stride
    parts = []
    for axis, (size, step) in enumerate(zip(sizes, steps, strict=True)):
        number = node.counted(size, np.float32)
        others = [axis for axis in range(4) if axis != len(parts)]
        parts.append(node.op("Mul", node.op("Unsqueeze", number, others), step))
    shift = node.op("Add", *parts)
    return node.reshape(node.op("Add", shift, kinds), [-1, 4])


def _returned(node, boxes, scores, options):
    """Return the rows of what non-maximum suppression leaves."""
    # A box from x1 to x2 is x2 - x1 + 1 wide.
    wider = node.op("Add", boxes, np.float32([0, 0, 1, 1]))
    valid = node.op("Greater", scores, LOWEST)
    most = options["post_nms_topn"] or None
    at = node.op("NonZero", kept(node, wider, valid, options["nms_thresh"], most))
    at = node.op("Transpose", at, perm=[1, 0])
    item = node.op("Cast", node.op("Gather", at, [0], axis=1), to=np.float32)
    rows = node.op("Concat", item, node.op("GatherND", boxes, at), axis=1)
    if not options["with_scores"]:
        return rows
    scores = node.op("GatherND", scores, at)
    if options["drop_small"]:
        scores = node.op("Unsqueeze", scores, [1])
    return [rows, scores]
