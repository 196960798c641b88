"""What the FCNs share: all that makes a net of classes one of pixels."""

import keras

from keras_caffe_zoo.layers import CaffeCrop, CaffeDeconv2D
from keras_caffe_zoo.models import _plan
from keras_caffe_zoo.models._bilinear import BilinearKernel
from keras_caffe_zoo.models._blocks import CHANNELS_LAST, conv, dropout
from keras_caffe_zoo.models._vgg import stage

PAD = 100  # around the image, so that the smallest one still gives a window of fc6


def vgg16(image):
    """Return pool3, pool4 and fc7 of VGG-16 made convolutional."""
    x = stage(image, 1, 64, 2, pad=PAD)
    x = stage(x, 2, 128, 2)
    x = pool3 = stage(x, 3, 256, 3)
    x = pool4 = stage(x, 4, 512, 3)
    x = stage(x, 5, 512, 3)
    return pool3, pool4, fully_connected(x, window=7)


def fully_connected(x, window: int):
    """Apply fc6 and fc7, which are convolutions in the published file too."""
    x = conv(x, _plan.FC_UNITS, window, "fc6")
    x = dropout(x, "drop6")
    return conv(x, _plan.FC_UNITS, 1, "fc7")


def score(plan, x):
    """Apply drop7 and score_fr, which scores the classes in each cell of fc7."""
    return class_maps(plan, dropout(x, "drop7"), "score_fr")


def class_maps(plan, x, name: str):
    """Apply a 1x1 convolution that scores the classes in each cell."""
    return conv(x, plan.classes, 1, name, activation=None)


def upscore(plan, x, kernel_size: int, strides: int, name: str):
    """Enlarge maps of scores by `strides`.

    The kernel starts as bilinear interpolation and stays as it is in training, as the
    authors had it (`lr_mult: 0`).
    """
    layer = CaffeDeconv2D(
        plan.classes,
        kernel_size,
        strides,
        use_bias=False,
        kernel_initializer=BilinearKernel(),
        trainable=False,
        name=name,
        **CHANNELS_LAST,
    )
    return layer(x)


def fuse(plan, x, pool, name: str, offset: int):
    """Add the scores of an earlier pooling to maps that have been enlarged to it.

    Args:
        plan: The builder's arguments.
        x: Maps of scores.
        pool: The pooling's output.
        name: The pooling's name.
        offset: Where in the pooling's output the maps begin, in cells.
    """
    finer = class_maps(plan, pool, f"score_{name}")
    finer = CaffeCrop(2, (offset,), name=f"score_{name}c")([finer, x])
    return keras.layers.Add(name=f"fuse_{name}")([x, finer])


def maps(plan, x, image, offset: int):
    """Cut enlarged maps to the image's size, as `score`."""
    x = CaffeCrop(2, (offset,), name="score")([x, image])
    return plan.activation(x)
