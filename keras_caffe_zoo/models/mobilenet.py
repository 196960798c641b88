"""MobileNets, in which a 3x3 filter looks at one channel alone."""

from keras_caffe_zoo.models._blocks import add, ave_pool, bare_conv
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=1, features="relu6/sep")
def mobilenet_v1(design):
    """Build MobileNet 1.0 (`mobilenet`).

    BatchNorm, Scale and ReLU are layers of their own. Caffe took them in place, so that
    its blob `conv2_1/dw` is the output of the layer `relu2_1/dw`; `feature_extractor`
    takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    x = bare_conv(design.image(), 32, 3, "conv1", strides=2, pad=1)
    x = _in_place(design, x, "conv1", "relu1")
    x = separable(design, x, "2_1", 64)
    x = separable(design, x, "2_2", 128, strides=2)
    x = separable(design, x, "3_1", 128)
    x = separable(design, x, "3_2", 256, strides=2)
    x = separable(design, x, "4_1", 256)
    x = separable(design, x, "4_2", 512, strides=2)
    for i in range(1, 6):
        x = separable(design, x, f"5_{i}", 512)
    x = separable(design, x, "5_6", 1024, strides=2)
    x = separable(design, x, "6", 1024)
    return classifier(design, x)


@classifier(smallest=1, features="relu6_4")
def mobilenet_v2(design):
    """Build MobileNet 2.0 (`mobilenet_v2`).

    Its ReLUs have no upper bound, and it halves the map at `conv4_7`, after the 64
    channels, not before them. Caffe took Scale and ReLU in place, so that its blob
    `conv2_1/dwise/bn` is the output of the layer `relu2_1/dwise`; `feature_extractor`
    takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    x = bare_conv(design.image(), 32, 3, "conv1", strides=2, pad=1)
    x = _after(design, x, "conv1", "relu1")
    x = bottleneck(design, x, "2_1", 16, expand=1)
    x = bottleneck(design, x, "2_2", 24, strides=2)
    x = bottleneck(design, x, "3_1", 24)
    x = bottleneck(design, x, "3_2", 32, strides=2)
    x = bottleneck(design, x, "4_1", 32)
    x = bottleneck(design, x, "4_2", 32)
    x = bottleneck(design, x, "4_3", 64)
    x = bottleneck(design, x, "4_4", 64)
    x = bottleneck(design, x, "4_5", 64)
    x = bottleneck(design, x, "4_6", 64)
    x = bottleneck(design, x, "4_7", 96, strides=2)
    x = bottleneck(design, x, "5_1", 96)
    x = bottleneck(design, x, "5_2", 96)
    x = bottleneck(design, x, "5_3", 160, strides=2)
    x = bottleneck(design, x, "6_1", 160)
    x = bottleneck(design, x, "6_2", 160)
    x = bottleneck(design, x, "6_3", 320)
    x = _after(design, bare_conv(x, 1280, 1, "conv6_4"), "conv6_4", "relu6_4")
    return classifier(design, x)


def separable(design, x, name: str, filters: int, strides=1):
    """Apply 3x3 filters, one for each channel, then 1x1 filters over all of them.

    Args:
        design: What the builder's call asks for.
        x: A feature map.
        name: The layers' number.
        filters: Channels of the output.
        strides: Stride of the 3x3 filters.
    """
    groups, blob = x.shape[-1], f"conv{name}/dw"
    x = bare_conv(x, groups, 3, blob, strides=strides, pad=1, groups=groups)
    x = _in_place(design, x, blob, f"relu{name}/dw")
    blob = f"conv{name}/sep"
    x = bare_conv(x, filters, 1, blob)
    return _in_place(design, x, blob, f"relu{name}/sep")


def bottleneck(design, x, name: str, filters: int, strides=1, expand=6):
    """Apply an inverted residual: more channels, 3x3 filters on each, fewer channels.

    Args:
        design: What the builder's call asks for.
        x: A feature map, which is added to the output if they have the same shape.
        name: The layers' number.
        filters: Channels of the output.
        strides: Stride of the 3x3 filters.
        expand: How many times as many channels there are between.
    """
    wide, part = expand * x.shape[-1], f"conv{name}/expand"
    y = bare_conv(x, wide, 1, part)
    y = _after(design, y, part, f"relu{name}/expand")
    part = f"conv{name}/dwise"
    y = bare_conv(y, wide, 3, part, strides=strides, pad=1, groups=wide)
    y = _after(design, y, part, f"relu{name}/dwise")
    part = f"conv{name}/linear"
    y = _after(design, bare_conv(y, filters, 1, part), part)
    if strides > 1 or x.shape[-1] != filters:
        return y
    return add([x, y], f"block_{name}")


def classifier(design, x):
    """Apply pool6, fc7 and prob, if the net is to have its top."""
    if not design.include_top:
        return x
    return design.scores(ave_pool(x, 7, 1, "pool6"), "fc7")


def _in_place(design, x, blob, active):
    """Apply BatchNorm, Scale and ReLU, which wrote over the convolution's blob."""
    return design.normalized(x, blob, f"{blob}/bn", f"{blob}/scale", active)


def _after(design, x, name, active=""):
    """Apply BatchNorm, Scale and perhaps ReLU, which have a blob of their own."""
    return design.normalized(x, f"{name}/bn", f"{name}/bn", f"{name}/scale", active)
