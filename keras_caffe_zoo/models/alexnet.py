"""AlexNet as the authors of Caffe trained it."""

from keras_caffe_zoo.models._blocks import conv, lrn, max_pool
from keras_caffe_zoo.models._builder import builder


@builder(smallest=39)
def alexnet(plan):
    """Build AlexNet (`bvlc_alexnet`): LRN before pooling, as in the paper.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 451 x 451.
    """
    x = conv(plan.image(), 96, 11, "conv1", strides=4)
    x = lrn(x, "norm1", alpha=1e-4)
    x = max_pool(x, 3, 2, "pool1")
    x = conv(x, 256, 5, "conv2", pad=2, groups=2)
    x = lrn(x, "norm2", alpha=1e-4)
    x = max_pool(x, 3, 2, "pool2")
    x = conv(x, 384, 3, "conv3", pad=1)
    x = conv(x, 384, 3, "conv4", pad=1, groups=2)
    x = conv(x, 256, 3, "conv5", pad=1, groups=2)
    x = max_pool(x, 3, 2, "pool5")
    return plan.classifier(x, window=6)
