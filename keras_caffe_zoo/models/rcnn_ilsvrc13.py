"""The R-CNN detector's net for the 200 classes of ILSVRC 2013."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._caffenet import features


@builder(smallest=39, activation=None)
def rcnn_ilsvrc13(plan):
    """Build the net of R-CNN (`bvlc_reference_rcnn_ilsvrc13`): CaffeNet with SVMs.

    Its last layer `fc-rcnn` holds one SVM for each class and gives their raw scores;
    a region of an image belongs to the classes with scores above zero, none or several.
    There is no softmax, unless `classifier_activation` asks for one.

    Fully convolutional, its windows have a stride of 32 pixels.
    """
    return plan.classifier(features(plan.image()), window=6, head="fc-rcnn")
