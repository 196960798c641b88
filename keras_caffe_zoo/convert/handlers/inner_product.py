"""Layers that multiply by a matrix or look up its rows, at once or over time."""

import math

import keras

from keras_caffe_zoo.convert.graph import caffe_shape, handles
from keras_caffe_zoo.layers import (
    CaffeConv2D,
    CaffeEmbed,
    CaffeInnerProduct,
    CaffeLSTM,
    CaffeRNN,
)

_LAST = {"data_format": "channels_last"}


@handles("InnerProduct")
def inner_product(node, x):
    param, shape = node.param, caffe_shape(x)
    axis = node.caffe_axis(param.axis, len(shape), "inner_product_param.axis")
    units = node.count(param.num_output, "inner_product_param.num_output")
    if node.fully_convolutional and len(shape) == 4 and axis == 1:
        return _as_convolution(node, x, units)
    if axis == 0:
        node.whole_batch(x)
    if None in shape[axis:]:
        raise node.error(
            f"Expected a blob of known size to flatten; received: {shape}. Give an "
            "input_shape, or fully_convolutional=True"
        )
    ends = (units, math.prod(shape[axis:]))
    # With or without `transpose`, parameters are (outputs, inputs) here.
    node.learns(ends, *_bias(param, units))
    if axis == 1 and len(shape) in (2, 4) and not node.shares:
        return _dense(node, x, units)
    return CaffeInnerProduct(
        units, axis, param.bias_term, param.transpose, name=node.name
    )(x)


def _bias(param, units):
    return [(units,)] if param.bias_term else []


def _dense(node, x, units):
    if len(x.shape) == 4:
        x = keras.layers.Flatten(name=node.aux("flatten"), **_LAST)(x)
    return keras.layers.Dense(units, use_bias=node.param.bias_term, name=node.name)(x)


def _as_convolution(node, x, units):
    window = node.windows.get(node.layer.name, (1, 1))
    node.learns((units, x.shape[-1], *window), *_bias(node.param, units))
    return CaffeConv2D(
        units, window, use_bias=node.param.bias_term, name=node.conv_name, **_LAST
    )(x)


@handles("Embed")
def embed(node, x):
    param = node.param
    units = node.count(param.num_output, "embed_param.num_output")
    rows = node.count(param.input_dim, "embed_param.input_dim")
    node.learns((rows, units), *_bias(param, units))
    if not param.bias_term and len(x.shape) < 3:
        return keras.layers.Embedding(rows, units, name=node.name)(x)
    return CaffeEmbed(rows, units, param.bias_term, name=node.name)(x)


@handles("LSTM", bottoms=(2, 5), tops=(1, 3))
def lstm(node, *bottoms):
    units, static, sizes = _recurrent(node, bottoms, states=2)
    node.learns(
        (4 * units, sizes[0]),
        (4 * units,),
        *([(4 * units, sizes[1])] if static else []),
        (4 * units, units),
    )
    expose = node.param.expose_hidden
    return CaffeLSTM(units, static, expose, name=node.name)(list(bottoms))


@handles("RNN", bottoms=(2, 4), tops=(1, 2))
def rnn(node, *bottoms):
    units, static, sizes = _recurrent(node, bottoms, states=1)
    node.learns(
        (units, sizes[0]),
        (units,),
        *([(units, sizes[1])] if static else []),
        (units, units),
        (units, units),
        (units,),
    )
    expose = node.param.expose_hidden
    return CaffeRNN(units, static, expose, name=node.name)(list(bottoms))


def _recurrent(node, bottoms, states):
    """Return units, whether there is a static input, and the inputs' sizes."""
    units = node.count(node.param.num_output, "recurrent_param.num_output")
    hidden = states * node.param.expose_hidden
    static = len(bottoms) - 2 - hidden
    if static not in (0, 1) or len(node.layer.tops) != 1 + hidden:
        raise node.error(
            f"Expected {2 + hidden} bottoms, or one more for a static input, and "
            f"{1 + hidden} tops; received: {len(bottoms)} and {len(node.layer.tops)}",
            "bottom",
        )
    shapes = [caffe_shape(x) for x in bottoms]
    flat = [shapes[0][2:], shapes[2][1:] if static else ()]
    if len(shapes[0]) < 2 or None in flat[0] + flat[1]:
        raise node.error(
            f"Expected time, items and known sizes; received shapes: {shapes}", "bottom"
        )
    return units, bool(static), [math.prod(sizes) for sizes in flat]
