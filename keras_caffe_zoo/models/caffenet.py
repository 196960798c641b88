"""CaffeNet, the net that came with Caffe."""

from keras_caffe_zoo.models._blocks import conv, lrn, max_pool
from keras_caffe_zoo.models._builder import builder


@builder(smallest=39)
def caffenet(plan):
    """Build CaffeNet (`bvlc_reference_caffenet`): AlexNet with pooling before LRN.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 451 x 451.
    """
    x = conv(plan.image(), 96, 11, "conv1", strides=4)
    x = max_pool(x, 3, 2, "pool1")
    x = lrn(x, "norm1", alpha=1e-4)
    x = conv(x, 256, 5, "conv2", pad=2, groups=2)
    x = max_pool(x, 3, 2, "pool2")
    x = lrn(x, "norm2", alpha=1e-4)
    x = conv(x, 384, 3, "conv3", pad=1)
    x = conv(x, 384, 3, "conv4", pad=1, groups=2)
    x = conv(x, 256, 3, "conv5", pad=1, groups=2)
    x = max_pool(x, 3, 2, "pool5")
    return plan.classifier(x, window=6)
