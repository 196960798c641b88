"""CaffeNet trained on pictures of places."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._caffenet import features


@builder(smallest=39)
def places205_alexnet(plan):
    """Build Places-CNN for the 205 scenes of Places205 (`places205CNN`).

    By the name it goes by it is an AlexNet; by its deploy definition it is CaffeNet,
    with pooling before LRN. Fully convolutional, its windows have a stride of 32
    pixels.
    """
    return plan.classifier(features(plan.image()), window=6)
