"""SqueezeNet 1.0, AlexNet's accuracy in five megabytes."""

from keras_caffe_zoo.models._blocks import conv, max_pool
from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._squeezenet import classifier, fire


@builder(smallest=21, features="fire9/concat")
def squeezenet_v1_0(plan):
    """Build SqueezeNet 1.0 (`squeezenet_v1.0`).

    The net is fully convolutional by nature: the mean of a class's map is its score,
    and there are no inner products. Its conv10 pads its 1x1 filters by one pixel, so
    that the border of each map is the bias alone.

    Fully convolutional, its windows have a stride of 16 pixels.
    """
    x = conv(plan.image(), 96, 7, "conv1", strides=2)
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
    return classifier(plan, x, window=15, pad=1)
