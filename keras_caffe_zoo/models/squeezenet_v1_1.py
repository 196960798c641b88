"""SqueezeNet 1.1, as accurate as 1.0 with less than half of the work."""

from keras_caffe_zoo.models._blocks import conv, max_pool
from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._squeezenet import classifier, fire


@builder(smallest=17, features="fire9/concat")
def squeezenet_v1_1(plan):
    """Build SqueezeNet 1.1 (`squeezenet_v1.1`).

    The net is fully convolutional by nature: the mean of a class's map is its score,
    and there are no inner products.

    Fully convolutional, its windows have a stride of 16 pixels.
    """
    x = conv(plan.image(), 64, 3, "conv1", strides=2)
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
    return classifier(plan, x, window=14)
