"""VGG-CNN-F, the fast net of "Return of the Devil in the Details"."""

from keras_caffe_zoo.models._blocks import conv, lrn, max_pool
from keras_caffe_zoo.models._builder import builder


@builder(smallest=39)
def vgg_cnn_f(plan):
    """Build VGG-CNN-F (`VGG_CNN_F`): AlexNet without groups, in thinner layers.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 451 x 451.
    """
    x = conv(plan.image(), 64, 11, "conv1", strides=4)
    x = lrn(x, "norm1", alpha=5e-4, k=2.0)
    x = max_pool(x, 3, 2, "pool1")
    x = conv(x, 256, 5, "conv2", pad=2)
    x = lrn(x, "norm2", alpha=5e-4, k=2.0)
    x = max_pool(x, 3, 2, "pool2")
    x = conv(x, 256, 3, "conv3", pad=1)
    x = conv(x, 256, 3, "conv4", pad=1)
    x = conv(x, 256, 3, "conv5", pad=1)
    x = max_pool(x, 3, 2, "pool5")
    return plan.classifier(x, window=6)
