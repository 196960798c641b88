"""The layers that the nets are made of, in the form that all of them have."""

import keras

from keras_caffe_zoo.layers import (
    CaffeBatchNorm,
    CaffeConv2D,
    CaffeDropout,
    CaffeLRN,
    CaffeMaxPool2DWithMask,
    CaffePool2D,
    CaffeScale,
)
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
    dilation=1,
):
    """Apply a convolution with its ReLU, which Caffe's nets take in place."""
    return CaffeConv2D(
        filters,
        kernel_size,
        strides=strides,
        pad=pad,
        dilation_rate=dilation,
        groups=groups,
        activation=activation,
        use_bias=use_bias,
        name=keras_name(name),
        **CHANNELS_LAST,
    )(x)


def bare_conv(x, filters: int, kernel_size: int, name: str, **options):
    """Apply a convolution without bias and ReLU, as there is before a BatchNorm."""
    return conv(
        x, filters, kernel_size, name, activation=None, use_bias=False, **options
    )


def max_pool(x, kernel_size: int, strides: int, name: str, pad=0, round_mode="ceil"):
    """Apply a max pooling with Caffe's round-up output size, or a fork's `"floor"`."""
    options = {"name": keras_name(name), "round_mode": round_mode, **CHANNELS_LAST}
    return CaffePool2D("max", kernel_size, strides, pad, **options)(x)


def masked_pool(design, x, name: str):
    """Apply a max pooling that halves, as SegNet has it.

    Returns:
        `(map, mask)`; the mask tells where each maximum was.
    """
    options = {"name": keras_name(name), **CHANNELS_LAST}
    x, mask = CaffeMaxPool2DWithMask(2, strides=2, **options)(x)
    return design.wrote(name, x), design.wrote(f"{name}_mask", mask)


def ave_pool(x, kernel_size: int, strides: int, name: str, pad=0):
    """Apply an average pooling with Caffe's round-up output size."""
    options = {"name": keras_name(name), **CHANNELS_LAST}
    return CaffePool2D("ave", kernel_size, strides, pad, **options)(x)


def global_pool(x, name: str):
    """Apply an average pooling over the whole map."""
    options = {"name": keras_name(name), **CHANNELS_LAST}
    return CaffePool2D("ave", global_pooling=True, **options)(x)


def batch_norm(x, name: str, epsilon: float = 1e-5):
    """Apply BatchNorm, with the statistics that Keras starts with."""
    layer = CaffeBatchNorm(epsilon=epsilon, name=keras_name(name))
    x = layer(x)
    # Caffe starts without statistics and divides by the root of epsilon until it has
    # some. These are a mean of 0 and a variance of 1.
    layer.variance_sum.assign(keras.ops.ones(layer.variance_sum.shape))
    layer.weight_sum.assign(keras.ops.ones(layer.weight_sum.shape))
    return x


def scale(x, name: str):
    """Apply Scale: learned factors and offsets of the channels."""
    return CaffeScale(use_bias=True, name=keras_name(name))(x)


def relu(x, name: str):
    """Apply a ReLU that is a layer of its own."""
    return keras.layers.ReLU(name=keras_name(name))(x)


def prelu(x, name: str):
    """Apply a PReLU that is a layer of its own, with a slope for each channel."""
    slopes = keras.initializers.Constant(0.25)  # what Caffe starts with
    axes = tuple(range(1, len(x.shape) - 1)) or None
    return keras.layers.PReLU(slopes, shared_axes=axes, name=keras_name(name))(x)


def softmax(x, name: str = "prob"):
    """Apply a softmax across the channels."""
    return keras.layers.Softmax(axis=-1, name=keras_name(name))(x)


def inner_product(x, units: int, name: str, activation=None):
    """Apply a dense layer to whole maps, or to the output of another."""
    if len(x.shape) > 2:
        flat = keras.layers.Flatten(name=keras_name(f"{name}_flatten"), **CHANNELS_LAST)
        x = flat(x)
    return keras.layers.Dense(units, activation=activation, name=keras_name(name))(x)


def add(tensors: list, name: str):
    """Add feature maps up."""
    return keras.layers.Add(name=keras_name(name))(tensors)


def lrn(x, name: str, alpha: float, k: float = 1.0):
    """Apply LRN across five channels with beta 0.75, as all nets of the time did."""
    return CaffeLRN(5, alpha, 0.75, k, name=keras_name(name), **CHANNELS_LAST)(x)


def concat(tensors: list, name: str):
    """Join feature maps along their channels."""
    return keras.layers.Concatenate(axis=-1, name=keras_name(name))(tensors)


def dropout(x, name: str, rate: float = 0.5, scale_train=True):
    """Apply dropout, which does nothing but in training if it scales there."""
    return CaffeDropout(rate, scale_train, name=keras_name(name))(x)
