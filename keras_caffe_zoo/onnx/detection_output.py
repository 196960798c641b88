"""SSD's last layer as ONNX operations: from offsets and probabilities to detections."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.arithmetic.detections import check_options, labels_of, room
from keras_caffe_zoo.onnx.detections import detection_rows, no_rows, the_best
from keras_caffe_zoo.onnx.suppression import LOWEST, best, kept, least_of, product


def detection_output(node, offsets, scores, priors, options):
    """Return the detections, as rows.

    Args:
        node: The layer, an `OnnxNode`.
        offsets: (N, priors * 4), or (N, priors * classes * 4).
        scores: (N, priors * classes).
        priors: (1, 2, priors * 4).
        options: `DetectionOptions`.
    """
    check_options(options)
    shapes = (x.shape for x in (offsets, scores, priors))
    if not room(options, *shapes, node.layer.name):
        return no_rows(node, node.size(scores, 0))
    priors = node.op("Gather", priors, np.int64(0), axis=0)
    priors = node.reshape(priors, [2, -1, 4])
    boxes = _predicted(node, offsets, priors, options)
    scores, index = _candidates(node, scores, node.size(priors, 1), options)
    boxes = _boxes_at(node, boxes, index, options)
    valid = node.op("Greater", scores, LOWEST)
    limits = {"threshold": options.nms_threshold, "eta": options.eta}
    stays = kept(node, boxes, valid, most=None, **limits)
    return _rows(node, stays, scores, boxes, options)


def _predicted(node, offsets, priors, options):
    """Return the boxes that are predicted: (N, priors, 4), or of each class."""
    count = node.size(priors, 1)
    if options.share_location:
        offsets = node.reshape(offsets, [-1, count, 4])
    else:
        offsets = node.reshape(offsets, [-1, count, options.num_classes, 4])
        offsets = node.op("Transpose", offsets, perm=[0, 2, 1, 3])
        offsets = node.reshape(_of_labels(node, offsets, options), [-1, count, 4])
    corners, variances = (
        node.op("Gather", priors, np.int64(i), axis=0) for i in (0, 1)
    )
    if not options.variance_encoded_in_target:
        offsets = node.op("Mul", offsets, variances)
    found = _decoded(node, offsets, corners, options.code_type)
    return node.op("Clip", found, 0.0, 1.0) if options.clip else found


def _decoded(node, offsets, priors, code_type):
    """Return the boxes that offsets (rows, priors, 4) from prior boxes stand for."""
    if code_type == "corner":
        return node.op("Add", offsets, priors)
    low, high = _halves(node, priors, 1)
    size = node.op("Sub", high, low)
    if code_type == "corner_size":
        sizes = node.op("Concat", size, size, axis=1)
        return node.op("Add", node.op("Mul", offsets, sizes), priors)
    moved, grown = _halves(node, offsets, 2)
    centre = node.op("Mul", node.op("Add", low, high), 0.5)
    centre = node.op("Add", node.op("Mul", moved, size), centre)
    half = node.op("Mul", node.op("Mul", node.op("Exp", grown), size), 0.5)
    ends = [node.op(type_, centre, half) for type_ in ("Sub", "Add")]
    return node.op("Concat", *ends, axis=2)


def _halves(node, x, axis):
    return [node.op("Gather", x, at, axis=axis) for at in ([0, 1], [2, 3])]


def _of_labels(node, x, options):
    """Return what is there of each class (axis 1), without the background."""
    labels = labels_of(options)
    if len(labels) == options.num_classes:
        return x
    return node.op("Gather", x, labels, axis=1)


def _candidates(node, scores, count, options):
    """Return the best scores, and whose: (N * classes, candidates).

    What is no candidate has the lowest score.
    """
    scores = node.reshape(scores, [-1, count, options.num_classes])
    scores = node.op("Transpose", scores, perm=[0, 2, 1])
    scores = node.reshape(_of_labels(node, scores, options), [-1, count])
    if options.confidence_threshold is not None:
        above = node.op("Greater", scores, float(options.confidence_threshold))
        scores = node.op("Where", above, scores, LOWEST)
    most = count if options.top_k is None else least_of(node, count, options.top_k)
    return best(node, scores, most)


def _boxes_at(node, boxes, index, options):
    """Return the boxes at places (N * classes, K): (N * classes, K, 4)."""
    size = node.size(index, 1)
    if options.share_location:
        columns = product(node, len(labels_of(options)), size)
        index = node.reshape(index, [-1, columns])
    index = node.op("Unsqueeze", index, [2])
    boxes = node.op("GatherND", boxes, index, batch_dims=1)
    return node.reshape(boxes, [-1, size, 4])


def _rows(node, stays, scores, boxes, options):
    """Return what stays of the candidates of all classes, of an item the best."""
    labels, size = labels_of(options), node.size(scores, 1)
    columns = product(node, len(labels), size)
    scores = node.reshape(scores, [-1, len(labels), size])
    found = node.op("Greater", scores, LOWEST)
    labels = node.op("Where", found, np.array(labels, "float32")[:, None], -1.0)
    stays, labels, scores = (
        node.reshape(x, [-1, columns]) for x in (stays, labels, scores)
    )
    most = options.keep_top_k
    if most is not None and not (isinstance(columns, int) and columns <= most):
        stays = the_best(node, stays, scores, most)
    boxes = node.reshape(boxes, [-1, columns, 4])
    return detection_rows(node, stays, labels, scores, boxes)
