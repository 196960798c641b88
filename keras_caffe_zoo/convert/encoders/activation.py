"""Layers that look at one value at a time, and Softmax."""

import keras

from keras_caffe_zoo.convert.encode import encodes
from keras_caffe_zoo.layers import (
    CaffeAbs,
    CaffeClip,
    CaffeExp,
    CaffeLeakyReLU,
    CaffeLog,
    CaffePower,
    CaffeSwish,
    CaffeThreshold,
)

_FUNCTIONS = {
    keras.activations.relu: ("ReLU", {}),
    keras.activations.sigmoid: ("Sigmoid", {}),
    keras.activations.tanh: ("TanH", {}),
    keras.activations.softplus: ("BNLL", {}),
    keras.activations.elu: ("ELU", {}),
    keras.activations.exponential: ("Exp", {}),
    keras.activations.silu: ("Swish", {}),
}


@encodes(keras.activations.get)
def function(call, activation, bottoms, name):
    """Add an activation function, in place if its bottoms are this call's tops."""
    if activation is keras.activations.softmax:
        rank = len(call.outputs[0].shape)
        axis = 1 if rank == 4 else rank - 1
        call.add("Softmax", bottoms, name=name, softmax_param={"axis": axis})
        return
    if activation not in _FUNCTIONS:
        raise call.error(f"its activation is {activation}")
    type, params = _FUNCTIONS[activation]
    call.add(type, bottoms, name=name, **params)


@encodes(keras.layers.Activation)
def activation(call):
    if call.layer.activation is keras.activations.linear:
        call.add("Split")
    else:
        function(call, call.layer.activation, call.bottoms, call.name)


@encodes(keras.layers.Identity)
def identity(call):
    call.add("Split")


@encodes(keras.layers.ReLU)
def relu(call):
    if call.layer.max_value is not None or call.layer.threshold:
        raise call.error("it has a max_value or a threshold")
    slope = float(call.layer.negative_slope)
    call.add("ReLU", relu_param={"negative_slope": slope} if slope else {})


@encodes(keras.layers.LeakyReLU, CaffeLeakyReLU)
def leaky_relu(call):
    call.add("ReLU", relu_param={"negative_slope": call.layer.negative_slope})


@encodes(keras.layers.PReLU)
def prelu(call):
    rank = len(call.inputs[0].shape)
    shared = set(call.layer.shared_axes or ())
    axes = set(range(1, rank))
    channels = {3 if rank == 4 else 1}
    if shared not in (axes, axes - channels):
        raise call.error(f"its shared_axes are {sorted(shared)}")
    call.add("PReLU", prelu_param={"channel_shared": shared == axes})


@encodes(keras.layers.ELU)
def elu(call):
    call.add("ELU", elu_param={"alpha": float(call.layer.alpha)})


@encodes(keras.layers.Softmax)
def softmax(call):
    if not isinstance(call.layer.axis, int):
        raise call.error(f"its axis is {call.layer.axis}")
    call.add("Softmax", softmax_param={"axis": call.axis(call.layer.axis)})


@encodes(keras.layers.Dropout)
def dropout(call):
    call.add("Dropout", dropout_param={"dropout_ratio": call.layer.rate})


@encodes(CaffeAbs)
def absval(call):
    call.add("AbsVal")


@encodes(CaffePower)
def power(call):
    layer = call.layer
    values = {"power": layer.power, "scale": layer.scale, "shift": layer.shift}
    call.add("Power", power_param=values)


@encodes(keras.layers.Rescaling)
def rescaling(call):
    try:
        values = {
            "scale": float(call.layer.scale),
            "shift": float(call.layer.offset),
        }
    except TypeError as error:
        raise call.error("its scale or offset is not one number") from error
    call.add("Power", power_param=values)


@encodes(CaffeExp, CaffeLog)
def exp_or_log(call):
    layer = call.layer
    values = {"base": layer.base, "scale": layer.scale, "shift": layer.shift}
    if isinstance(layer, CaffeExp):
        call.add("Exp", exp_param=values)
    else:
        call.add("Log", log_param=values)


@encodes(CaffeThreshold)
def threshold(call):
    call.add("Threshold", threshold_param={"threshold": call.layer.threshold})


@encodes(CaffeSwish)
def swish(call):
    call.add("Swish", swish_param={"beta": call.layer.beta})


@encodes(CaffeClip)
def clip(call):
    call.add("Clip", clip_param={"min": call.layer.low, "max": call.layer.high})
