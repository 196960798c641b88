"""VGG-16, configuration D of "Very Deep Convolutional Networks"."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._vgg import stage


@builder(smallest=1)
def vgg16(plan):
    """Build VGG-16 (`VGG_ILSVRC_16_layers`).

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    x = stage(plan.image(), 1, 64, 2)
    x = stage(x, 2, 128, 2)
    x = stage(x, 3, 256, 3)
    x = stage(x, 4, 512, 3)
    x = stage(x, 5, 512, 3)
    return plan.classifier(x, window=7)
