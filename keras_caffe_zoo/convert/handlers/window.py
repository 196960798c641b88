"""Layers that slide a window over an image."""

import keras

from keras_caffe_zoo.convert.graph import caffe_shape, handles
from keras_caffe_zoo.convert.handlers.geometry import conv_geometry, pool_geometry
from keras_caffe_zoo.layers import (
    CaffeConv2D,
    CaffeConvND,
    CaffeDeconv2D,
    CaffeIm2col,
    CaffeMaxPool2DWithMask,
    CaffePool2D,
    CaffeSPP,
    CaffeStochasticPool2D,
)

_POOLS = ("max", "ave", "stochastic")
_LAST = {"data_format": "channels_last"}


@handles("Convolution", "Deconvolution", bottoms=(1, None), tops=(1, None))
def convolution(node, *bottoms):
    if len(bottoms) != len(node.layer.tops):
        raise node.error(
            f"Expected a top for each of {len(bottoms)} bottoms; received: "
            f"{len(node.layer.tops)}",
            "top",
        )
    layer = _convolution(node, bottoms[0])
    if len(bottoms) == 1:
        return layer(bottoms[0])
    # The outputs of a layer that is used twice have no names; these have.
    return [
        keras.layers.Identity(name=node.aux(f"top{i}"))(layer(x))
        for i, x in enumerate(bottoms)
    ]


def _convolution(node, x):
    param, shape = node.param, caffe_shape(x)
    axis = node.caffe_axis(param.axis, len(shape), "convolution_param.axis")
    filters = node.count(param.num_output, "convolution_param.num_output")
    groups = node.count(param.group, "convolution_param.group")
    channels = shape[axis]
    if channels is None or channels % groups or filters % groups:
        raise node.error(
            f"Expected a group that divides {channels} channels and {filters} outputs; "
            f"received: {groups}",
            "convolution_param.group",
        )
    geometry = conv_geometry(node, len(shape) - axis - 1)
    transposed = node.layer.type == "Deconvolution"
    ends = (
        (channels, filters // groups) if transposed else (filters, channels // groups)
    )
    bias = [(filters,)] if param.bias_term else []
    node.learns((*ends, *geometry["kernel_size"]), *bias)
    options = {**geometry, "groups": groups, "use_bias": param.bias_term}
    options["name"] = node.name
    if len(shape) != 4 or axis != 1:
        return CaffeConvND(filters, axis=axis, transposed=transposed, **options)
    kind = CaffeDeconv2D if transposed else CaffeConv2D
    return kind(filters, **options, **_LAST)


@handles("Pooling", tops=(1, 2))
def pooling(node, x):
    _image(node, x)
    geometry = {**pool_geometry(node), "name": node.name, **_LAST}
    geometry["round_mode"] = ("ceil", "floor")[node.param.round_mode]
    pool = _POOLS[node.param.pool]
    if len(node.layer.tops) == 2:
        if pool != "max":
            raise node.error("Expected one top but for MAX; received: two", "top")
        return CaffeMaxPool2DWithMask(**geometry)(x)
    if pool == "stochastic":
        return CaffeStochasticPool2D(**geometry)(x)
    return CaffePool2D(pool, **geometry)(x)


@handles("SPP")
def spp(node, x):
    _image(node, x)
    height = node.count(node.param.pyramid_height, "spp_param.pyramid_height")
    return CaffeSPP(height, _POOLS[node.param.pool], name=node.name)(x)


@handles("Im2col")
def im2col(node, x):
    _image(node, x)
    axis = node.caffe_axis(node.param.axis, 4, "convolution_param.axis")
    if axis != 1:
        raise node.error(
            f"Expected channels at axis 1; received: {axis}", "convolution_param.axis"
        )
    return CaffeIm2col(**conv_geometry(node, 2), name=node.name)(x)


def _image(node, x):
    if len(x.shape) != 4:
        raise node.error(
            f"Expected a blob (N, C, H, W); received shape: {caffe_shape(x)}", "bottom"
        )
