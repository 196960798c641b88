"""One small function for each class of Keras layer that Caffe has a layer for."""

from keras_caffe_zoo.convert.encoders import (
    activation,
    inner_product,
    merge,
    normalization,
    shape,
    window,
)

__all__ = [
    "activation",
    "inner_product",
    "merge",
    "normalization",
    "shape",
    "window",
]
