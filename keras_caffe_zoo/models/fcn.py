"""Fully convolutional networks: nets of classes made to label every pixel."""

import keras
import numpy as np

from keras_caffe_zoo.layers import CaffeCrop, CaffeDeconv2D
from keras_caffe_zoo.layers._bilinear import bilinear_window
from keras_caffe_zoo.models._blocks import CHANNELS_LAST, conv, dropout
from keras_caffe_zoo.models._builder import classifier
from keras_caffe_zoo.models.caffenet import caffenet_features
from keras_caffe_zoo.models.vgg import stage

PAD = 100  # around the image, so that the smallest one still gives a window of fc6


@classifier(smallest=1, features="fc7", activation=None)
def fcn_alexnet(design):
    """Build FCN-AlexNet for the 21 classes of PASCAL VOC (`fcn-alexnet-pascal`).

    For all its name it has pooling before LRN, as CaffeNet does. The output `score` has
    a map of raw scores for each class, of the image's size; the argmax over the classes
    is the segmentation. Class 0 is the background.

    The net is fully convolutional by nature.
    """
    image = design.image()
    x = fully_connected(design, caffenet_features(image, pad=PAD), window=6)
    if not design.include_top:
        return x
    x = score(design, x)
    x = upscore(design, x, 63, 32, "upscore")
    return maps(design, x, image, offset=18)


@classifier(smallest=1, features="fc7", activation=None)
def fcn32s(design):
    """Build FCN-32s for the 21 classes of PASCAL VOC (`fcn32s-heavy-pascal`).

    The output `score` has a map of raw scores for each class, of the image's size; the
    argmax over the classes is the segmentation. Class 0 is the background.

    The net is fully convolutional by nature.
    """
    image = design.image()
    *_, x = vgg16_features(design, image)
    if not design.include_top:
        return x
    x = score(design, x)
    x = upscore(design, x, 64, 32, "upscore")
    return maps(design, x, image, offset=19)


@classifier(smallest=1, features="fc7", activation=None)
def fcn16s(design):
    """Build FCN-16s for the 21 classes of PASCAL VOC (`fcn16s-heavy-pascal`).

    The output `score` has a map of raw scores for each class, of the image's size; the
    argmax over the classes is the segmentation. Class 0 is the background.

    The net is fully convolutional by nature.
    """
    image = design.image()
    _, pool4, x = vgg16_features(design, image)
    if not design.include_top:
        return x
    x = score(design, x)
    x = upscore(design, x, 4, 2, "upscore2")
    x = fuse(design, x, pool4, "pool4", offset=5)
    x = upscore(design, x, 32, 16, "upscore16")
    return maps(design, x, image, offset=27)


@classifier(smallest=1, features="fc7", activation=None)
def fcn8s(design):
    """Build FCN-8s for the 21 classes of PASCAL VOC (`fcn8s-heavy-pascal`).

    The output `score` has a map of raw scores for each class, of the image's size; the
    argmax over the classes is the segmentation. Class 0 is the background.

    The net is fully convolutional by nature.
    """
    image = design.image()
    pool3, pool4, x = vgg16_features(design, image)
    if not design.include_top:
        return x
    x = score(design, x)
    x = upscore(design, x, 4, 2, "upscore2")
    x = fuse(design, x, pool4, "pool4", offset=5)
    x = upscore(design, x, 4, 2, "upscore_pool4")
    x = fuse(design, x, pool3, "pool3", offset=9)
    x = upscore(design, x, 16, 8, "upscore8")
    return maps(design, x, image, offset=31)


def vgg16_features(design, image):
    """Return pool3, pool4 and fc7 of VGG-16 made convolutional."""
    x = stage(image, 1, 64, 2, pad=PAD)
    x = stage(x, 2, 128, 2)
    x = pool3 = stage(x, 3, 256, 3)
    x = pool4 = stage(x, 4, 512, 3)
    x = stage(x, 5, 512, 3)
    return pool3, pool4, fully_connected(design, x, window=7)


def fully_connected(design, x, window: int):
    """Apply fc6 and fc7, which are convolutions in the published file too."""
    x = conv(x, design.FC_UNITS, window, "fc6")
    x = dropout(x, "drop6")
    return conv(x, design.FC_UNITS, 1, "fc7")


def score(design, x):
    """Apply drop7 and score_fr, which scores the classes in each cell of fc7."""
    return class_maps(design, dropout(x, "drop7"), "score_fr")


def class_maps(design, x, name: str):
    """Apply a 1x1 convolution that scores the classes in each cell."""
    return conv(x, design.classes, 1, name, activation=None)


def upscore(design, x, kernel_size: int, strides: int, name: str):
    """Enlarge maps of scores by `strides`.

    The kernel starts as bilinear interpolation and stays as it is in training, as the
    authors had it (`lr_mult: 0`).
    """
    layer = CaffeDeconv2D(
        design.classes,
        kernel_size,
        strides,
        use_bias=False,
        kernel_initializer=BilinearKernel(),
        trainable=False,
        name=name,
        **CHANNELS_LAST,
    )
    return layer(x)


def fuse(design, x, pool, name: str, offset: int):
    """Add the scores of an earlier pooling to maps that have been enlarged to it.

    Args:
        design: What the builder's call asks for.
        x: Maps of scores.
        pool: The pooling's output.
        name: The pooling's name.
        offset: Where in the pooling's output the maps begin, in cells.
    """
    finer = class_maps(design, pool, f"score_{name}")
    finer = CaffeCrop(2, (offset,), name=f"score_{name}c")([finer, x])
    return keras.layers.Add(name=f"fuse_{name}")([x, finer])


def maps(design, x, image, offset: int):
    """Cut enlarged maps to the image's size, as `score`."""
    x = CaffeCrop(2, (offset,), name="score")([x, image])
    return design.activation(x)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class BilinearKernel(keras.initializers.Initializer):
    """Initialize a transposed convolution to interpolate each channel bilinearly.

    For a kernel of twice the stride, as FCNs have. Channels do not mix: the kernel
    from one channel to another is zero (Caffe's own `bilinear` filler is for layers
    with as many groups as channels, and would mix them).

    Reference:
        The `interp` function of the FCN authors' net surgery.
    """

    def __call__(self, shape, dtype=None):
        *window, filters, channels = shape
        kernel = np.zeros(shape, "float32")
        for channel in range(min(filters, channels)):
            kernel[:, :, channel, channel] = bilinear_window(*window)
        return keras.ops.convert_to_tensor(kernel, dtype)

    def get_config(self):
        return {}
