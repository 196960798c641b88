"""Layers that slide a window."""

import keras

from keras_caffe_zoo.convert.encode import encodes
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


@encodes(CaffeConv2D, CaffeConvND)
def convolution(call):
    layer = call.layer
    transposed = getattr(layer, "transposed", False)
    _add_convolution(call, layer.pad, "Deconvolution" if transposed else "Convolution")


@encodes(CaffeDeconv2D)
def deconvolution(call):
    _add_convolution(call, call.layer.pad, "Deconvolution")


@encodes(keras.layers.Conv2D)
def keras_convolution(call):
    layer = call.layer
    _check_channels_last(call)
    reach = [
        rate * (size - 1)
        for rate, size in zip(layer.dilation_rate, layer.kernel_size, strict=True)
    ]
    pad = (0, 0)
    if layer.padding == "same":
        if max(layer.strides) > 1 or any(r % 2 for r in reach):
            raise call.error("its padding is uneven; use CaffeConv2D with `pad`")
        pad = tuple(r // 2 for r in reach)
    _add_convolution(call, pad)


def _add_convolution(call, pad, type="Convolution"):
    layer = call.layer
    param = {
        "num_output": layer.filters,
        "bias_term": layer.use_bias,
        "group": layer.groups,
        "axis": getattr(layer, "axis", 1),
        "kernel_size": layer.kernel_size,
        "stride": layer.strides,
        "pad": pad,
        "dilation": layer.dilation_rate,
    }
    call.add(type, convolution_param=param)
    call.add_activation()


@encodes(CaffePool2D, CaffeMaxPool2DWithMask, CaffeStochasticPool2D)
def pooling(call):
    layer = call.layer
    pool = layer.pool.upper()
    if layer.global_pooling:
        call.add("Pooling", pooling_param={"pool": pool, "global_pooling": True})
    else:
        _add_pooling(call, pool, layer.kernel_size, layer.strides, layer.pad)


@encodes(keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
def keras_pooling(call):
    layer = call.layer
    _check_channels_last(call)
    sizes = call.inputs[0].shape[1:3]
    if (
        layer.padding != "valid"
        or None in sizes
        or any(
            (size - kernel) % stride
            for size, kernel, stride in zip(
                sizes, layer.pool_size, layer.strides, strict=True
            )
        )
    ):
        raise call.error(
            "Caffe's pooling makes as many windows only where they fit the input "
            "exactly; use CaffePool2D"
        )
    pool = "MAX" if isinstance(layer, keras.layers.MaxPooling2D) else "AVE"
    _add_pooling(call, pool, layer.pool_size, layer.strides, (0, 0))


def _add_pooling(call, pool, kernel, stride, pad):
    param = {
        "pool": pool,
        **_sides("kernel", "kernel_size", kernel),
        **_sides("stride", "stride", stride),
        **_sides("pad", "pad", pad),
    }
    call.add("Pooling", pooling_param=param)


def _sides(stem, name, value):
    if value[0] == value[1]:
        return {name: value[0]}
    return {f"{stem}_h": value[0], f"{stem}_w": value[1]}


@encodes(keras.layers.GlobalMaxPooling2D, keras.layers.GlobalAveragePooling2D)
def global_pooling(call):
    _check_channels_last(call)
    is_max = isinstance(call.layer, keras.layers.GlobalMaxPooling2D)
    param = {"pool": "MAX" if is_max else "AVE", "global_pooling": True}
    if call.layer.keepdims:
        call.add("Pooling", pooling_param=param)
        return
    pooled = [call.new_blob(f"{call.name}_pooled")]
    call.add("Pooling", tops=pooled, name=pooled[0], pooling_param=param)
    call.add("Flatten", pooled)


@encodes(CaffeSPP)
def spp(call):
    layer = call.layer
    param = {"pyramid_height": layer.pyramid_height, "pool": layer.pool.upper()}
    call.add("SPP", spp_param=param)


@encodes(CaffeIm2col)
def im2col(call):
    layer = call.layer
    param = {
        "kernel_size": layer.kernel_size,
        "stride": layer.strides,
        "pad": layer.pad,
        "dilation": layer.dilation_rate,
    }
    call.add("Im2col", convolution_param=param)


def _check_channels_last(call):
    if call.layer.data_format != "channels_last":
        raise call.error("its data_format is channels_first")
