"""Normalization, and the factors and offsets that go with it."""

import keras

from keras_caffe_zoo.convert.encode import encodes
from keras_caffe_zoo.layers import (
    CaffeBatchNorm,
    CaffeBias,
    CaffeLRN,
    CaffeMVN,
    CaffeScale,
)


@encodes(CaffeLRN)
def lrn(call):
    layer = call.layer
    call.add(
        "LRN",
        lrn_param={
            "local_size": layer.local_size,
            "alpha": layer.alpha,
            "beta": layer.beta,
            "k": layer.k,
            "norm_region": layer.norm_region.upper(),
        },
    )


@encodes(CaffeBatchNorm)
def batch_norm(call):
    layer = call.layer
    param = {
        "moving_average_fraction": layer.moving_average_fraction,
        "eps": layer.epsilon,
    }
    if layer.use_global_stats is not None:
        param["use_global_stats"] = layer.use_global_stats
    call.add("BatchNorm", batch_norm_param=param)


@encodes(keras.layers.BatchNormalization)
def keras_batch_norm(call):
    """Add BatchNorm, and Scale in place for what Keras does in one layer."""
    layer, rank = call.layer, len(call.inputs[0].shape)
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    if axis % rank != (3 if rank == 4 else 1):
        raise call.error(f"its axis is {layer.axis}")
    param = {"moving_average_fraction": layer.momentum, "eps": layer.epsilon}
    call.add("BatchNorm", batch_norm_param=param)
    call.add(
        "Scale", call.tops, name=f"{call.name}_scale", scale_param={"bias_term": True}
    )


@encodes(CaffeScale, CaffeBias)
def scale_or_bias(call):
    layer = call.layer
    values = {"axis": layer.axis, "num_axes": layer.num_axes}
    if isinstance(layer, CaffeBias):
        call.add("Bias", bias_param=values)
    else:
        call.add("Scale", scale_param={**values, "bias_term": layer.use_bias})


@encodes(CaffeMVN)
def mvn(call):
    layer = call.layer
    call.add(
        "MVN",
        mvn_param={
            "normalize_variance": layer.normalize_variance,
            "across_channels": layer.across_channels,
            "eps": layer.epsilon,
        },
    )
