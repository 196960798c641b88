"""ResNet-101, with which its authors won ILSVRC 2015."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._resnet import classifier, numbered, stage, stem


@builder(smallest=3, features="res5c_relu")
def resnet101(plan):
    """Build ResNet-101 (`ResNet-101-model`).

    BatchNorm, Scale and ReLU are layers of their own. Caffe took them in place, so that
    its blob `res2a_branch1` is the output of the layer `scale2a_branch1`, and `res2a`
    that of `res2a_relu`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    x = stem(plan)
    x = stage(plan, x, 2, "abc", 64, strides=1)
    x = stage(plan, x, 3, numbered(4), 128)
    x = stage(plan, x, 4, numbered(23), 256)
    x = stage(plan, x, 5, "abc", 512)
    return classifier(plan, x)
