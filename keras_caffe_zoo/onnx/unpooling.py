"""Values put back where a max pooling found them, as ONNX operations."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.onnx.graph import Graph, Value

_MANY = 24  # bits: a float32 tells no places of larger maps apart


def unpooled(node, x, mask, sizes: list[int | Value]):
    """Return maps with each value where its mask says; see `CaffeUnpool`.

    Args:
        node: The layer, an `OnnxNode`.
        x: The values.
        mask: The place of each, of the same shape.
        sizes: Height and width of the result.
    """
    channels, count = node.channels(x), node.op("Mul", *sizes)
    inputs = node.op("Mul", node.size(x, 2), node.size(x, 3))
    values, mask_ = (node.reshape(v, [-1, channels, inputs]) for v in (x, mask))
    end = node.op("Cast", count, to=np.float32)
    # All that does not stay lies one upon the other behind the end.
    place = node.op("Where", node.op("GreaterOrEqual", mask_, 0.0), mask_, end)
    place = node.op("Where", node.op("Less", place, end), place, end)
    shape = node.sizes([1, channels, node.op("Add", count, 1)])
    first = node.op("Slice", values, [0], [1], [2])
    zero = node.op("Cast", node.op("Less", first, first), to=np.float32)
    zeros = node.op("Expand", zero, shape)  # of items whose number may be unknown
    if not _tells_apart(node.graph, mask):
        known = None not in x.shape[2:]
        bits = (x.shape[2] * x.shape[3] - 1).bit_length() if known else _MANY
        last = _last(node, place, zeros, inputs, bits)
        place = node.op("Where", last, place, end)
    place = node.op("Cast", place, to=np.int64)
    if count.array is None or count.array > 1 << _MANY:
        place = node.op("Min", place, count)  # the float was perhaps rounded up
    y = node.op("ScatterElements", zeros, place, values, axis=2)
    y = node.op("Slice", y, [0], node.sizes([count]), [2])
    return node.reshape(y, [-1, channels, *sizes])


def _last(node, place, zeros, inputs: int | Value, bits: int):
    """Tell of each value whether no later one has its place.

    Values with the same place compare their numbers, from the highest bit down: those
    without a bit that another one has are out.
    """
    stays = node.op("Cast", node.op("GreaterOrEqual", place, 0.0), to=np.float32)
    place = node.op("Cast", place, to=np.int64)
    number = node.counted(inputs)
    for bit in reversed(range(bits)):
        share = node.op("Div", number, 2**bit)
        rest = node.op("Sub", share, node.op("Mul", node.op("Div", share, 2), 2))
        has = node.op("Mul", stays, node.op("Cast", rest, to=np.float32))
        options = {"axis": 2, "reduction": "add"}
        found = node.op("ScatterElements", zeros, place, has, **options)
        found = node.op("GatherElements", found, place, axis=2)
        stays = node.op("Where", node.op("Greater", found, 0.0), has, stays)
    return node.op("Greater", stays, 0.0)


def _tells_apart(graph: Graph, mask: Value) -> bool:
    """Tell whether a mask is known to name each place once: its windows are apart."""
    op = graph.maker(mask)
    while op is not None and op.type in ("Cast", "Mod", "Pad", "Unsqueeze"):
        op = graph.maker(op.inputs[0])
    if op is None or op.type != "MaxPool":
        return op is not None and op.type == "ArgMax"  # the only window
    kernel, strides = op.attributes["kernel_shape"], op.attributes["strides"]
    return all(size <= step for size, step in zip(kernel, strides, strict=True))
