"""Convolutions, and the windows that they see, as ONNX operations."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.arithmetic.windows import convolved_size, deconvolved_size

_END = 2**63 - 1
_WINDOW = ("kernel_size", "strides", "dilation_rate")


def convolution(node, x, axis: int, options: dict, transposed: bool = False):
    """Return a convolution of a blob, whose parameters the node has.

    Args:
        node: The layer, an `OnnxNode`.
        x: The blob.
        axis: That of its channels; it is slid over the axes behind, and the same is
            done for all in front.
        options: `kernel_size`, `strides`, `pad`, `dilation_rate`, `groups` and
            `use_bias`, as `CaffeConvND` takes them.
        transposed: Whether it is a transposed one.
    """
    window = list(x.shape[axis + 1 :])
    ends = _ends(node, window, options, transposed)
    attributes = {
        "pads": [*options["pad"], *ends],
        "strides": list(options["strides"]),
        "dilations": list(options["dilation_rate"]),
        "group": options["groups"],
    }
    weights = [node.weight(0), *([node.weight(1)] if options["use_bias"] else [])]
    if not window:  # ONNX slides over one axis at least
        attributes |= {"pads": [0, 0], "strides": [1], "dilations": [1]}
        weights[0] = node.constant(node.array(0)[..., None])
    type_ = "ConvTranspose" if transposed else "Conv"
    pixels = set(options["kernel_size"]) == {1} and not transposed
    if pixels and any(attributes["pads"]):  # OpenCV 5 passes over those of 1 x 1
        starts, rest = options["pad"], [0] * (axis + 1)
        x = node.op("Pad", x, [*rest, *starts, *rest, *ends], 0.0)
        attributes["pads"] = [0] * len(attributes["pads"])
    if axis == 1 and window:
        return node.op(type_, x, *weights, **attributes)
    sizes = [node.size(x, i) for i in range(len(x.shape))]
    flat = node.reshape(x, [-1, x.shape[axis], *(sizes[axis + 1 :] or [1])])
    y = node.op(type_, flat, *weights, **attributes)
    after = [node.size(y, i) for i in range(2, len(y.shape))] if window else []
    return node.reshape(y, [*sizes[:axis], y.shape[1], *after])


def _ends(node, window: list, options: dict, transposed: bool) -> list[int]:
    """Return what is added behind each axis; refuse a window that does not fit."""
    found = []
    names = ("kernel_size", "strides", "pad", "dilation_rate")
    for size, *sides in zip(window, *(options[name] for name in names), strict=True):
        kernel, _, pad, dilation = sides
        if transposed:
            deconvolved_size(size, *sides, node.layer.name)
            found.append(pad)
            continue
        convolved_size(size, *sides, node.layer.name)
        # Caffe's only window may hang over the end, where it sees zeros.
        lacks = 0 if size is None else dilation * (kernel - 1) + 1 - size - 2 * pad
        found.append(pad + max(lacks, 0))
    return found


def windows_as_channels(node, x, geometry: dict):
    """Return what Caffe's Im2col does: each window of an image laid out as channels.

    What is only moved stays exact.

    Args:
        node: The layer, an `OnnxNode`.
        x: The image.
        geometry: `kernel_size`, `strides`, `pad` and `dilation_rate`.
    """
    ends = _ends(node, list(x.shape[2:]), geometry, transposed=False)
    if any((*geometry["pad"], *ends)):
        x = node.op("Pad", x, [0, 0, *geometry["pad"], 0, 0, *ends], 0.0)
    channels, (rows, columns) = node.channels(x), geometry["kernel_size"]
    for axis in (2, 3):
        x = _places(node, x, axis, *(geometry[name][axis - 2] for name in _WINDOW))
    if rows * columns == 1:
        return x
    # By column, row and channel so far.
    numbers = np.arange(columns * rows * channels).reshape(columns, rows, channels)
    return node.op("Gather", x, numbers.transpose().reshape(-1), axis=1)


def _places(node, x, axis: int, kernel: int, stride: int, dilation: int):
    """Return, as channels, what windows along an axis have at each of their places."""
    reach = dilation * (kernel - 1)
    places = [
        # To the last that a window has at this place, counted from the end.
        node.op("Slice", x, [at], [at - reach or _END], [axis], [stride])
        for at in range(0, reach + 1, dilation)
    ]
    return node.joined(places, axis=1)
