"""Which of many boxes stay, as ONNX operations: what all layers that detect share.

ONNX's NonMaxSuppression suppresses above the threshold what has a lower score, as Caffe
does. It is given ranks for scores, so that equal scores need no rule of the engine's,
and one box more, which always stays: some engines have no tensors without values.
"""

from __future__ import annotations

import math

import numpy as np

LOWEST = -3e38  # the score of what is no candidate
_MOST_STEPS = 64  # boxes after which the threshold still falls
_SMALLEST = float(np.finfo("float32").tiny)


def best(node, scores, most):
    """Return the highest scores of each row and where they are.

    Args:
        node: The layer, an `OnnxNode`.
        scores: (rows, K).
        most: How many, at most K: an integer or a `Value`.

    Returns:
        (rows, most) of scores that fall, equal ones as they stand, and int64. So ONNX
        has it; OpenVINO has equal ones in any order.
    """
    return node.op("TopK", scores, node.sizes([most]), axis=1, outputs=2)


def least_of(node, *counts):
    """Return the least of counts, integers or values of no axes."""
    known = [count for count in counts if isinstance(count, int)]
    found = [count for count in counts if not isinstance(count, int)]
    if not found:
        return min(known)
    ends = [*found, min(known)] if known else found
    return node.op("Min", *ends) if len(ends) > 1 else ends[0]


def product(node, *counts):
    """Return the product of two counts, integers or values of no axes."""
    if all(isinstance(count, int) for count in counts):
        return math.prod(counts)
    return node.op("Mul", *counts)


def kept(node, boxes, valid, threshold, most, *, inclusive=False, eta=1.0):
    """Tell which boxes greedy non-maximum suppression leaves.

    Args:
        node: The layer, an `OnnxNode`.
        boxes: (rows, K, 4): x1, y1, x2, y2, by falling score.
        valid: (rows, K) of bool: those that count.
        threshold: Intersection over union above which a box is suppressed.
        most: At most so many stay in a row, an integer or a `Value`; all if `None`.
        inclusive: Whether a box is suppressed at the threshold, too.
        eta: What the threshold is multiplied by after each box that stays, while it is
            above 0.5.

    Returns:
        (rows, K) of float32, 1 and 0.

    Raises:
        CaffeFormatError: If the threshold falls in too many steps.
    """
    limits = _limits(node, threshold, eta)
    stays = None
    if limits[1:]:
        stays, valid = _kept_one_by_one(node, boxes, valid, limits)
    rest = _kept(node, boxes, valid, limits[-1], most, inclusive)
    return rest if stays is None else node.op("Max", stays, rest)


def _limits(node, threshold: float, eta: float) -> list[float]:
    """Return the threshold before each box that stays, up to where it is the last."""
    limit, factor = np.float32(threshold), np.float32(eta)
    found = [float(limit)]
    while factor < 1 and limit > 0.5:
        limit = limit * factor
        found.append(float(limit))
        if len(found) > _MOST_STEPS:
            raise node.error(
                f"Expected an eta that lowers nms_threshold, {threshold:g}, to 0.5 in "
                f"{_MOST_STEPS} steps, as ONNX has an operation for each; received: "
                f"{eta:g}. Set it to 1, if it was not meant to matter"
            )
    return found


def _kept(node, boxes, valid, threshold, most, inclusive):
    if threshold > 1 or (threshold == 1 and not inclusive):
        return _first(node, valid, most)  # boxes overlap by no more than all of them
    low, high = (node.op("Gather", boxes, at, axis=2) for at in ([0, 1], [2, 3]))
    # A box that ends before it begins overlaps nothing; ONNX would turn it round.
    boxes = node.op("Concat", low, node.op("Max", low, high), axis=2)
    flat = None
    if most is None:
        flat, valid = _parted(node, valid, node.op("Greater", high, low))
    boxes = node.op("Pad", boxes, [0, 0, 0, 0, 1, 0], 0.0)
    ranks = node.op("Where", valid, _ranks(node, valid), 0.0)
    ranks = node.op("Pad", ranks, [0, 0, 0, 1], 0.5)
    if inclusive and threshold <= 0:
        most = 1  # which suppresses all others, wherever they are
    limit = _limit(threshold, inclusive)
    most = node.size(ranks, 1) if most is None else most
    scores, most = node.op("Unsqueeze", ranks, [1]), node.sizes([most])
    found = node.op("NonMaxSuppression", boxes, scores, most, [limit], [0.0])
    at = node.op("Gather", found, [0, 2], axis=1)
    count = node.op("Gather", node.op("Shape", found), [0], axis=0)
    ones = node.op("ConstantOfShape", count, value=np.ones(1, "float32"))
    stays = node.op("ScatterND", node.op("Mul", ranks, 0.0), at, ones)
    stays = node.op("Slice", stays, [0], [-1], [1])
    return stays if flat is None else node.op("Max", stays, flat)


