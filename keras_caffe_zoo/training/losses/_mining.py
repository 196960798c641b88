"""Which values of a row are chosen: the largest, or those that overlap no larger one.

Nothing here has a gradient.
"""

from keras import ops

from keras_caffe_zoo.layers import _nms

_LEAST_AREA = 1e-5  # of a box that may be chosen


def rank(values, eligible):
    """Return how many eligible values of a row are larger, or as large and before.

    Args:
        values: (rows, R).
        eligible: (rows, R) of bool; all others come behind.
    """
    order = ops.argsort(ops.where(eligible, -values, float("inf")), axis=1)
    return ops.cast(ops.argsort(order, axis=1), "int32")


def surviving(boxes, values, eligible, threshold, top_k):
    """Tell which boxes non-maximum suppression leaves, the largest values first.

    Args:
        boxes: (rows, R, 4).
        values: (rows, R).
        eligible: (rows, R) of bool.
        threshold: Intersection over union above which the lesser box goes.
        top_k: How many are looked at; all if `None`.

    Returns:
        (rows, R) of bool.
    """
    if top_k == 0:
        return ops.zeros_like(eligible)
    ranks = rank(values, eligible)
    order = ops.argsort(ranks, axis=1)[:, :top_k]
    boxes = _nms.rows_at(boxes, order)
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    large = sides[..., 0] * sides[..., 1] >= _LEAST_AREA
    valid = ops.logical_and(ops.take_along_axis(eligible, order, axis=1), large)
    kept = _nms.kept(boxes, valid, threshold, 1 << 30)
    size = ops.shape(order)[1]
    stays = ops.take_along_axis(kept, ops.minimum(ranks, size - 1), axis=1)
    return ops.logical_and(stays, ranks < size)
