"""Layers that slide a window, and the inner product that sees all of it."""

import keras

from keras_caffe_zoo.convert.graph import caffe_shape, handles
from keras_caffe_zoo.convert.structure import window
from keras_caffe_zoo.layers import CaffeConv2D, CaffePool2D


@handles("Convolution")
def convolution(node, x):
    param = node.layer.message.convolution_param
    return CaffeConv2D(
        param.num_output,
        window(param, "kernel_size", None),
        window(param, "stride", 1),
        window(param, "pad", 0),
        dilation_rate=window(param, "dilation", 1),
        groups=param.group,
        use_bias=param.bias_term,
        data_format="channels_last",
        name=node.name,
    )(x)


@handles("Pooling")
def pooling(node, x):
    param = node.param
    options = {"data_format": "channels_last", "name": node.name}
    pool = ("max", "ave", "stochastic")[param.pool]
    if param.global_pooling:
        return CaffePool2D(pool, global_pooling=True, **options)(x)
    return CaffePool2D(
        pool,
        window(param, "kernel_size", None),
        window(param, "stride", 1),
        window(param, "pad", 0),
        **options,
    )(x)


@handles("InnerProduct")
def inner_product(node, x):
    param = node.param
    if node.fully_convolutional and len(x.shape) == 4:
        return _as_convolution(node, x)
    if len(x.shape) > 2:
        if None in x.shape[1:]:
            raise node.error(
                "Expected a blob of known size to flatten; received: "
                f"{caffe_shape(x)}. Give an input_shape, or fully_convolutional=True"
            )
        x = keras.layers.Flatten(
            data_format="channels_last", name=f"{node.name}_flatten"
        )(x)
    return keras.layers.Dense(
        param.num_output, use_bias=param.bias_term, name=node.name
    )(x)


def _as_convolution(node, x):
    return CaffeConv2D(
        node.param.num_output,
        node.windows.get(node.layer.name, (1, 1)),
        use_bias=node.param.bias_term,
        data_format="channels_last",
        name=node.conv_name,
    )(x)
