"""GoogLeNet with batch normalization, alone and with squeeze and excitation."""

from collections.abc import Callable
from typing import NamedTuple

from keras_caffe_zoo.layers import CaffeReshape, CaffeScale
from keras_caffe_zoo.models._blocks import ave_pool, bare_conv, concat, max_pool
from keras_caffe_zoo.models._builder import classifier
from keras_caffe_zoo.models._excitation import weights_of_channels
from keras_caffe_zoo.rules.names import keras_name


@classifier(smallest=31, features="inception_5b/output")
def googlenet_bn(design):
    """Build GoogLeNet with batch normalization (`googlenet_bn`, "googlenet-v2").

    Two of its modules end with a pooling beside convolutions of stride 2, which agree
    on images of 31 to 38 pixels, 63 to 70 and so on, 32 more each time; so height and
    width can only be such. A convolution has three blobs: `inception_3a/1x1`, behind
    its BatchNorm `inception_3a/1x1/bn`, and in the end `inception_3a/1x1/bn/sc`.

    The published file is larger than this net by 19 MB that its definition does not
    mention; they are passed over.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """

    def unit(x, filters, kernel_size, name, **options):
        x = bare_conv(x, filters, kernel_size, name, **options)
        blob = f"{name}/bn/sc"
        return design.normalized(x, blob, f"{name}/bn", blob, f"{blob}/relu")

    def join(tensors, name):
        return concat(tensors, f"{name}/output")

    style = _Style(unit, join, "pool")
    return classifier(design, trunk(design, style, pooled=96), "loss3/classifier")


@classifier(smallest=31, features="inception_5b_scale", looks_at_all=True)
def se_bn_inception(design):
    """Build SE-BN-Inception (`SE-BN-Inception`): each module weighs its channels.

    The weights are made of the channels' means over the whole image. Two of its modules
    end with a pooling beside convolutions of stride 2, which agree on images of 31 to
    38 pixels, 63 to 70 and so on, 32 more each time; so height and width can only be
    such. Caffe took BatchNorm, Scale and ReLU in place, so that its blob
    `inception_3a/1x1` is the output of the layer `inception_3a/relu_1x1`;
    `feature_extractor` takes the blobs' names.
    """

    def unit(x, filters, kernel_size, name, **options):
        x = bare_conv(x, filters, kernel_size, name, **options)
        active = name.removesuffix("_s2").replace("/", "/relu_")
        return design.normalized(x, name, f"{name}/bn", f"{name}/bn/scale", active)

    def join(tensors, name):
        return weighed(design, concat(tensors, f"{name}/concat"), name)

    style = _Style(unit, join, "pool/3x3_s2")
    return classifier(design, trunk(design, style, pooled=128), "classifier")


class _Style(NamedTuple):
    """How a net names and ends its convolutions and modules.

    Attributes:
        unit: Applies a convolution and its normalization, as `conv` is called.
        join: Puts the branches of a module together.
        pool: What a pooling between two sizes is called.
    """

    unit: Callable
    join: Callable
    pool: str


def trunk(design, style: _Style, pooled: int):
    """Return what the last module gives.

    Args:
        design: What the builder's call asks for.
        style: How the net names and ends its parts.
        pooled: Filters after the poolings of modules 4c and 4d, in which the nets
            differ.
    """
    x = style.unit(design.image(), 64, 7, "conv1/7x7_s2", strides=2, pad=3)
    x = max_pool(x, 3, 2, "pool1/3x3_s2")
    x = style.unit(x, 64, 1, "conv2/3x3_reduce")
    x = style.unit(x, 192, 3, "conv2/3x3", pad=1)
    x = max_pool(x, 3, 2, "pool2/3x3_s2")
    x = inception(style, x, "3a", 64, (64, 64), (64, 96), 32)
    x = inception(style, x, "3b", 64, (64, 96), (64, 96), 64)
    x = reduction(style, x, "3c", (128, 160), (64, 96))
    x = inception(style, x, "4a", 224, (64, 96), (96, 128), 128)
    x = inception(style, x, "4b", 192, (96, 128), (96, 128), 128)
    x = inception(style, x, "4c", 160, (128, 160), (128, 160), pooled)
    x = inception(style, x, "4d", 96, (128, 192), (160, 192), pooled)
    x = reduction(style, x, "4e", (128, 192), (192, 256))
    x = inception(style, x, "5a", 352, (192, 320), (160, 224), 128)
    return inception(style, x, "5b", 352, (192, 320), (192, 224), 128, max_pool)


def inception(
    style, x, name: str, one: int, three: tuple, double: tuple, pool: int, kind=ave_pool
):
    """Apply an inception module.

    Args:
        style: How the net names and ends its parts.
        x: A feature map.
        name: The module's number and letter.
        one: Filters of the 1x1 convolution.
        three: Filters of the 1x1 convolution before the 3x3 one, and of that.
        double: Likewise for two 3x3 convolutions, one after the other.
        pool: Filters of the 1x1 convolution after the pooling.
        kind: `ave_pool` or `max_pool`.
    """
    name = f"inception_{name}"
    ones = style.unit(x, one, 1, f"{name}/1x1")
    threes, doubles = _filters(style, x, name, three, double, strides=1)
    pooled = kind(x, 3, 1, f"{name}/pool", pad=1)
    pooled = style.unit(pooled, pool, 1, f"{name}/pool_proj")
    return style.join([ones, threes, doubles, pooled], name)


def reduction(style, x, name: str, three: tuple, double: tuple):
    """Apply a module that halves the map; arguments as of `inception`."""
    name = f"inception_{name}"
    threes, doubles = _filters(style, x, name, three, double, strides=2)
    pooled = max_pool(x, 3, 2, f"{name}/{style.pool}")
    return style.join([threes, doubles, pooled], name)


def _filters(style, x, name, three, double, strides):
    threes = style.unit(x, three[0], 1, f"{name}/3x3_reduce")
    threes = style.unit(threes, three[1], 3, f"{name}/3x3", strides=strides, pad=1)
    doubles = style.unit(x, double[0], 1, f"{name}/double3x3_reduce")
    doubles = style.unit(doubles, double[1], 3, f"{name}/double3x3a", pad=1)
    last = f"{name}/double3x3b"
    return threes, style.unit(doubles, double[1], 3, last, strides=strides, pad=1)


def weighed(design, x, name: str):
    """Multiply each channel of a module's output by its weight."""
    weights = weights_of_channels(design, x, name)
    reshape = CaffeReshape([0, 0], name=keras_name(f"{name}_prob_reshape"))
    scale = CaffeScale(axis=0, name=keras_name(f"{name}_scale"))
    return design.wrote(f"{name}/output", scale([x, reshape(weights)]))


def classifier(design, x, head: str):
    """Apply pool5, the head and prob, if the net is to have its top."""
    if not design.include_top:
        return x
    x = ave_pool(x, 7, 1, "pool5/7x7_s1")
    x = design.inner_product(x, design.classes, head)
    return design.activation(x)
