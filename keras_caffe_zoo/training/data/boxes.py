"""Objects of a picture as SSD's data layer moves them: cut, clipped, mirrored.

An object is a row of float32: item, class, instance, x1, y1, x2, y2, difficult, the
corners as fractions of the picture. All of it is computed in float32, as in the fork.
"""

from collections.abc import Sequence

import numpy as np

SIZE = 8  # of a row
CORNERS = slice(3, 7)
MOST = 1e9  # of a corner: areas stay finite in float32
WHOLE = np.array([0, 0, 1, 1], "float32")


def object_rows(labels, corners, difficult=None) -> np.ndarray:
    """Return objects as rows, in the order in which the fork's tool stores them.

    Those of a class stand together, where the first of them stands, and are counted
    from 0.

    Args:
        labels: Integers `(G,)`.
        corners: x1, y1, x2, y2 as fractions of the picture, `(G, 4)`.
        difficult: Whether each is difficult, `(G,)`; none is if None.

    Raises:
        ValueError: If a label is no integer of at most 2**24, or a corner no number of
            at most 1e9.
    """
    labels = np.asarray(labels, "float64").reshape(-1)
    corners = np.asarray(corners, "float64").reshape(-1, 4)
    difficult = np.zeros(len(labels)) if difficult is None else np.asarray(difficult)
    if not (np.abs(corners) <= MOST).all():
        raise ValueError(
            f"Expected corners that are numbers of at most {MOST:g}; received: "
            f"{corners.tolist()[:5]}"
        )
    # Beyond 2**24 labels would not be themselves in float32, as the loss has them.
    if (labels != np.rint(labels)).any() or (np.abs(labels) > 2**24).any():
        raise ValueError(
            f"Expected labels that are integers of at most 2**24; received: {labels}"
        )
    kinds, first, kind = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first[kind], kind="stable")
    rows = np.zeros((len(labels), SIZE), "float32")
    rows[:, 1], rows[:, CORNERS], rows[:, 7] = labels, corners, difficult != 0
    for number in range(len(kinds)):
        rows[kind == number, 2] = np.arange(np.count_nonzero(kind == number))
    return rows[order]


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return the areas of boxes `(…, 4)`, 0 of those that are inside out."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return np.where((sides < 0).any(-1), np.float32(0), sides[..., 0] * sides[..., 1])


def shared_areas(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the area that each of boxes `(T, 4)` shares with others `(G, 4)`."""
    least = np.maximum(boxes[:, None, :2], others[None, :, :2])
    most = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(most - least, 0)
    return sides[..., 0] * sides[..., 1]


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return intersection over union of boxes `(T, 4)` and others `(G, 4)`."""
    shared = shared_areas(boxes, others)
    union = areas(boxes)[:, None] + areas(others)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)


def coverages(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how much of each of boxes `(T, 4)` each of others `(G, 4)` covers."""
    shared = shared_areas(boxes, others)
    own = np.broadcast_to(areas(boxes)[:, None], shared.shape)
    return np.divide(shared, own, out=np.zeros_like(shared), where=shared > 0)


def emitted(rows: np.ndarray, frame: np.ndarray, emit: str | float | None):
    """Return the objects that remain in a part of the picture.

    Args:
        rows: Objects `(G, 8)`.
        frame: The part's corners.
        emit: `"center"`: those whose centre is in it; a number: those of which it
            covers more than that; all if None.
    """
    if emit is None:
        return rows
    corners = rows[:, CORNERS]
    if emit == "center":
        centres = (corners[:, :2] + corners[:, 2:]) / np.float32(2)
        return rows[((centres >= frame[:2]) & (centres <= frame[2:])).all(1)]
    return rows[coverages(corners, frame[None])[:, 0] > np.float32(emit)]


def projected(rows: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Return objects as fractions of a part of the picture, clipped to it.

    Those that have nothing in it are left out.

    Args:
        rows: Objects `(G, 8)`.
        frame: The part's corners; it may be larger than the picture.
    """
    corners = rows[:, CORNERS]
    meets = (corners[:, :2] < frame[2:]) & (corners[:, 2:] > frame[:2])
    rows = rows[meets.all(1)]
    corners = rows[:, CORNERS].reshape(-1, 2, 2)
    corners = (corners - frame[:2]) / (frame[2:] - frame[:2])
    rows[:, CORNERS] = np.clip(corners, 0, 1).reshape(-1, 4)
    return rows[areas(rows[:, CORNERS]) > 0]


def mirrored(rows: np.ndarray) -> np.ndarray:
    """Return the objects of the picture that is mirrored, left to right."""
    rows = rows.copy()
    rows[:, [3, 5]] = 1 - rows[:, [5, 3]]
    return rows


def filled_up(rows: np.ndarray, count: int | None) -> np.ndarray:
    """Return objects with rows of -1 behind them, which stand for none.

    Args:
        rows: Objects `(G, 8)`.
        count: How many rows; as many as there are, but one at least, if None.

    Raises:
        ValueError: If there are more objects than rows.
    """
    count = max(len(rows), 1) if count is None else count
    if len(rows) > count:
        raise ValueError(
            f"Expected at most {count} objects, the `max_objects`; received: "
            f"{len(rows)}"
        )
    out = np.full((count, SIZE), -1, "float32")
    out[: len(rows)] = rows
    return out


def pixel_window(
    frame: Sequence[float], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return the pixels of a part of a picture: top, left, height and width.

    Args:
        frame: The part's corners, float32, from 0 to 1.
        size: The picture's height and width.
    """
    height, width = size
    x1, y1, x2, y2 = np.asarray(frame, "float32") * np.float32(
        [width, height, width, height]
    )
    # At least one pixel: the fork aborts where a part has none.
    top, left = min(int(y1), height - 1), min(int(x1), width - 1)
    return top, left, max(int(y2 - y1), 1), max(int(x2 - x1), 1)
