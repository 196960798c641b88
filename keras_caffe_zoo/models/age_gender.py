"""Small nets that tell the age and the gender of a face."""

from keras_caffe_zoo.models._blocks import conv, lrn, max_pool
from keras_caffe_zoo.models._builder import classifier

_UNITS = {"fc6_units": 512, "fc7_units": 512}


@classifier(smallest=35)
def age_net(design):
    """Build the net that puts a face into one of eight ranges of age (`age_net`).

    Fully convolutional, its windows have a stride of 32 pixels.
    """
    return design.classifier(features(design.image()), window=7, **_UNITS)


@classifier(smallest=35)
def gender_net(design):
    """Build the net that tells the gender of a face (`gender_net`).

    Fully convolutional, its windows have a stride of 32 pixels.
    """
    return design.classifier(features(design.image()), window=7, **_UNITS)


def features(image):
    """Return pool5: CaffeNet's beginning, without groups."""
    x = conv(image, 96, 7, "conv1", strides=4)
    x = max_pool(x, 3, 2, "pool1")
    x = lrn(x, "norm1", alpha=1e-4)
    x = conv(x, 256, 5, "conv2", pad=2)
    x = max_pool(x, 3, 2, "pool2")
    x = lrn(x, "norm2", alpha=1e-4)
    x = conv(x, 384, 3, "conv3", pad=1)
    return max_pool(x, 3, 2, "pool5")
