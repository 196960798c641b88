"""Layers of several inputs, or several outputs."""

import keras

from keras_caffe_zoo.convert.encode import encodes
from keras_caffe_zoo.convert.steps import may_agree
from keras_caffe_zoo.layers import (
    CaffeBatchReindex,
    CaffeCrop,
    CaffeSilence,
    CaffeSlice,
    CaffeWeightedSum,
)


@encodes(keras.layers.Add)
def add(call):
    _eltwise(call, "SUM")


@encodes(keras.layers.Multiply)
def multiply(call):
    _eltwise(call, "PROD")


@encodes(keras.layers.Maximum)
def maximum(call):
    _eltwise(call, "MAX")


@encodes(keras.layers.Subtract)
def subtract(call):
    _eltwise(call, "SUM", [1.0, -1.0])


@encodes(keras.layers.Average)
def average(call):
    count = len(call.inputs)
    _eltwise(call, "SUM", [1.0 / count] * count)


@encodes(CaffeWeightedSum)
def weighted_sum(call):
    _eltwise(call, "SUM", call.layer.coeff)


def _eltwise(call, operation, coeff=()):
    if not all(may_agree(tensor, call.inputs[0]) for tensor in call.inputs):
        shapes = [tuple(tensor.shape) for tensor in call.inputs]
        raise call.error(f"Caffe does not broadcast, its inputs are {shapes}")
    call.add("Eltwise", eltwise_param={"operation": operation, "coeff": coeff})


@encodes(keras.layers.Concatenate)
def concatenate(call):
    call.add("Concat", concat_param={"axis": call.axis(call.layer.axis)})


@encodes(CaffeSlice)
def slice_(call):
    points, at = [], 0
    for size in call.layer.sizes[:-1]:
        at += size
        points.append(at)
    axis = call.axis(call.layer.axis)
    call.add("Slice", slice_param={"axis": axis, "slice_point": points})


@encodes(CaffeCrop)
def crop(call):
    layer = call.layer
    call.add("Crop", crop_param={"axis": layer.axis, "offset": layer.offsets})


@encodes(CaffeBatchReindex)
def batch_reindex(call):
    call.add("BatchReindex")


@encodes(CaffeSilence)
def silence(call):
    """Add Silence for what ends here; the first input goes on as it is."""
    call.add("Silence", call.bottoms[1:], [])
