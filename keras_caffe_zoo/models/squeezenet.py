"""SqueezeNet, AlexNet's accuracy in five megabytes."""

from keras_caffe_zoo.models._blocks import ave_pool, concat, conv, dropout, max_pool
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=21, features="fire9/concat")
def squeezenet_v1_0(design):
    """Build SqueezeNet 1.0 (`squeezenet_v1.0`).

    The net is fully convolutional by nature: the mean of a class's map is its score,
    and there are no inner products. Its conv10 pads its 1x1 filters by one pixel, so
    that the border of each map is the bias alone.

    Fully convolutional, its windows have a stride of 16 pixels.
    """
    x = conv(design.image(), 96, 7, "conv1", strides=2)
    x = max_pool(x, 3, 2, "pool1")
    x = fire(x, 2, 16, 64)
    x = fire(x, 3, 16, 64)
    x = fire(x, 4, 32, 128)
    x = max_pool(x, 3, 2, "pool4")
    x = fire(x, 5, 32, 128)
    x = fire(x, 6, 48, 192)
    x = fire(x, 7, 48, 192)
    x = fire(x, 8, 64, 256)
    x = max_pool(x, 3, 2, "pool8")
    x = fire(x, 9, 64, 256)
    return classifier(design, x, window=15, pad=1)


@classifier(smallest=17, features="fire9/concat")
def squeezenet_v1_1(design):
    """Build SqueezeNet 1.1 (`squeezenet_v1.1`).

    The net is fully convolutional by nature: the mean of a class's map is its score,
    and there are no inner products.

    Fully convolutional, its windows have a stride of 16 pixels.
    """
    x = conv(design.image(), 64, 3, "conv1", strides=2)
    x = max_pool(x, 3, 2, "pool1")
    x = fire(x, 2, 16, 64)
    x = fire(x, 3, 16, 64)
    x = max_pool(x, 3, 2, "pool3")
    x = fire(x, 4, 32, 128)
    x = fire(x, 5, 32, 128)
    x = max_pool(x, 3, 2, "pool5")
    x = fire(x, 6, 48, 192)
    x = fire(x, 7, 48, 192)
    x = fire(x, 8, 64, 256)
    x = fire(x, 9, 64, 256)
    return classifier(design, x, window=14)


def fire(x, number: int, squeeze: int, expand: int):
    """Apply a fire module: few 1x1 filters, then many of 1x1 and as many of 3x3."""
    name = f"fire{number}"
    x = conv(x, squeeze, 1, f"{name}/squeeze1x1")
    small = conv(x, expand, 1, f"{name}/expand1x1")
    large = conv(x, expand, 3, f"{name}/expand3x3", pad=1)
    return concat([small, large], f"{name}/concat")


def classifier(design, x, window: int, pad=0):
    """Apply conv10, pool10 and prob, if the net is to have its top.

    Args:
        design: What the builder's call asks for.
        x: Output of the last fire module.
        window: Height and width of conv10 for an image of the training size, all of
            which pool10 takes.
        pad: Zeros around the input of conv10.
    """
    if not design.include_top:
        return x
    x = dropout(x, "drop9")
    x = conv(x, design.classes, 1, "conv10", pad=pad)
    x = ave_pool(x, window, 1, "pool10")
    return design.activation(design.flat(x, "pool10_flatten"))
