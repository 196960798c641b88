"""The layers that the nets are made of, in the form that all of them have."""

from keras_caffe_zoo.layers import CaffeConv2D, CaffeLRN, CaffePool2D

CHANNELS_LAST = {"data_format": "channels_last"}  # whatever Keras' setting is


def conv(x, filters: int, kernel_size: int, name: str, strides=1, pad=0, groups=1):
    """Apply a convolution with its ReLU, which Caffe's nets take in place."""
    return CaffeConv2D(
        filters,
        kernel_size,
        strides=strides,
        pad=pad,
        groups=groups,
        activation="relu",
        name=name,
        **CHANNELS_LAST,
    )(x)


def max_pool(x, kernel_size: int, strides: int, name: str, pad=0):
    """Apply a max pooling with Caffe's round-up output size."""
    return CaffePool2D("max", kernel_size, strides, pad, name=name, **CHANNELS_LAST)(x)


def lrn(x, name: str, alpha: float, k: float = 1.0):
    """Apply LRN across five channels with beta 0.75, as all nets of the time did."""
    return CaffeLRN(5, alpha, 0.75, k, name=name, **CHANNELS_LAST)(x)
