"""Layers that change a blob's shape, make little of much, or something of nothing."""

import keras

from keras_caffe_zoo.convert.encode import encodes
from keras_caffe_zoo.layers import (
    CaffeArgMax,
    CaffeConstant,
    CaffeFlatten,
    CaffeParameter,
    CaffeReduction,
    CaffeReshape,
    CaffeTile,
)


@encodes(CaffeReshape)
def reshape(call):
    layer = call.layer
    param = {
        "shape": {"dim": layer.shape},
        "axis": layer.axis,
        "num_axes": layer.num_axes,
    }
    call.add("Reshape", reshape_param=param)


@encodes(CaffeFlatten)
def flatten(call):
    layer = call.layer
    call.add("Flatten", flatten_param={"axis": layer.axis, "end_axis": layer.end_axis})


@encodes(keras.layers.Flatten)
def keras_flatten(call):
    """Add Flatten, whose order does not matter: the exporter checks that."""
    call.add("Flatten")


@encodes(CaffeTile)
def tile(call):
    axis = call.axis(call.layer.axis)
    call.add("Tile", tile_param={"axis": axis, "tiles": call.layer.tiles})


@encodes(CaffeReduction)
def reduction(call):
    layer = call.layer
    param = {
        "operation": layer.operation.upper(),
        "axis": layer.axis,
        "coeff": layer.coeff,
    }
    call.add("Reduction", reduction_param=param)


@encodes(CaffeArgMax)
def argmax(call):
    layer = call.layer
    param = {"out_max_val": layer.out_max_val, "top_k": layer.top_k}
    if layer.axis is not None:
        param["axis"] = layer.axis
    call.add("ArgMax", argmax_param=param)


@encodes(CaffeParameter)
def parameter(call):
    shape = {"dim": call.layer.shape}
    call.add("Parameter", [], parameter_param={"shape": shape})


@encodes(CaffeConstant)
def constant(call):
    param = {
        "shape": [{"dim": call.layer.shape}],
        "data_filler": [{"type": "constant", "value": call.layer.value}],
    }
    call.add("DummyData", [], dummy_data_param=param)
