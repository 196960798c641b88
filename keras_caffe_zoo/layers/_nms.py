"""Which of many boxes stay: what all layers that detect share.

Everything has a first axis of rows (an image, or a class of one) that do not touch, and
sizes that are known before any value is, so that it compiles.
"""

import keras
import numpy as np
from keras import ops

# Boxes that are decided in one step. More of them make fewer steps, and more of the
# work in a step is on boxes that then turn out to be suppressed.
_AT_ONCE = 16

# The score of what is no candidate, below any other. Not infinite: an engine that
# multiplies by 0 where another chooses would make it no number.
LOWEST = -3e38


def kept(boxes, valid, threshold, most, *, pixel=0.0, inclusive=False, eta=1.0):
    """Tell which boxes greedy non-maximum suppression leaves.

    Each box that stays suppresses those behind it that overlap it. The work is that of
    comparing each box that stays with all, in steps that are vectors.

    Args:
        boxes: (rows, K, 4): x1, y1, x2, y2, by falling score.
        valid: (rows, K) of bool: those that count.
        threshold: Intersection over union above which a box is suppressed.
        most: At most so many stay in a row.
        pixel: 1 where a box from x1 to x2 is x2 - x1 + 1 wide.
        inclusive: Whether a box is suppressed at the threshold, too.
        eta: What the threshold is multiplied by after each box that stays, while it is
            above 0.5.

    Returns:
        (rows, K) of bool.
    """
    boxes = ops.stop_gradient(ops.convert_to_tensor(boxes))
    valid = ops.stop_gradient(ops.convert_to_tensor(valid))

    def suppress(ones, others):
        overlaps = overlap(ones[:, :, None], others[:, None], pixel)
        # So that what is not a number is suppressed, as in Caffe.
        agree = ops.less if inclusive else ops.less_equal
        return ops.logical_not(agree(overlaps, threshold))

    if eta < 1:
        return _kept_one_by_one(boxes, valid, threshold, most, pixel, eta)
    return _kept_in_steps(boxes, valid, most, suppress)


def _kept_in_steps(boxes, valid, most, suppress):
    """Decide on the first few boxes at a time that are still in question.

    Of these, a box stays for certain if none before it suppresses it: all that could
    are among them. The first always does.
    """
    size = boxes.shape[1]
    width = _AT_ONCE if size is None else min(_AT_ONCE, size)
    places = ops.arange(ops.shape(boxes)[1], dtype="int32")
    before = np.triu(np.ones((width, width), bool), 1)

    def is_open(open_, stays):
        return ops.any(open_)

    def step(open_, stays):
        index, there = first(open_, width)
        ones = rows_at(boxes, index)
        among = ops.logical_and(suppress(ones, ones), before)
        among = ops.logical_and(among, there[:, :, None])
        sure = ops.logical_and(there, ops.logical_not(ops.any(among, axis=1)))
        gone = ops.logical_and(suppress(ones, boxes), sure[:, :, None])
        same = ops.equal(index[:, :, None], places[None, None])
        stay = ops.any(ops.logical_and(same, sure[:, :, None]), axis=1)
        gone = ops.logical_or(ops.any(gone, axis=1), stay)
        stays = ops.logical_or(stays, stay)
        open_ = ops.logical_and(open_, ops.logical_not(gone))
        # Those behind the last that counts; one in question before it may count yet.
        return ops.logical_and(open_, up_to(stays) < most), stays

    def up_to(stays):
        return ops.cumsum(ops.cast(stays, "int32"), axis=1)

    found = (valid, ops.zeros_like(valid))
    _, stays = ops.while_loop(is_open, step, found, maximum_iterations=size)
    return ops.logical_and(stays, up_to(stays) <= most)


