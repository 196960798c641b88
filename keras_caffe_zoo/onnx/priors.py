"""The boxes that SSD's detections start from, as ONNX operations."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.arithmetic.priors import check_maps, checked_sides, priors
from keras_caffe_zoo.onnx.graph import Value


def prior_boxes(
    node, features, image, sizes, *, image_size, step, offset, variance, clip
):
    """Return the corners and the variances of a map's boxes: (1, 2, all boxes * 4).

    A constant, where the sizes of the map and of the image are known.

    Args:
        node: The layer, an `OnnxNode`.
        features: The map.
        image: The image.
        sizes: The boxes' widths and heights, in pixels.
        image_size: Height and width of the image in pixels; `image`'s if `None`.
        step: Of a cell; the image's by the map's if `None`.
        offset: Where the centre of a cell is, in cells.
        variance: One number, or four.
        clip: Whether corners are moved into the image.
    """
    shapes, known = (features.shape, image.shape), image_size is not None
    check_maps(*shapes, len(sizes[0]), known, node.layer.name)
    step = checked_sides(step, "step")
    cells = [node.size(features, axis) for axis in (2, 3)]
    pixels = checked_sides(image_size, "image_size")
    pixels = pixels or [node.size(image, axis) for axis in (2, 3)]
    if not any(isinstance(size, Value) for size in (*cells, *pixels)):
        found = priors(np, cells, pixels, sizes, step, offset, variance, clip)
        return node.constant(np.asarray(found, "float32"))
    half = [np.asarray(side, "float32") / 2 for side in sizes]
    step = step or (None, None)
    down, across = (
        _ends(node, cells[i], pixels[i], step[i], offset, half[1 - i]) for i in (0, 1)
    )
    shape = node.sizes([*cells, len(half[0])])
    sides = [
        node.op("Unsqueeze", node.op("Expand", side, shape), [3])
        for pair in zip(
            (node.op("Unsqueeze", x, [0]) for x in across),
            (node.op("Unsqueeze", y, [1]) for y in down),
            strict=True,
        )
        for side in pair
    ]
    corners = node.reshape(node.op("Concat", *sides, axis=3), [-1, 4])
    if clip:
        corners = node.op("Clip", corners, 0.0, 1.0)
    four = np.resize(np.asarray(variance, "float32"), 4)
    variances = node.op("Add", node.op("Mul", corners, 0.0), four)
    rows = [node.reshape(x, [1, 1, -1]) for x in (corners, variances)]
    return node.op("Concat", *rows, axis=1)


def _ends(node, cells, pixels, step, offset, half):
    """Return where boxes start and end along an axis: two of (cells, boxes)."""
    number = node.counted(cells, np.float32)
    cells, pixels = (node.op("Cast", size, to=np.float32) for size in (cells, pixels))
    step = node.op("Div", pixels, cells) if step is None else float(step)
    middle = node.op("Mul", node.op("Add", number, offset), step)
    middle = node.op("Unsqueeze", middle, [1])
    ends = (node.op(type_, middle, half) for type_ in ("Sub", "Add"))
    return [node.op("Div", end, pixels) for end in ends]
