"""Layers that look at one value at a time, and Softmax."""

import keras

from keras_caffe_zoo.convert.graph import caffe_shape, handles
from keras_caffe_zoo.layers import (
    CaffeAbs,
    CaffeClip,
    CaffeDropout,
    CaffeExp,
    CaffeLeakyReLU,
    CaffeLog,
    CaffePower,
    CaffeSwish,
    CaffeThreshold,
)


@handles("ReLU")
def relu(node, x):
    slope = node.param.negative_slope
    kind = keras.layers.ReLU if slope >= 0 else CaffeLeakyReLU
    return kind(negative_slope=slope, name=node.name)(x)


@handles("PReLU")
def prelu(node, x):
    shape, shared = caffe_shape(x), node.param.channel_shared
    if len(shape) < 2 or shape[1] is None:
        raise node.error(f"Expected a blob (N, C, …); received shape: {shape}")
    node.learns(() if shared else (shape[1],))
    channels = node.axis(1, len(shape))
    axes = [i for i in range(1, len(shape)) if shared or i != channels]
    return keras.layers.PReLU(
        alpha_initializer=keras.initializers.Constant(0.25),
        shared_axes=axes or None,
        name=node.name,
    )(x)


@handles("ELU")
def elu(node, x):
    return keras.layers.ELU(node.param.alpha, name=node.name)(x)


@handles("Sigmoid")
def sigmoid(node, x):
    return keras.layers.Activation("sigmoid", name=node.name)(x)


@handles("TanH")
def tanh(node, x):
    return keras.layers.Activation("tanh", name=node.name)(x)


@handles("BNLL")
def bnll(node, x):
    return keras.layers.Activation("softplus", name=node.name)(x)


@handles("AbsVal")
def absval(node, x):
    return CaffeAbs(name=node.name)(x)


@handles("Power")
def power(node, x):
    param = node.param
    return CaffePower(param.power, param.scale, param.shift, name=node.name)(x)


@handles("Exp")
def exp(node, x):
    param = node.param
    return CaffeExp(param.base, param.scale, param.shift, name=node.name)(x)


@handles("Log")
def log(node, x):
    param = node.param
    return CaffeLog(param.base, param.scale, param.shift, name=node.name)(x)


@handles("Threshold")
def threshold(node, x):
    return CaffeThreshold(node.param.threshold, name=node.name)(x)


@handles("Swish")
def swish(node, x):
    return CaffeSwish(node.param.beta, name=node.name)(x)


@handles("Clip")
def clip(node, x):
    if not node.layer.message.HasField("clip_param"):
        raise node.error("Expected min and max; received: neither", "clip_param")
    return CaffeClip(node.param.min, node.param.max, name=node.name)(x)


@handles("Dropout")
def dropout(node, x):
    ratio = node.param.dropout_ratio
    if not 0 <= ratio < 1:
        raise node.error(
            f"Expected a ratio from 0 to below 1; received: {ratio:g}",
            "dropout_param.dropout_ratio",
        )
    return CaffeDropout(ratio, name=node.name)(x)


@handles("Softmax")
def softmax(node, x):
    axis = node.axis(node.param.axis, len(x.shape), "softmax_param.axis")
    if axis == 0:
        node.whole_batch(x)
    return keras.layers.Softmax(axis=axis, name=node.name)(x)
