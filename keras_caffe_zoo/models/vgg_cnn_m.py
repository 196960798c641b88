"""VGG-CNN-M, the medium net of "Return of the Devil in the Details"."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._vgg_cnn_m import features


@builder(smallest=41)
def vgg_cnn_m(plan):
    """Build VGG-CNN-M (`VGG_CNN_M`).

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 451 x 451.
    """
    return plan.classifier(features(plan.image()), window=6)
