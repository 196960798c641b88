"""Layers that make maps of other sizes, as ONNX operations."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.arithmetic.resizing import interpolated_size
from keras_caffe_zoo.onnx.graph import Value


def new_size(node, size: int | Value, *settings) -> int | Value:
    """Return `interpolated_size`, also of a size that only an engine knows."""
    wanted, zoom, shrink = settings
    if isinstance(size, int) or wanted is not None:
        return interpolated_size(size, *settings)
    if shrink is not None:
        size = node.op("Div", node.op("Sub", size, 1), shrink)
        size = node.op("Add", size, 1)
    if zoom is not None:
        size = node.op("Sub", node.op("Mul", size, zoom), zoom - 1)
    return size


def stretched(node, x, sizes: list[int | Value]):
    """Return maps of other sizes, interpolated linearly, whose corners stay corners."""
    # Of a single row or column OpenCV 5 interpolates whatever lies behind it.
    if 1 in x.shape[2:] and all(isinstance(size, int) for size in sizes):
        pairs = zip(x.shape[2:], sizes, strict=True)
        x = _enlarged(node, x, [new if old == 1 else 1 for old, new in pairs])
    if list(x.shape[2:]) == sizes:
        return x
    options = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    if not all(isinstance(size, int) for size in (*x.shape[2:], *sizes)):
        whole = node.sizes([node.size(x, 0), node.size(x, 1), *sizes])
        return node.op("Resize", x, None, None, whole, **options)
    # ONNX has sizes of all axes, and the number of items may be unknown. Factors are
    # of no account here but for the size, which is rounded down.
    factors = [(new + 0.5) / old for new, old in zip(sizes, x.shape[2:], strict=True)]
    return node.op("Resize", x, None, np.array([1, 1, *factors], "float32"), **options)


def repeated(node, x, times: int):
    """Return maps of which each pixel stands so many times in rows and columns."""
    return _enlarged(node, x, [times, times])


def _enlarged(node, x, times: list[int]):
    options = {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    factors = np.array([1, 1, *times], "float32")
    return node.op("Resize", x, None, factors, **options)


def resampled(node, x, sizes: list[int | Value], method: str, antialias: bool):
    """Return what FlowNet2's Resample makes of maps; see `CaffeResample`."""
    old = [node.size(x, 2), node.size(x, 3)]
    if method == "linear" and _by_one_factor(old, sizes):
        factors = np.array([1, 1, *(s // o for s, o in zip(sizes, old, strict=True))])
        mode = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return node.op("Resize", x, None, factors.astype("float32"), **mode)
    down, right = (
        node.op("Div", _float(node, a), _float(node, b))
        for a, b in zip(old, sizes, strict=True)
    )
    # Summed up as in Caffe: another order rounds some halves the other way.
    ends = [(down, right), (right, down)]
    centres = [
        _sum(node, node.op("Mul", node.counted(size, np.float32), step), other)
        for size, (step, other) in zip(sizes, ends, strict=True)
    ]
    if method == "nearest":
        for axis, places in enumerate(centres):
            x = _nearest(node, x, places, 2 + axis)
        return x
    shrinks = node.op("Greater", node.op("Max", down, right), 1.0)
    curve = _cubic if method == "cubic" else _triangle
    weights = []
    for size, places, step in zip(old, centres, (down, right), strict=True):
        scale = node.op("Where", shrinks, step, 1.0) if antialias else 1.0
        apart = node.op("Div", _distances(node, places, size), scale)
        found = curve(node, apart)
        total = node.op("ReduceSum", found, [1])
        none = node.op("Equal", total, 0.0)
        share = node.op("Div", found, node.op("Where", none, 1.0, total))
        weights.append(node.op("Where", none, 0.0, share))
    return _weighed(node, x, *weights)


def downsampled(node, x, sizes: list[int | Value]):
    """Return what FlowNet's Downsample makes of maps; see `CaffeDownsample`."""
    if list(x.shape[2:]) == sizes:
        return x
    weights = []
    for axis, new in enumerate(sizes):
        size = node.size(x, 2 + axis)
        end, last = (node.op("Sub", _float(node, n), 1.0) for n in (size, new))
        places = node.op("Div", node.counted(new, np.float32), last)
        places = node.op("Mul", places, end)
        apart = _distances(node, places, size)
        step = node.op("Div", end, last)
        weights.append(_triangle(node, node.op("Div", apart, step)))
    there = node.op("Equal", x, x)  # OpenCV knows no IsNaN
    present = node.op("Cast", there, to=np.float32)
    parts = (node.op("Where", there, x, 0.0), present, node.op("Sub", 1.0, present))
    # As one map: OpenCV 4.14 cannot use a matrix twice.
    summed = _weighed(node, node.op("Concat", *parts, axis=1), *weights)
    total, weight, lost = node.op("Split", summed, outputs=3, axis=1)
    few = node.op("LessOrEqual", lost, node.op("Mul", weight, 0.5))
    mean = node.op("Where", few, node.op("Div", total, weight), np.float32("nan"))
    return node.op("Where", node.op("Greater", weight, 0.0), mean, np.float32("nan"))


def _by_one_factor(old: list, new: list) -> bool:
    """Tell whether rows and columns become the same whole number of times as many."""
    if not all(isinstance(size, int) for size in (*old, *new)):
        return False
    (rows, columns), (height, width) = old, new
    return (
        height * columns == width * rows and not height % rows and not width % columns
    )


def _float(node, size: int | Value):
    return node.op("Cast", size, to=np.float32)


def _sum(node, places, other):
    return node.op("Sub", node.op("Add", places, node.op("Div", other, 2.0)), 0.5)


def _distances(node, centres, size: int | Value):
    """Return how far each pixel is before each centre, (centres, pixels)."""
    centres = node.op("Unsqueeze", centres, [1])
    pixels = node.op("Unsqueeze", node.counted(size, np.float32), [0])
    return node.op("Sub", centres, pixels)


def _triangle(node, x):
    return node.op("Max", node.op("Sub", 1.0, node.op("Abs", x)), 0.0)


def _cubic(node, x):
    x = node.op("Abs", x)
    near = node.op("Sub", node.op("Mul", x, 1.5), 2.5)
    near = node.op("Add", node.op("Mul", node.op("Mul", x, x), near), 1.0)
    far = node.op("Add", node.op("Mul", x, -0.5), 2.5)
    far = node.op("Sub", node.op("Mul", x, far), 4.0)
    far = node.op("Add", node.op("Mul", x, far), 2.0)
    far = node.op("Where", node.op("Less", x, 2.0), far, 0.0)
    return node.op("Where", node.op("LessOrEqual", x, 1.0), near, far)


def _nearest(node, x, centres, axis: int):
    below = node.op("Floor", centres)  # adding 0.5 would round the sum
    above = node.op("GreaterOrEqual", node.op("Sub", centres, below), 0.5)
    at = node.op("Add", below, node.op("Cast", above, to=np.float32))
    last = node.op("Sub", _float(node, node.size(x, axis)), 1.0)
    inside = node.op("Max", node.op("Min", at, last), 0.0)
    taken = node.op("Gather", x, node.op("Cast", inside, to=np.int64), axis=axis)
    is_inside = node.op("Equal", at, inside)
    if is_inside.array is not None and is_inside.array.all():
        return taken
    is_inside = node.with_ones(is_inside, 3 - axis)
    return node.op("Where", is_inside, taken, np.float32("nan"))


def _weighed(node, x, rows, columns):
    """Return sums of pixels by weights of (new, old) rows and columns."""
    x = node.op("MatMul", rows, x)
    return node.op("MatMul", x, node.op("Transpose", columns, perm=[1, 0]))
