"""VGG-CNN-M-1024, which describes an image in 1024 numbers."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._vgg_cnn_m import features


@builder(smallest=41)
def vgg_cnn_m_1024(plan):
    """Build VGG-CNN-M-1024 (`VGG_CNN_M_1024`): VGG-CNN-M with 1024 units in fc7.

    Fully convolutional, its windows have a stride of 32 pixels.
    """
    return plan.classifier(features(plan.image()), window=6, fc7_units=1024)
