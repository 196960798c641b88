"""YOLO's layers as ONNX operations."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.arithmetic.yolo import COORDINATES, candidates, rows_per_box
from keras_caffe_zoo.onnx.detections import detection_rows
from keras_caffe_zoo.onnx.suppression import LOWEST, best, kept, product


def reorg(node, x, stride: int, reverse: bool):
    """Return places as channels, or channels as places, in darknet's order."""
    if reverse:
        return node.op("DepthToSpace", x, blocksize=stride, mode="DCR")
    # Darknet does the opposite with the values as they stand in memory.
    channels = x.shape[1] // stride**2
    sizes = [node.size(x, axis) for axis in (2, 3)]
    large = [product(node, size, stride) for size in sizes]
    x = node.reshape(x, [-1, channels, *large])
    x = node.op("SpaceToDepth", x, blocksize=stride)
    small = [
        size // stride if isinstance(size, int) else node.op("Div", size, stride)
        for size in sizes
    ]
    return node.reshape(x, [-1, channels * stride**4, *small])


def yolo_detections(node, maps, options):
    """Return the detections in maps of predictions, as rows.

    Args:
        node: The layer, an `OnnxNode`.
        maps: The maps, of known height and width.
        options: `YoloOptions`.
    """
    rows = candidates(options, [x.shape for x in maps])
    most = min(rows, options.max_detections or rows)
    parts = [_found(node, x, at, options) for at, x in enumerate(maps)]
    boxes, scores, labels = (
        node.joined(part, axis=1) for part in zip(*parts, strict=True)
    )
    # YOLOv2's scores must reach the threshold, YOLOv3's be above it.
    compare = "Greater" if options.mask else "GreaterOrEqual"
    fits = node.op(compare, scores, float(options.confidence_threshold))
    scores, order = best(node, node.op("Where", fits, scores, LOWEST), rows)
    labels = node.op("GatherElements", labels, order, axis=1)
    order = node.op("Unsqueeze", order, [2])
    boxes = node.op("GatherND", boxes, order, batch_dims=1)
    valid = node.op("Greater", scores, LOWEST)
    limit = options.nms_threshold
    stays = kept(node, boxes, valid, limit, most, inclusive=True)
    return detection_rows(node, stays, labels, scores, boxes)


def _found(node, x, at, options):
    """Return boxes (N, K, 4), their scores (N, K) and labels, counted from 1."""
    _, _, height, width = x.shape
    values, cells = COORDINATES + options.num_classes, height * width
    x = node.reshape(x, [-1, options.num_box, values, cells])
    x = node.op("Transpose", x, perm=[0, 3, 1, 2])
    x = node.reshape(x, [-1, cells * options.num_box, values])
    boxes = _corners(node, x, (height, width), at, options)
    sure = node.op("Sigmoid", node.op("Gather", x, [COORDINATES - 1], axis=2))
    chances = node.op("Slice", x, [COORDINATES], [values], [2])
    if not options.mask:
        chances = node.op("Softmax", chances, axis=2)
        scores, labels = _highest(node, chances)
        return boxes, node.op("Mul", scores, node.op("Squeeze", sure, [2])), labels
    scores = node.op("Mul", sure, node.op("Sigmoid", chances))
    if rows_per_box(options) == 1:
        return boxes, *_highest(node, scores)
    return _each_class(node, boxes, scores, options.num_classes)


def _highest(node, scores):
    """Return the highest scores, and the labels of the first classes that have it."""
    labels = node.op("ArgMax", scores, axis=2, keepdims=0)
    labels = node.op("Add", node.op("Cast", labels, to=np.float32), 1.0)
    return node.op("ReduceMax", scores, axes=[2], keepdims=0), labels


def _each_class(node, boxes, scores, classes):
    """Return a box, a score and a label for each class of each box."""
    count = scores.shape[1]
    each = np.repeat(np.arange(count), classes)
    boxes = node.op("Gather", boxes, each, axis=1)
    labels = np.arange(1, classes + 1, dtype="float32")
    labels = node.op("Add", node.op("Mul", scores, 0.0), labels)
    shape = [-1, count * classes]
    return boxes, node.reshape(scores, shape), node.reshape(labels, shape)


def _corners(node, x, sizes, at, options):
    """Return the corners of a map's boxes, in parts of the image."""
    height, width = sizes
    scale = options.anchors_scale[at] if options.mask else 1
    anchors = np.reshape(
        np.float32(options.biases)[: len(options.biases) // 2 * 2], (-1, 2)
    )
    anchors = anchors[options.mask[at]] if options.mask else anchors[: options.num_box]
    y, x_ = np.divmod(np.arange(height * width), width)
    places = np.repeat(np.stack([x_, y], 1), options.num_box, axis=0)
    extent = np.float32([width, height])
    middle = node.op("Sigmoid", node.op("Gather", x, [0, 1], axis=2))
    middle = node.op("Add", middle, places.astype("float32"))
    middle = node.op("Div", middle, extent)
    sides = node.op("Exp", node.op("Gather", x, [2, 3], axis=2))
    sides = node.op("Mul", sides, np.tile(anchors, (height * width, 1)))
    half = node.op("Mul", node.op("Div", sides, extent * np.float32(scale)), 0.5)
    ends = (node.op(type_, middle, half) for type_ in ("Sub", "Add"))
    return node.op("Concat", *ends, axis=2)
