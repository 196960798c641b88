"""Layers of several bottoms, or several tops."""

import keras

from keras_caffe_zoo.convert.graph import caffe_shape, handles
from keras_caffe_zoo.layers import (
    CaffeBatchReindex,
    CaffeCrop,
    CaffeSlice,
    CaffeWeightedSum,
)

_PROD, _SUM = 0, 1


@handles("Eltwise", bottoms=(2, None))
def eltwise(node, *bottoms):
    param = node.param
    _same_shapes(node, bottoms, ())
    if param.coeff and param.operation == _PROD:
        raise node.error("Expected coeff with SUM only", "eltwise_param.coeff")
    if param.coeff and len(param.coeff) != len(bottoms):
        raise node.error(
            f"Expected one for each of {len(bottoms)} bottoms; received: "
            f"{len(param.coeff)}",
            "eltwise_param.coeff",
        )
    if param.operation == _SUM and any(value != 1 for value in param.coeff):
        return CaffeWeightedSum(list(param.coeff), name=node.name)(list(bottoms))
    kinds = (keras.layers.Multiply, keras.layers.Add, keras.layers.Maximum)
    return kinds[param.operation](name=node.name)(list(bottoms))


def _same_shapes(node, bottoms, but):
    """Check that bottoms have the same shape but for some (Keras) axes."""
    shapes = [tuple(x.shape) for x in bottoms]
    for shape in shapes[1:]:
        pairs = list(zip(shape, shapes[0], strict=False))
        if len(shape) != len(shapes[0]) or any(
            a != b and None not in (a, b)
            for axis, (a, b) in enumerate(pairs)
            if axis not in but
        ):
            raise node.error(
                "Expected bottoms of the same shape; received: "
                f"{[caffe_shape(x) for x in bottoms]}",
                "bottom",
            )


def _legacy_axis(node, x, old, name):
    """Return the Keras axis of a layer that once had another field for it."""
    param, rank = node.param, len(x.shape)
    if not param.HasField(old):
        return node.axis(param.axis, rank, f"{name}_param.axis")
    if param.HasField("axis"):
        raise node.error(f"Expected axis or {old}; received: both", f"{name}_param")
    return node.axis(getattr(param, old), rank, f"{name}_param.{old}")


@handles("Concat", bottoms=(1, None))
def concat(node, *bottoms):
    axis = _legacy_axis(node, bottoms[0], "concat_dim", "concat")
    _same_shapes(node, bottoms, (axis,))
    if len(bottoms) == 1:
        return keras.layers.Identity(name=node.name)(bottoms[0])
    if axis == 0:
        node.whole_batch(*bottoms)
    return keras.layers.Concatenate(axis=axis, name=node.name)(list(bottoms))


@handles("Slice", tops=(1, None))
def slice_(node, x):
    axis, tops = _legacy_axis(node, x, "slice_dim", "slice"), len(node.layer.tops)
    if tops == 1:
        return keras.layers.Identity(name=node.name)(x)
    if axis == 0:
        node.whole_batch(x)
    size = x.shape[axis]
    if size is None:
        raise node.error(f"Expected a known size to cut; received: {caffe_shape(x)}")
    return CaffeSlice(_parts(node, size, tops), axis, name=node.name)(x)


def _parts(node, size, tops):
    points = list(node.param.slice_point)
    if not points:
        if size % tops:
            raise node.error(
                f"Expected a size that {tops} tops divide; received: {size}",
                "slice_param.slice_point",
            )
        return [size // tops] * tops
    ends = [0, *points, size]
    parts = [end - start for start, end in zip(ends, ends[1:], strict=False)]
    if len(points) != tops - 1 or min(parts) < 1:
        raise node.error(
            f"Expected {tops - 1} growing numbers below {size}; received: {points}",
            "slice_param.slice_point",
        )
    return parts


@handles("Split", tops=(1, None))
def split(node, x):
    return [keras.layers.Identity(name=node.name)(x)] * len(node.layer.tops)


@handles("Crop", bottoms=(2, 2))
def crop(node, x, reference):
    param = node.param
    rank = len(x.shape)
    if node.caffe_axis(param.axis, rank, "crop_param.axis") == 0:
        node.whole_batch(x, reference)
    layer = CaffeCrop(param.axis, list(param.offset), name=node.name)
    return layer([x, reference])


@handles("BatchReindex", bottoms=(2, 2))
def batch_reindex(node, x, numbers):
    node.whole_batch(x, numbers)
    return CaffeBatchReindex(name=node.name)([x, numbers])
