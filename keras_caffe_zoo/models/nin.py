"""Network in Network, the net that replaced inner products by class maps."""

from keras_caffe_zoo.models._blocks import ave_pool, conv, dropout, max_pool
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=39, features="cccp7-1024")
def nin(design):
    """Build the ImageNet model of Network in Network (`nin_imagenet`).

    The net is fully convolutional by nature: the mean of a class's map is its score,
    and there are no inner products. The published definition ends with these scores,
    the layer `pool4`; `prob` is the softmax of its loss.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 451 x 451.
    """
    x = conv(design.image(), 96, 11, "conv1", strides=4)
    x = conv(x, 96, 1, "cccp1")
    x = conv(x, 96, 1, "cccp2")
    x = max_pool(x, 3, 2, "pool0")
    x = conv(x, 256, 5, "conv2", pad=2)
    x = conv(x, 256, 1, "cccp3")
    x = conv(x, 256, 1, "cccp4")
    x = max_pool(x, 3, 2, "pool2")
    x = conv(x, 384, 3, "conv3", pad=1)
    x = conv(x, 384, 1, "cccp5")
    x = conv(x, 384, 1, "cccp6")
    x = max_pool(x, 3, 2, "pool3")
    x = dropout(x, "drop")
    x = design.wrote("conv4", conv(x, 1024, 3, "conv4-1024", pad=1))
    x = design.wrote("cccp7", conv(x, 1024, 1, "cccp7-1024"))
    if not design.include_top:
        return x
    x = design.wrote("cccp8", conv(x, design.classes, 1, "cccp8-1024"))
    x = ave_pool(x, 6, 1, "pool4")
    return design.activation(design.flat(x, "pool4_flatten"))
