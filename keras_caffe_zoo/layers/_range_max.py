"""The maximum of any rectangle of a map, looked up instead of searched for.

A table has the maximum of each window of 1, 2, 4, 8, … rows and as many columns. A
rectangle is covered by four such windows, which may overlap, so that it costs four
look-ups, whatever its size.
"""

import numpy as np
from keras import ops

# For an axis of a size that is not known: enough for 4095 cells. Of windows that are
# larger than the map there is one, which is never looked up: ONNX has no empty shapes.
_LEVELS = 12


def highest(maps, item, rows, columns):
    """Return the maximum of rectangles of maps, for each channel.

    Args:
        maps: (N, H, W, C).
        item: (R,) of int32, which map.
        rows: First row and the one behind the last, two (R, P) of int32. The first
            must be smaller.
        columns: Likewise, two (R, Q).

    Returns:
        (R, P, Q, C).
    """
    return _looked_up((maps,), item, rows, columns, _higher)[0]


def where_highest(maps, item, rows, columns):
    """Return where the maximum is that comes first, as `highest` is given it.

    Returns:
        (R, P, Q, C) of int32, each a number of a cell, n * H * W + y * W + x.
    """
    items, height, width, channels = ops.shape(maps)
    cells = ops.arange(items * height * width, dtype="int32")
    cells = ops.reshape(cells, (items, height, width, 1))
    cells = ops.repeat(cells, channels, axis=-1)
    return _looked_up((maps, cells), item, rows, columns, _higher_or_before)[1]


def _higher(one, other):
    return (ops.maximum(one[0], other[0]),)


def _higher_or_before(one, other):
    """Return the higher of values with their cells, the first one of equal values."""
    before = ops.logical_and(ops.equal(one[0], other[0]), other[1] < one[1])
    better = ops.logical_or(other[0] > one[0], before)
    return tuple(ops.where(better, b, a) for a, b in zip(one, other, strict=True))


def _looked_up(maps, item, rows, columns, join):
    _, height, width, _ = ops.shape(maps[0])
    heights = _windows(maps[0].shape[1], height)
    widths = _windows(maps[0].shape[2], width)
    tables = _tables(maps, heights, widths, join)
    high, wide = len(heights), len(widths)
    heights, widths = (ops.stack(sizes) for sizes in (heights, widths))
    sizes = ops.reshape(heights[:, None] * widths[None], (-1,))
    ends = ops.cumsum(sizes)
    row_level, row_ends = _cover(rows, high)
    level, ends_across = _cover(columns, wide)
    level, across = level[:, None], ops.take(widths, level)[:, None]
    table = row_level[:, :, None] * wide + level
    start = ops.take(ends - sizes, table) + item[:, None, None] * ends[-1]
    found = None
    for y in row_ends:
        for x in ends_across:
            place = start + y[:, :, None] * across + x[:, None]
            values = tuple(ops.take(table, place, axis=0) for table in tables)
            found = values if found is None else join(found, values)
    return found


def _windows(known, size):
    """Return how many windows of each size there are along an axis."""
    if known is not None:
        return [known - 2**level + 1 for level in range(known.bit_length())]
    return [ops.maximum(size - (2**level - 1), 1) for level in range(_LEVELS)]


def _tables(maps, heights, widths, join):
    """Return the tables, each (N * all windows, C)."""
    items, _, _, channels = ops.shape(maps[0])
    found = []
    for high, height in enumerate(heights):
        if high:
            maps = _doubled(maps, 1, heights[high - 1], height, join)
        windows = maps
        for wide, width in enumerate(widths):
            if wide:
                windows = _doubled(windows, 2, widths[wide - 1], width, join)
            found.append([ops.reshape(x, (items, -1, channels)) for x in windows])
    tables = (ops.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
    return [ops.reshape(table, (-1, channels)) for table in tables]


def _doubled(maps, axis, size, left, join):
    """Return the maxima of windows twice as long along an axis, as many as are left."""
    ahead = (slice(None),) * axis
    return join(
        tuple(x[(*ahead, slice(None, left))] for x in maps),
        tuple(x[(*ahead, slice(size - left, None))] for x in maps),
    )


def _cover(ends, levels):
    """Return the level of windows, two of which cover a range, and where they start."""
    first, behind = ends
    level = np.arange(2**levels)  # of each length
    level = np.maximum(np.frexp(level)[1] - 1, 0)
    level = ops.take(ops.convert_to_tensor(level, "int32"), behind - first)
    sizes = ops.convert_to_tensor(2 ** np.arange(levels), "int32")
    return level, (first, behind - ops.take(sizes, level))
