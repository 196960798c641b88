"""Which of some boxes stay, where there are few enough for NumPy."""

import numpy as np


def nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    mode: str = "union",
    *,
    plus_one: bool = False,
) -> np.ndarray:
    """Return which boxes greedy non-maximum suppression leaves.

    The best box stays, and those go that overlap it by more than the threshold; then
    the best of the rest, and so on. Of equal scores the earlier box is the better.

    Args:
        boxes: `(N, 4)`: x1, y1, x2, y2.
        scores: `(N,)`.
        threshold: The overlap from which on, exclusively, the lesser box goes.
        mode: What the intersection is divided by: `"union"`, or `"min"`, the smaller
            of the two boxes.
        plus_one: Whether a box from x1 to x2 is `x2 - x1 + 1` wide, the corners being
            pixels.

    Returns:
        Indices of the boxes that stay, by falling score.

    Raises:
        ValueError: If the mode is another.
    """
    if mode not in ("union", "min"):
        raise ValueError(f"Expected `mode` 'union' or 'min'; received: mode={mode!r}")
    boxes = np.asarray(boxes).reshape(-1, 4)
    extra = 1 if plus_one else 0
    areas = _areas(boxes[:, :2], boxes[:, 2:], extra)
    order = np.argsort(-np.asarray(scores), kind="stable")
    stay = []
    while len(order):
        best, order = order[0], order[1:]
        stay.append(best)
        first = np.maximum(boxes[best, :2], boxes[order, :2])
        last = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = _areas(first, last, extra)
        if mode == "union":
            whole = areas[best] + areas[order] - shared
        else:
            whole = np.minimum(areas[best], areas[order])
        # A product, since a box of no area has nothing to divide by.
        order = order[~(shared > threshold * whole)]
    return np.array(stay, "int64")


def _areas(first: np.ndarray, last: np.ndarray, extra: int) -> np.ndarray:
    """Return the areas of boxes between corners, 0 of those that end too early."""
    return np.prod(np.maximum(last - first + extra, 0), axis=-1)
