"""FCN-8s, which adds what pool4 and pool3 see to FCN-32s."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._fcn import fuse, maps, score, upscore, vgg16


@builder(smallest=1, features="fc7", activation=None)
def fcn8s(plan):
    """Build FCN-8s for the 21 classes of PASCAL VOC (`fcn8s-heavy-pascal`).

    The output `score` has a map of raw scores for each class, of the image's size; the
    argmax over the classes is the segmentation. Class 0 is the background.

    The net is fully convolutional by nature.
    """
    image = plan.image()
    pool3, pool4, x = vgg16(image)
    if not plan.include_top:
        return x
    x = score(plan, x)
    x = upscore(plan, x, 4, 2, "upscore2")
    x = fuse(plan, x, pool4, "pool4", offset=5)
    x = upscore(plan, x, 4, 2, "upscore_pool4")
    x = fuse(plan, x, pool3, "pool3", offset=9)
    x = upscore(plan, x, 16, 8, "upscore8")
    return maps(plan, x, image, offset=31)