def _kept_one_by_one(boxes, valid, threshold, most, pixel, eta):
    """Decide on one box after the other, since each changes the threshold."""
    places = ops.arange(ops.shape(boxes)[1], dtype="int32")

    def is_open(candidates, *_):
        return ops.any(candidates)

    def step(candidates, stays, overlaps, limit):
        there = ops.any(candidates, axis=1)
        index = ops.argmax(ops.cast(candidates, "int32"), axis=1)
        index = ops.cast(index, "int32")[:, None]
        stay = ops.logical_and(ops.equal(places[None], index), there[:, None])
        stays = ops.logical_or(stays, stay)
        found = overlap(rows_at(boxes, index), boxes, pixel)
        overlaps = ops.where(there[:, None], ops.maximum(overlaps, found), overlaps)
        falls = ops.logical_and(there[:, None], limit > 0.5)
        limit = ops.where(falls, limit * eta, limit)
        fits = ops.logical_and(overlaps <= limit, places[None] > index)
        full = ops.sum(ops.cast(stays, "int32"), axis=1, keepdims=True) >= most
        fits = ops.logical_and(
            fits, ops.logical_and(there[:, None], ops.logical_not(full))
        )
        return ops.logical_and(valid, fits), stays, overlaps, limit

    overlaps = ops.zeros_like(boxes[:, :, 0])
    limit = ops.zeros_like(boxes[:, :1, 0]) + threshold
    none = ops.zeros_like(valid)
    found = ops.while_loop(is_open, step, (valid, none, overlaps, limit))
    return found[1]


def overlap(ones, others, pixel=0.0):
    """Return the intersection over union of boxes, which may broadcast.

    Args:
        ones: (…, 4): x1, y1, x2, y2.
        others: Likewise.
        pixel: 1 where a box from x1 to x2 is x2 - x1 + 1 wide.
    """
    left, top, right, bottom = (ones[..., i] for i in range(4))
    left2, top2, right2, bottom2 = (others[..., i] for i in range(4))
    width = ops.minimum(right, right2) - ops.maximum(left, left2) + pixel
    height = ops.minimum(bottom, bottom2) - ops.maximum(top, top2) + pixel
    shared = ops.maximum(width, 0) * ops.maximum(height, 0)
    union = _area(ones, pixel) + _area(others, pixel) - shared
    touching = shared > 0
    return ops.where(touching, shared / ops.where(touching, union, 1), 0)


def _area(boxes, pixel):
    """Return the areas of boxes, 0 of one that ends before it begins."""
    width = boxes[..., 2] - boxes[..., 0] + pixel
    height = boxes[..., 3] - boxes[..., 1] + pixel
    return ops.maximum(width, 0) * ops.maximum(height, 0)


def first(mask, most):
    """Return where the first true values of each row are.

    Args:
        mask: (rows, K) of bool.
        most: How many at most.

    Returns:
        (rows, most) of int32 in rising order, and whether there are so many: bool.
    """
    size = ops.shape(mask)[1]
    rank = size - ops.arange(size, dtype="int32")
    rank = ops.where(mask, rank[None], 0)
    values, index = ops.top_k(rank, most)
    return ops.cast(index, "int32"), values > 0


def best(scores, most):
    """Return the highest scores of each row and where they are.

    Args:
        scores: (rows, K).
        most: How many; all of them if K is known and less. Where K is not known, the
            rows are filled up with `LOWEST`, at place 0.

    Returns:
        (rows, most) of scores that fall, equal ones as they stand, and int32.
    """
    size = scores.shape[1]
    if size is None:
        fill = ops.zeros_like(scores[:, :1]) + LOWEST
        scores = ops.concatenate([scores, ops.repeat(fill, most, axis=1)], axis=1)
    most = most if size is None else min(most, size)
    if keras.config.backend() == "torch":  # whose top_k has no order of equal scores
        index = ops.argsort(-scores, axis=1)[:, :most]
        values = ops.take_along_axis(scores, index, axis=1)
    else:
        values, index = ops.top_k(scores, most)
    index = ops.cast(index, "int32")
    return values, index if size is not None else ops.where(values > LOWEST, index, 0)


def highest(x):
    """Return the highest values along the last axis, and where the first of each is.

    Not by `ops.argmax`, which no ONNX has on TensorFlow: it looks at bits of zeros.
    """
    values, size = ops.max(x, -1), x.shape[-1]
    same = ops.equal(x, ops.expand_dims(values, -1))
    places = ops.where(same, ops.arange(size, dtype="int32"), size)
    return values, ops.min(places, -1)


def rows_at(values, index):
    """Return values (rows, K, …) at places (rows, B), as (rows, B, …)."""
    shape = ops.shape(values)
    start = ops.arange(shape[0], dtype="int32") * shape[1]
    flat = ops.reshape(values, (-1, *values.shape[2:]))
    return ops.take(flat, index + start[:, None], axis=0)
