"""FCN-AlexNet, CaffeNet made to label every pixel."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._caffenet import features
from keras_caffe_zoo.models._fcn import PAD, fully_connected, maps, score, upscore


@builder(smallest=1, features="fc7", activation=None)
def fcn_alexnet(plan):
    """Build FCN-AlexNet for the 21 classes of PASCAL VOC (`fcn-alexnet-pascal`).

    For all its name it has pooling before LRN, as CaffeNet does. The output `score` has
    a map of raw scores for each class, of the image's size; the argmax over the classes
    is the segmentation. Class 0 is the background.

    The net is fully convolutional by nature.
    """
    image = plan.image()
    x = fully_connected(features(image, pad=PAD), window=6)
    if not plan.include_top:
        return x
    x = score(plan, x)
    x = upscore(plan, x, 63, 32, "upscore")
    return maps(plan, x, image, offset=18)
