"""Layers that slide a window, as ONNX operations."""

from __future__ import annotations

from keras_caffe_zoo.arithmetic.windows import (
    convolved_size,
    deconvolved_size,
    end_padding,
)


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


def pooling(node, x, pool: str, geometry: dict, include_pad: bool = True):
    """Return a maximum or average pooling of an image.

    Args:
        node: The layer, an `OnnxNode`.
        x: The image.
        pool: `"max"` or `"ave"`.
        geometry: `kernel_size`, `strides`, `pad` and `round_mode`, as `CaffePool2D`
            takes them, or `global_pooling`.
        include_pad: Whether averages count the padding.
    """
    if geometry.get("global_pooling"):
        return node.op("GlobalMaxPool" if pool == "max" else "GlobalAveragePool", x)
    kernel, strides, pad = (geometry[k] for k in ("kernel_size", "strides", "pad"))
    padded, floor = any(pad), geometry["round_mode"] == "floor"
    ends = [
        end_padding(*sides, padded, floor)
        for sides in zip(kernel, strides, pad, strict=True)
    ]
    options = {"kernel_shape": list(kernel), "strides": list(strides)}
    if pool == "max":
        return node.op("MaxPool", x, pads=[*pad, *ends], **options)
    # What a window reaches beyond the padding is not counted.
    beyond = [end - start for end, start in zip(ends, pad, strict=True)]
    if include_pad and padded and any(beyond):
        x = node.op("Pad", x, [0, 0, *pad, 0, 0, *pad], 0.0)
        return node.op("AveragePool", x, pads=[0, 0, *beyond], **options)
    options["count_include_pad"] = int(include_pad and padded)
    return node.op("AveragePool", x, pads=[*pad, *ends], **options)
