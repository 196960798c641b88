"""Squeeze and excitation: channels weighed by what the whole image shows."""

import keras

from keras_caffe_zoo.models._blocks import conv, global_pool
from keras_caffe_zoo.rules.names import keras_name


def weights_of_channels(design, x, name: str):
    """Return a weight from 0 to 1 for each channel of a map, `(N, 1, 1, C)`.

    Args:
        design: What the builder's call asks for.
        x: A feature map.
        name: Name of the block or module that it is the output of.
    """
    channels, blob = x.shape[-1], f"{name}_1x1_up"
    weights = global_pool(x, f"{name}_global_pool")
    weights = conv(weights, channels // 16, 1, f"{name}_1x1_down")
    weights = conv(weights, channels, 1, blob, activation=None)
    sigmoid = keras.layers.Activation("sigmoid", name=keras_name(f"{name}_prob"))
    return design.wrote(blob, sigmoid(weights))
