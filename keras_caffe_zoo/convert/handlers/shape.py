"""Layers that change a blob's shape, or make little of much."""

import math

from keras_caffe_zoo.convert.graph import caffe_shape, handles
from keras_caffe_zoo.layers import (
    CaffeArgMax,
    CaffeFlatten,
    CaffeReduction,
    CaffeReshape,
    CaffeTile,
)


@handles("Flatten")
def flatten(node, x):
    param, rank = node.param, len(x.shape)
    node.caffe_axis(param.axis, rank, "flatten_param.axis")
    node.caffe_axis(param.end_axis, rank, "flatten_param.end_axis")
    return CaffeFlatten(param.axis, param.end_axis, name=node.name)(x)


@handles("Reshape")
def reshape(node, x):
    param = node.param
    sizes = list(param.shape.dim)
    start = param.axis if param.axis >= 0 else len(x.shape) + param.axis + 1
    if start == 0 and not _keeps_items(x, sizes, param.num_axes):
        node.whole_batch(x)
    return CaffeReshape(sizes, param.axis, param.num_axes, name=node.name)(x)


def _keeps_items(x, sizes, num_axes):
    """Tell whether a shape fits any number of items: each makes one, or so many."""
    if num_axes == 0 or not sizes:
        return not sizes
    if sizes[0] != -1:
        return sizes[0] == 0
    item = x.shape[1:]
    return None not in item and math.prod(item) % (math.prod(sizes[1:]) or 1) == 0


@handles("Tile")
def tile(node, x):
    tiles = node.count(node.param.tiles, "tile_param.tiles")
    axis = node.axis(node.param.axis, len(x.shape), "tile_param.axis")
    if axis == 0:
        node.whole_batch(x)
    return CaffeTile(tiles, axis, name=node.name)(x)


@handles("Reduction")
def reduction(node, x):
    param = node.param
    operation = ("sum", "asum", "sumsq", "mean")[param.operation - 1]
    if node.caffe_axis(param.axis, len(x.shape), "reduction_param.axis") == 0:
        node.whole_batch(x)
    return CaffeReduction(operation, param.axis, param.coeff, name=node.name)(x)


@handles("ArgMax")
def argmax(node, x):
    param = node.param
    axis = param.axis if param.HasField("axis") else None
    top_k = node.count(param.top_k, "argmax_param.top_k")
    if not x.shape:
        raise node.error(f"Expected a blob with axes; received: {caffe_shape(x)}")
    if axis is not None and node.caffe_axis(axis, len(x.shape)) == 0:
        node.whole_batch(x)
    return CaffeArgMax(param.out_max_val, top_k, axis, name=node.name)(x)
