"""One small function for each type of Caffe layer."""

from keras_caffe_zoo.convert.handlers import (
    activation,
    data,
    inner_product,
    merge,
    normalization,
    shape,
    window,
)

__all__ = [
    "activation",
    "data",
    "inner_product",
    "merge",
    "normalization",
    "shape",
    "window",
]
