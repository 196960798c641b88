"""CaffeNet, the net that came with Caffe."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._caffenet import features


@builder(smallest=39)
def caffenet(plan):
    """Build CaffeNet (`bvlc_reference_caffenet`): AlexNet with pooling before LRN.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 451 x 451.
    """
    return plan.classifier(features(plan.image()), window=6)
