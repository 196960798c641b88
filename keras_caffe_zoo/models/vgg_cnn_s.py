"""VGG-CNN-S, the slow and accurate net of "Return of the Devil in the Details"."""

from keras_caffe_zoo.models._blocks import conv, lrn, max_pool
from keras_caffe_zoo.models._builder import builder


@builder(smallest=31)
def vgg_cnn_s(plan):
    """Build VGG-CNN-S (`VGG_CNN_S`).

    Fully convolutional, its windows have a stride of 36 pixels: a map of 7 x 7 for an
    image of 451 x 451.
    """
    x = conv(plan.image(), 96, 7, "conv1", strides=2)
    x = lrn(x, "norm1", alpha=5e-4, k=2.0)
    x = max_pool(x, 3, 3, "pool1")
    x = conv(x, 256, 5, "conv2")
    x = max_pool(x, 2, 2, "pool2")
    x = conv(x, 512, 3, "conv3", pad=1)
    x = conv(x, 512, 3, "conv4", pad=1)
    x = conv(x, 512, 3, "conv5", pad=1)
    x = max_pool(x, 3, 3, "pool5")
    return plan.classifier(x, window=6)
