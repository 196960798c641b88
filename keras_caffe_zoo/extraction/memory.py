"""Features as arrays in memory."""

import contextlib
from collections.abc import Callable

import numpy as np

from keras_caffe_zoo.extraction.report import Features
from keras_caffe_zoo.extraction.sources import Source, blocks_of, require_any


def to_memory(source: Source, compute: Callable, size: int) -> Features:
    """Return the features of a source.

    Args:
        source: The pictures.
        compute: Makes a generator of the blocks of lists of items, in any order.
        size: Pictures in a block.

    Raises:
        ValueError: If the source holds no picture.
    """
    tasks = blocks_of(require_any(source.items()), size)
    with contextlib.closing(compute(tasks)) as blocks:
        blocks = sorted(blocks, key=lambda block: block.first)
    values = {}
    for name in list(blocks[0].values):
        rows = [block.values.pop(name) for block in blocks]  # freed layer by layer
        # A block without good pictures may not know the shape of a row.
        values[name] = np.concatenate([r for r in rows if len(r)] or rows[:1])
    names = [name for block in blocks for name in block.names]
    bad = tuple(bad for block in blocks for bad in block.bad)
    shapes = {name: rows.shape[1:] for name, rows in values.items()}
    return Features(len(names), bad, shapes, names=names, values=values)
