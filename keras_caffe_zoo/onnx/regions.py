"""Layers that look at regions of a map, as ONNX operations.

ONNX has Caffe's maximum of each bin, and Detectron's mean of samples; R-FCN's mean is
two products: of each bin's rows, and of their columns.
"""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.onnx.suppression import product

_CORNERS = [1, 2, 3, 4]


def roi_pooling(node, x, rois, bins, scale):
    """Return the maxima of bins, as `CaffeROIPooling`."""
    return node.op(
        "MaxRoiPool", x, rois, pooled_shape=list(bins), spatial_scale=float(scale)
    )


def roi_align(node, x, rois, bins, scale, samples):
    """Return the means of samples in bins, as `CaffeROIAlign`."""
    item = node.op("Cast", node.op("Gather", rois, np.int64(0), axis=1), to=np.int64)
    corners = node.op("Gather", rois, _CORNERS, axis=1)
    return node.op(
        "RoiAlign",
        x,
        corners,
        item,
        output_height=bins[0],
        output_width=bins[1],
        sampling_ratio=max(samples, 0),
        spatial_scale=float(scale),
        coordinate_transformation_mode="output_half_pixel",
    )


def psroi_pooling(node, x, rois, outputs, group, scale):
    """Return the means of bins of their own channels, as `CaffePSROIPooling`."""
    items, height, width = (node.size(x, axis) for axis in (0, 2, 3))
    first, last = (
        node.op("Unsqueeze", node.op("Gather", rois, at, axis=1), [2])
        for at in ([2, 1], [4, 3])
    )
    rows, columns = (
        _means(node, _side(node, first, i), _side(node, last, i), size, group, scale)
        for i, size in enumerate((height, width))
    )
    rows = _of_items(node, rows, rois, items)  # (R, bins, N * H)
    rows = node.reshape(rows, [-1, group, product(node, items, height)])
    rows = node.op("Transpose", rows, perm=[1, 0, 2])
    maps = node.reshape(x, [-1, outputs, group, group, height, width])
    maps = node.op("Transpose", maps, perm=[2, 0, 4, 3, 5, 1])
    maps = node.reshape(maps, [group, product(node, items, height), -1])
    found = node.op("MatMul", rows, maps)  # (rows of bins, R, the rest)
    found = node.reshape(found, [group, -1, group, width, outputs])
    columns = node.op("Unsqueeze", columns, [2])
    found = node.op("MatMul", columns, found)
    found = node.op("Squeeze", found, [3])
    return node.op("Transpose", found, perm=[1, 3, 0, 2])


def _side(node, x, index):
    return node.op("Gather", x, np.int64(index), axis=1)


def _means(node, first, last, size, bins, scale):
    """Return what each cell along an axis counts in each bin: (R, bins, size)."""
    start = node.op("Mul", _rounded(node, first), float(scale))
    end = node.op("Mul", node.op("Add", _rounded(node, last), 1.0), float(scale))
    step = node.op("Max", node.op("Sub", end, start), 0.1)
    step = _divided(node, step, float(bins))
    number = np.arange(bins, dtype="float32")
    most = node.op("Cast", size, to=np.float32)
    low, high = (
        node.op("Add", node.op("Mul", step, number + i), start) for i in (0, 1)
    )
    low, high = (
        node.op("Max", node.op("Min", node.op(type_, x), most), 0.0)
        for type_, x in (("Floor", low), ("Ceil", high))
    )
    share = node.op("Div", 1.0, node.op("Max", node.op("Sub", high, low), 1.0))
    share, low, high = (node.op("Unsqueeze", y, [2]) for y in (share, low, high))
    cells = node.counted(size, np.float32)
    # All are whole numbers: 1 or more from the first cell on, and before the last.
    behind = node.op("Sub", node.op("Add", cells, 1.0), low)
    inside = node.op("Min", behind, node.op("Sub", high, cells))
    return node.op("Mul", node.op("Clip", inside, 0.0, 1.0), share)


def _divided(node, x, by: float):
    """Return numbers by an integer below 4096, as float32 rounds the quotient.

    OpenVINO takes the product with the reciprocal instead, which rounds twice, and some
    bins then begin at another cell. What is left over, exact for a quotient in two
    halves, tells by how much it is off.
    """
    quotient = node.op("Div", x, by)
    upper = node.op("Mul", quotient, 4097.0)
    upper = node.op("Sub", upper, node.op("Sub", upper, quotient))
    left = node.op("Sub", x, node.op("Mul", upper, by))
    lower = node.op("Mul", node.op("Sub", quotient, upper), by)
    left = node.op("Sub", left, lower)
    return node.op("Add", quotient, node.op("Div", left, by))


def _rounded(node, x):
    """Return numbers rounded as C does, halves away from zero."""
    size = node.op("Abs", x)
    whole = node.op("Floor", size)
    rest = node.op("Mul", node.op("Sub", size, whole), 2.0)
    whole = node.op("Add", whole, node.op("Floor", rest))
    return node.op("Mul", node.op("Sign", x), whole)


def _of_items(node, weights, rois, items):
    """Return weights of each item's cells as those of all items': (R, bins, N, size).

    They are 0 for all other items, and where there is no region; not a number where the
    region is of an item that is not there, as Caffe ends there.
    """
    item = node.op("Gather", rois, [0], axis=1)
    item = node.op("Mul", node.op("Sign", item), node.op("Floor", node.op("Abs", item)))
    number = node.counted(items, np.float32)
    other = node.op("Abs", node.op("Sub", item, number))
    own = node.op("Sub", 1.0, node.op("Min", other, 1.0))
    last = node.op("Sub", node.op("Cast", items, to=np.float32), 1.0)
    # The root of 0, or of a negative number.
    there = node.op("Sqrt", node.op("Min", node.op("Sub", last, item), 0.0))
    own = node.reshape(node.op("Add", own, there), [-1, 1, items, 1])
    return node.op("Mul", node.op("Unsqueeze", weights, [2]), own)
