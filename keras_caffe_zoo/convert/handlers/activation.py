"""Activations: layers that look at one value at a time, and Softmax."""

import keras

from keras_caffe_zoo.convert.graph import handles


@handles("ReLU")
def relu(node, x):
    slope = node.param.negative_slope
    return keras.layers.ReLU(negative_slope=slope, name=node.name)(x)


@handles("Dropout")
def dropout(node, x):
    return keras.layers.Dropout(node.param.dropout_ratio, name=node.name)(x)


@handles("Softmax")
def softmax(node, x):
    axis = node.axis(node.param.axis, len(x.shape))
    return keras.layers.Softmax(axis=axis, name=node.name)(x)
