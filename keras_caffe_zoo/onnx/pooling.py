"""Poolings of images as ONNX operations."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.arithmetic.windows import end_padding, pooled_size

_LOWEST = float(np.finfo("float32").min)


def pooling(node, x, pool: str, geometry: dict, include_pad: bool = True):
    """Return a pooling of an image.

    Args:
        node: The layer, an `OnnxNode`.
        x: The image.
        pool: `"max"`, `"ave"` or `"stochastic"`.
        geometry: `kernel_size`, `strides`, `pad` and `round_mode`, as `CaffePool2D`
            takes them, or `global_pooling`.
        include_pad: Whether averages count the padding.
    """
    if geometry.get("global_pooling"):
        if pool == "stochastic":
            return _stochastic(node, x, lambda y: node.op("GlobalAveragePool", y))
        return node.op("GlobalMaxPool" if pool == "max" else "GlobalAveragePool", x)
    pad, (ends, gaps) = list(geometry["pad"]), _ends(node, x, geometry)
    options = _options(geometry)
    if pool == "max":
        y = node.op("MaxPool", x, pads=[*pad, *ends], **options)
        return _beside(node, y, gaps, _LOWEST, _LOWEST)
    if include_pad and any(pad):  # ONNX has `count_include_pad`, which OpenCV 4 ignores
        x = node.op("Pad", x, [0, 0, *pad, 0, 0, *pad], 0.0)
        # What a window reaches beyond the padding is not counted.
        ends = [end - start for end, start in zip(ends, pad, strict=True)]
        pad = [0, 0]
    options["pads"] = [*pad, *ends]
    if pool == "stochastic":
        y = _stochastic(node, x, lambda y: node.op("AveragePool", y, **options))
        return _beside(node, y, gaps, 0.0, 0.0)
    y = node.op("AveragePool", x, **options)
    # Caffe divides 0 by the pixels that it takes a window to have: 0, or fewer.
    return _beside(node, y, gaps, np.nan, 0.0)


def max_and_mask(node, x, geometry: dict) -> list:
    """Return a maximum pooling, and where in its channel each maximum was.

    Args:
        node: The layer, an `OnnxNode`.
        x: The image.
        geometry: As of `pooling`.
    """
    if geometry.get("global_pooling"):
        places = node.op("ArgMax", node.reshape(x, [0, 0, -1]), axis=2)
        mask = node.op("Unsqueeze", node.op("Cast", places, to=np.float32), [3])
        return [node.op("GlobalMaxPool", x), mask]
    ends, gaps = _ends(node, x, geometry)
    pads = [*geometry["pad"], *ends]
    y, places = node.op("MaxPool", x, pads=pads, outputs=2, **_options(geometry))
    height, width = node.size(x, 2), node.size(x, 3)
    known = isinstance(height, int) and isinstance(width, int)
    # ONNX counts through all channels of all items.
    area = height * width if known else node.op("Mul", height, width)
    mask = node.op("Cast", node.op("Mod", places, area), to=np.float32)
    return [
        _beside(node, y, gaps, _LOWEST, _LOWEST),
        _beside(node, mask, gaps, -1.0, -1.0),
    ]


def _options(geometry: dict) -> dict:
    names = {"kernel_shape": "kernel_size", "strides": "strides"}
    return {key: list(geometry[name]) for key, name in names.items()}


def _ends(node, x, geometry: dict) -> tuple[list[int], list]:
    """Return how far windows reach beyond height and width, and how far one lies.

    A last window may lie beyond an image, where the stride is above the kernel's size:
    right behind it (0) or farther away; None if it does not.
    """
    kernel, strides, pad = (geometry[k] for k in ("kernel_size", "strides", "pad"))
    rules = (any(pad), geometry["round_mode"] == "floor")
    axes = list(zip(kernel, strides, pad, strict=True))
    ends = [end_padding(*axis, *rules) for axis in axes]
    if all(end < side for end, side in zip(ends, kernel, strict=True)):
        return ends, [None, None]
    if None in x.shape[2:]:
        raise node.error(
            "Expected an image of known size to pool with strides above the kernel's "
            f"size; received: {x.shape}. Give an input_shape"
        )
    found = [_end(*pair, *rules) for pair in zip(x.shape[2:], axes, strict=True)]
    return [end for end, _ in found], [gap for _, gap in found]


def _end(size: int, axis: tuple, padded: bool, floor: bool) -> tuple[int, int | None]:
    kernel, stride, pad = axis
    last = (pooled_size(size, *axis, padded, floor) - 1) * stride - pad
    gap = last - size if last >= size else None
    inside = last if gap is None else last - stride
    return max(inside + kernel - size, 0), gap


def _beside(node, y, gaps: list, behind: float, beyond: float):
    """Return a map with the row or column of windows that lie beyond the image.

    Args:
        node: The layer, an `OnnxNode`.
        y: The map without them.
        gaps: How far away they are, as `_ends` tells it.
        behind: The value of those right behind the image.
        beyond: That of others.
    """
    for value, counts in (
        (beyond, [int(gap is not None and gap > 0) for gap in gaps]),
        (behind, [int(gap == 0) for gap in gaps]),
    ):
        y = node.op("Pad", y, [0] * 6 + counts, value) if any(counts) else y
    return y


def _stochastic(node, x, average):
    """Return each window's `sum(x^2) / sum(x)`, 0 where the sum is not positive."""
    # The same divisor twice: what is left is the quotient of the sums.
    squares, sums = average(node.op("Mul", x, x)), average(x)
    positive = node.op("Greater", sums, 0.0)
    return node.op("Where", positive, node.op("Div", squares, sums), 0.0)
