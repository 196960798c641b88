"""Normalization."""

from keras_caffe_zoo.convert.graph import handles
from keras_caffe_zoo.layers import CaffeLRN


@handles("LRN")
def lrn(node, x):
    param = node.param
    region = ("across_channels", "within_channel")[param.norm_region]
    return CaffeLRN(
        param.local_size,
        param.alpha,
        param.beta,
        param.k,
        region,
        data_format="channels_last",
        name=node.name,
    )(x)
