"""Maps of points and of directions: enlarged, searched for peaks, read along lines."""

import numpy as np

SAMPLES = 10  # along a limb


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge maps bicubically (Catmull-Rom's spline), as OpenPose does.

    Args:
        maps: Float32 (rows, columns, C).
        size: New height and width.

    Returns:
        Float32 (C, height, width).
    """
    down = _weights(maps.shape[0], size[0])
    across = _weights(maps.shape[1], size[1])
    return down @ np.moveaxis(maps, -1, 0) @ across.T


def _weights(old: int, new: int) -> np.ndarray:
    """Return each old pixel's weight in each new one, (new, old)."""
    places = (np.arange(new) + 0.5) * (old / new) - 0.5
    first = np.floor(places).astype(int)
    weights = np.zeros((new, old))
    for tap in (-1, 0, 1, 2):
        away = np.abs(places - first - tap)
        near = 1.5 * away**3 - 2.5 * away**2 + 1
        far = -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2
        column = np.clip(first + tap, 0, old - 1)  # the border goes on outside
        np.add.at(weights, (np.arange(new), column), np.where(away <= 1, near, far))
    return weights.astype("float32")


def peaks(heat: np.ndarray, threshold: float) -> np.ndarray:
    """Find where a map is higher than at all eight neighbours.

    Of equal neighbours the last counts, by rows. Between pixels the peak is the top of
    a parabola through it and its neighbours.

    Args:
        heat: (H, W).
        threshold: What a peak must be above.

    Returns:
        Float32 (N, 3): x, y and height, by rows.
    """
    padded = np.pad(heat, 1, constant_values=-np.inf)
    rows, columns = np.nonzero(heat > threshold)
    height = heat[rows, columns]
    rows, columns = rows + 1, columns + 1
    top = np.ones(len(height), bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            other = padded[rows + dy, columns + dx]
            if (dy, dx) > (0, 0):
                top &= height > other
            elif (dy, dx) < (0, 0):
                top &= height >= other
    rows, columns, height = rows[top], columns[top], height[top]
    sides = (padded[rows, columns - 1], padded[rows, columns + 1])
    ends = (padded[rows - 1, columns], padded[rows + 1, columns])
    x, y = columns - 1 + _top(height, *sides), rows - 1 + _top(height, *ends)
    return np.stack([x, y, height], 1).astype("float32")


def _top(middle, before, after):
    """Return how far from the middle a parabola has its top, 0 at a map's border."""
    inside = np.isfinite(before) & np.isfinite(after)
    before, after = np.where(inside, before, 0), np.where(inside, after, 0)
    bend = 2 * middle - before - after
    known = inside & (bend > 0)
    return np.where(known, (after - before) / np.where(known, 2 * bend, 1), 0)


def along_lines(field: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Read how much a field goes along each line, at ten places from end to end.

    Between cells the field is bilinear, and beyond the border as at it.

    Args:
        field: Directions x and y, (rows, columns, 2).
        starts: Beginnings of lines, (A, 2): x and y in cells.
        ends: Ends of lines, (B, 2).

    Returns:
        (A, B, 10): the field's part along each line from one to another; 0 where both
        are the same place.
    """
    ahead = ends[None] - starts[:, None]
    length = np.linalg.norm(ahead, axis=-1, keepdims=True)
    ahead = np.divide(ahead, length, out=np.zeros_like(ahead), where=length > 0)
    share = np.linspace(0, 1, SAMPLES)[:, None]
    places = starts[:, None, None] * (1 - share) + ends[None, :, None] * share
    return np.einsum("absc,abc->abs", _read(field, places), ahead)


def _read(field: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return a field at places `(…, 2)`, x and y in cells, bilinearly."""
    last = np.array([field.shape[1], field.shape[0]]) - 1
    places = np.clip(places, 0, last)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, last)
    right, down = np.moveaxis(places - low, -1, 0)[..., None]
    (left, top), (far, bottom) = np.moveaxis(low, -1, 0), np.moveaxis(high, -1, 0)
    upper = field[top, left] * (1 - right) + field[top, far] * right
    lower = field[bottom, left] * (1 - right) + field[bottom, far] * right
    return upper * (1 - down) + lower * down
