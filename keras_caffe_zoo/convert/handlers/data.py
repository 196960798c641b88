"""Layers that read no blob, and the one that writes none."""

import math

from keras_caffe_zoo.convert.graph import handles
from keras_caffe_zoo.layers import CaffeConstant, CaffeParameter


@handles("Input", bottoms=(0, 0), tops=(1, None))
def input_layer(node):
    """Do nothing: the graph makes its inputs before it asks any handler."""


@handles("Silence", bottoms=(1, None), tops=(0, 0))
def silence(node, *bottoms):
    """Do nothing: the graph keeps what is read here from being an output."""
    return []


@handles("Parameter", bottoms=(0, 0))
def parameter(node):
    shape = _shape(node, node.param.shape.dim, "parameter_param.shape")
    node.learns(shape)
    return CaffeParameter(shape, name=node.name)(node.anchor)


@handles("DummyData", bottoms=(0, 0), tops=(1, None))
def dummy_data(node):
    """Make blobs of one value each; others have become inputs before."""
    shapes, fillers = dummy_shapes(node), dummy_fillers(node)
    names = [node.name]
    names = [node.aux(f"top{i}") for i in range(len(shapes) - 1)] + names
    return [
        CaffeConstant(shape, filler.value if filler else 0.0, name=name)(node.anchor)
        for shape, filler, name in zip(shapes, fillers, names, strict=True)
    ]


def dummy_shapes(node) -> list[tuple[int, ...]]:
    """Return the shape of each top of a DummyData layer."""
    param, tops = node.param, len(node.layer.tops)
    if param.shape:
        shapes = [tuple(shape.dim) for shape in param.shape]
    else:
        sides = (param.num, param.channels, param.height, param.width)
        count = max(map(len, sides))
        sides = [list(side) * (count if len(side) == 1 else 1) for side in sides]
        shapes = list(zip(*sides, strict=False))
        if any(len(side) != count for side in sides):
            shapes = []
    if len(shapes) not in (1, tops):
        raise node.error(
            f"Expected one shape, or one for each of {tops} tops; received: {shapes}",
            "dummy_data_param.shape",
        )
    shapes = shapes * tops if len(shapes) == 1 else shapes
    return [_shape(node, shape, "dummy_data_param.shape") for shape in shapes]


def dummy_fillers(node) -> list:
    """Return the filler of each top of a DummyData layer; `None` for zeros."""
    fillers, tops = list(node.param.data_filler), len(node.layer.tops)
    if len(fillers) not in (0, 1, tops):
        raise node.error(
            f"Expected one filler, or one for each of {tops} tops; received: "
            f"{len(fillers)}",
            "dummy_data_param.data_filler",
        )
    return fillers if len(fillers) == tops else (fillers or [None]) * tops


def _shape(node, sizes, name) -> tuple[int, ...]:
    shape = tuple(sizes)
    if any(size < 1 for size in shape) or math.prod(shape) > 2**31 - 1:
        raise node.error(
            f"Expected positive sizes of at most {2**31 - 1:,} values; received: "
            f"{shape}",
            name,
        )
    return shape