def _parted(node, valid, large):
    """Return what counts but has no area, and the rest.

    The former need not be compared, and some engines find that it overlaps others.
    """
    wide, high = (node.op("Gather", large, np.int64(i), axis=2) for i in (0, 1))
    solid = node.op("And", valid, node.op("And", wide, high))
    flat = node.op("And", valid, node.op("Not", solid))
    return node.op("Cast", flat, to=np.float32), solid


def _limit(threshold: float, inclusive: bool) -> float:
    """Return the threshold above which there is what is to be suppressed."""
    limit = np.float32(threshold)
    if inclusive:
        limit = np.nextafter(limit, np.float32(-1))
    # At 0 itself some engines suppress what does not overlap at all.
    return max(float(limit), _SMALLEST)


def _first(node, valid, most):
    """Return the first of those that count, which stand in front."""
    if most is None:
        return node.op("Cast", valid, to=np.float32)
    size = node.size(valid, 1)
    behind = node.op("Cast", node.op("Sub", size, most), to=np.float32)
    there = node.op("Greater", _ranks(node, valid), behind)
    return node.op("Cast", node.op("And", valid, there), to=np.float32)


def _ranks(node, valid):
    """Return numbers that fall along a row, the last of them 1."""
    size = node.size(valid, 1)
    if isinstance(size, int):
        return node.constant(np.arange(size, 0, -1, dtype="float32"))
    return node.op("Cast", node.op("Range", size, 0, -1), to=np.float32)


def _kept_one_by_one(node, boxes, valid, limits):
    """Decide on the first boxes, each of which changes the threshold.

    Returns:
        (rows, K) of float32: those that stay; and of bool: the others that may stay.
    """
    ranks = _ranks(node, valid)
    worst = node.op("Mul", node.op("Cast", valid, to=np.float32), 0.0)
    stays = worst
    for limit in limits[:-1]:
        open_ = _open(node, valid, worst, limit)
        rank = node.op("Where", open_, ranks, 0.0)
        top = node.op("ReduceMax", rank, axes=[1], keepdims=1)
        there = node.op("Greater", top, 0.0)
        stay = node.op("And", node.op("Equal", ranks, top), there)
        stays = node.op("Max", stays, node.op("Cast", stay, to=np.float32))
        at = node.op("ArgMax", rank, axis=1, keepdims=1)
        one = node.op("GatherND", boxes, node.op("Unsqueeze", at, [2]), batch_dims=1)
        found = node.op("Where", there, _overlap(node, one, boxes), 0.0)
        worst = node.op("Max", worst, found)
        behind = node.op("Less", ranks, top)
        valid = node.op("And", valid, behind)
    return stays, _open(node, valid, worst, limits[-1])


def _open(node, valid, worst, limit):
    return node.op("And", valid, node.op("LessOrEqual", worst, limit))


def _overlap(node, one, others):
    """Return the intersection over union of boxes, (rows, 1 or K, 4)."""
    x1, y1, x2, y2 = (
        [node.op("Gather", boxes, np.int64(i), axis=2) for boxes in (one, others)]
        for i in range(4)
    )
    sides = (
        node.op("Sub", node.op("Min", *end), node.op("Max", *start))
        for start, end in ((x1, x2), (y1, y2))
    )
    shared = node.op("Mul", *(node.op("Max", side, 0.0) for side in sides))
    areas = [
        node.op("Mul", *(node.op("Max", node.op("Sub", e, s), 0.0) for s, e in sides))
        for sides in (((x1[i], x2[i]), (y1[i], y2[i])) for i in (0, 1))
    ]
    union = node.op("Sub", node.op("Add", *areas), shared)
    touching = node.op("Greater", shared, 0.0)
    share = node.op("Div", shared, node.op("Where", touching, union, 1.0))
    return node.op("Where", touching, share, 0.0)
