"""FCN-32s, VGG-16 made to label every pixel, in steps of 32."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._fcn import maps, score, upscore, vgg16


@builder(smallest=1, features="fc7", activation=None)
def fcn32s(plan):
    """Build FCN-32s for the 21 classes of PASCAL VOC (`fcn32s-heavy-pascal`).

    The output `score` has a map of raw scores for each class, of the image's size; the
    argmax over the classes is the segmentation. Class 0 is the background.

    The net is fully convolutional by nature.
    """
    image = plan.image()
    *_, x = vgg16(image)
    if not plan.include_top:
        return x
    x = score(plan, x)
    x = upscore(plan, x, 64, 32, "upscore")
    return maps(plan, x, image, offset=19)
