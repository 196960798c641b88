"""The layers that the nets are made of, in the form that all of them have."""

import keras

from keras_caffe_zoo.layers import CaffeConv2D, CaffeDropout, CaffeLRN, CaffePool2D
from keras_caffe_zoo.rules.names import keras_name

CHANNELS_LAST = {"data_format": "channels_last"}  # whatever Keras' setting is


def conv(
    x,
    filters: int,
    kernel_size: int,
    name: str,
    strides=1,
    pad=0,
    groups=1,
    activation="relu",
    use_bias=True,
):
    """Apply a convolution with its ReLU, which Caffe's nets take in place."""
    return CaffeConv2D(
        filters,
        kernel_size,
        strides=strides,
        pad=pad,
        groups=groups,
        activation=activation,
        use_bias=use_bias,
        name=keras_name(name),
        **CHANNELS_LAST,
    )(x)


def max_pool(x, kernel_size: int, strides: int, name: str, pad=0):
    """Apply a max pooling with Caffe's round-up output size."""
    return _pool("max", x, kernel_size, strides, name, pad)


def ave_pool(x, kernel_size: int, strides: int, name: str):
    """Apply an average pooling with Caffe's round-up output size."""
    return _pool("ave", x, kernel_size, strides, name)


def _pool(pool, x, kernel_size, strides, name, pad=0):
    options = {"name": keras_name(name), **CHANNELS_LAST}
    return CaffePool2D(pool, kernel_size, strides, pad, **options)(x)


def lrn(x, name: str, alpha: float, k: float = 1.0):
    """Apply LRN across five channels with beta 0.75, as all nets of the time did."""
    return CaffeLRN(5, alpha, 0.75, k, name=keras_name(name), **CHANNELS_LAST)(x)


def concat(tensors: list, name: str):
    """Join feature maps along their channels."""
    return keras.layers.Concatenate(axis=-1, name=keras_name(name))(tensors)


def dropout(x, name: str, rate: float = 0.5):
    """Apply dropout, which does nothing but in training."""
    return CaffeDropout(rate, name=keras_name(name))(x)
