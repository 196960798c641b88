"""Layers of FlowNet2 that compare and warp maps, as ONNX operations."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.arithmetic.windows import correlated_size
from keras_caffe_zoo.onnx.graph import Value


def correlation(
    node, first, second, kernel, displacement, pad, stride, step, subtract=False
):
    """Return how alike two maps are at many shifts; see `CaffeCorrelation`.

    Args:
        node: The layer, an `OnnxNode`.
        first: The map that stays.
        second: The map that is shifted.
        kernel: Rows and columns of a window.
        displacement: Pixels that shifts reach.
        pad: Zeros on each border.
        stride: Pixels from one window to the next.
        step: Pixels from one shift to the next.
        subtract: Take `|a - b|` instead of `a * b`.
    """
    for size in first.shape[2:]:
        correlated_size(size, kernel, displacement, pad, stride, node.layer.name)
    channels = node.channels(first)
    reach = displacement // step
    last = 2 * reach * step
    first = _bordered(node, first, pad - displacement)
    second = _bordered(node, second, pad - displacement + reach * step)
    rows, columns = node.size(first, 2), node.size(first, 3)
    compare = _differences if subtract else _products
    alike = compare(node, first, second, range(0, last + 1, step))
    # (N, shifts down and rows, columns, shifts to the right)
    count = 2 * reach + 1
    alike = node.reshape(alike, [-1, count, rows, columns, count])
    alike = node.op("Transpose", alike, perm=[0, 1, 4, 2, 3])
    alike = node.reshape(alike, [-1, count**2, rows, columns])
    alike = node.op("Div", alike, float(channels))
    if (kernel, stride) == (1, 1):
        return alike
    options = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
    return node.op("AveragePool", alike, **options)


def _bordered(node, x, pad: int):
    """Return a map with so many zeros around it, or less so many pixels."""
    if pad < 0:
        ends = [pad, pad]
        return node.op("Slice", x, [-pad, -pad], ends, [2, 3])
    border = [0, 0, pad, pad]
    return node.op("Pad", x, border * 2, 0.0) if pad else x


def _products(node, first, second, shifts: range):
    """Return sums of products over the channels.

    All columns are multiplied with all, in one matrix product for each row, and the
    band that is asked for is moved out of it.
    """
    last = shifts[-1]
    rows, columns = node.size(first, 2), node.size(first, 3)
    first = node.op("Transpose", first, perm=[0, 2, 3, 1])
    second = node.op("Transpose", second, perm=[0, 2, 1, 3])
    every = []
    for top in shifts:
        ends = [top - last or 2**31 - 1]
        seen = node.op("Slice", second, [top], ends, [1])
        every.append(node.op("MatMul", first, seen))
    alike = node.joined(every, axis=1)
    wide = node.size(second, 3)
    rows = node.op("Mul", rows, len(shifts))
    flat = node.reshape(alike, [-1, rows, node.op("Mul", columns, wide)])
    # One more column in each row, and the band's diagonals stand upright.
    zeros = [0, 0, 0, 0, 0]
    flat = node.op("Pad", flat, node.sizes([*zeros, columns]), 0.0)
    shape = [-1, rows, columns, node.op("Add", wide, 1)]
    return node.op(
        "Slice", node.reshape(flat, shape), [0], [last + 1], [3], [shifts.step]
    )


def _differences(node, first, second, shifts: range):
    """Return sums of absolute differences over the channels."""
    last, columns = shifts[-1], node.size(first, 3)
    starts = node.op("Unsqueeze", node.counted(columns), [1])
    at = node.op("Add", starts, np.array([shifts], "int64"))
    first = node.op("Unsqueeze", first, [4])
    every = []
    for top in shifts:
        ends = [top - last or 2**31 - 1]
        rows = node.op("Slice", second, [top], ends, [2])
        seen = node.op("Gather", rows, at, axis=3)
        apart = node.op("Abs", node.op("Sub", first, seen))
        every.append(node.op("ReduceSum", apart, [1], keepdims=0))
    return node.joined(every, axis=1)


def warped(node, image, flow, fill: float):
    """Return an image looked up where a flow points; see `CaffeFlowWarp`."""
    height, width = node.size(image, 2), node.size(image, 3)
    u, v = node.op("Split", flow, outputs=2, axis=1)
    x = node.op("Add", u, node.counted(width, np.float32))
    y = node.op("Add", v, node.op("Unsqueeze", node.counted(height, np.float32), [1]))
    inside = node.op("Min", *(_within(node, *p) for p in ((x, width), (y, height))))
    inside = node.op("Greater", inside, 0.0)
    x, y = (node.op("Where", inside, place, 0.0) for place in (x, y))
    left, top = node.op("Floor", x), node.op("Floor", y)
    alpha, beta = node.op("Sub", x, left), node.op("Sub", y, top)
    near_x, near_y = node.op("Sub", 1.0, alpha), node.op("Sub", 1.0, beta)
    # The pixels left, right, below left, below right; beyond the end is the last.
    corners = ((near_x, near_y), (alpha, near_y), (near_x, beta), (alpha, beta))
    shares = node.op("Concat", *(node.op("Mul", *pair) for pair in corners), axis=1)
    left, top = (node.op("Cast", place, to=np.int64) for place in (left, top))
    right, bottom = (
        node.op("Min", node.op("Add", place, 1), node.op("Sub", size, 1))
        for place, size in ((left, width), (top, height))
    )
    top, bottom = node.op("Mul", top, width), node.op("Mul", bottom, width)
    places = ((top, left), (top, right), (bottom, left), (bottom, right))
    at = node.op("Concat", *(node.op("Add", *pair) for pair in places), axis=1)
    channels, count = node.channels(image), node.op("Mul", height, width)
    at = node.reshape(at, [-1, 1, node.op("Mul", count, 4)])
    at = node.op("Expand", at, [1, channels, 1])
    pixels = node.reshape(image, [-1, channels, count])
    found = node.op("GatherElements", pixels, at, axis=2)
    found = node.reshape(found, [-1, channels, 4, count])
    found = node.op("Mul", found, node.reshape(shares, [-1, 1, 4, count]))
    total = node.op("ReduceSum", found, [2], keepdims=0)
    total = node.reshape(total, [-1, channels, height, width])
    return node.op("Where", inside, total, np.float32(fill))


def _within(node, places, size: int | Value):
    """Return 1 where places are from 0 to below a size, else 0."""
    size = node.op("Cast", size, to=np.float32)
    low = node.op("Cast", node.op("GreaterOrEqual", places, 0.0), to=np.float32)
    high = node.op("Cast", node.op("Less", places, size), to=np.float32)
    return node.op("Mul", low, high)
