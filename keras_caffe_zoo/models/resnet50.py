"""ResNet-50, with which its authors won ILSVRC 2015."""

from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._resnet import classifier, stage, stem


@builder(smallest=3, features="res5c_relu")
def resnet50(plan):
    """Build ResNet-50 (`ResNet-50-model`), whose conv1 has a bias, unlike the others'.

    BatchNorm, Scale and ReLU are layers of their own. Caffe took them in place, so that
    its blob `res2a_branch1` is the output of the layer `scale2a_branch1`, and `res2a`
    that of `res2a_relu`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    x = stem(plan, use_bias=True)
    x = stage(plan, x, 2, "abc", 64, strides=1)
    x = stage(plan, x, 3, "abcd", 128)
    x = stage(plan, x, 4, "abcdef", 256)
    x = stage(plan, x, 5, "abc", 512)
    return classifier(plan, x)
