"""CaffeNet trained on ImageNet's objects and on places together."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._caffenet import features


@builder(smallest=39)
def hybrid_cnn(plan):
    """Build Hybrid-CNN for 1183 objects and scenes (`hybridCNN`).

    Of its authors' own deploy definition only copies with another number of classes
    are at hand. They have pooling before LRN, as CaffeNet and Places205-CNN do, and so
    does this. Fully convolutional, its windows have a stride of 32 pixels.
    """
    return plan.classifier(features(plan.image()), window=6)
