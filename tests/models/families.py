"""The nets' contract, and which of them a test is run for."""

from typing import NamedTuple

import keras
import numpy as np
import pytest

from keras_caffe_zoo.rules.names import caffe_name


class Contract(NamedTuple):
    """What holds for one net whatever it was trained on.

    Attributes:
        size: Height and width of an image in training, a number if they are the same;
            None for any.
        least: Least height and width of an image without the top.
        features: Last layer without the top.
        channels: That layer's channels, with fc6 and fc7 of 16 units.
        stride: Stride of the windows of the fully convolutional net.
        heads: Layers with one output for each class.
        more: Rows and columns beyond the least size that make a larger map.
    """

    size: int | tuple[int, int] | None
    least: int
    features: str
    channels: int
    stride: int | None
    heads: list[str]
    more: tuple[int, int] = (70, 40)

    @property
    def sides(self):
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)


CONTRACT = {
    "alexnet": Contract(227, 39, "pool5", 256, 32, ["fc8"]),
    "caffenet": Contract(227, 39, "pool5", 256, 32, ["fc8"]),
    "rcnn_ilsvrc13": Contract(227, 39, "pool5", 256, 32, ["fc-rcnn"]),
    "flickr_style": Contract(227, 39, "pool5", 256, 32, ["fc8_flickr"]),
    "places205_alexnet": Contract(227, 39, "pool5", 256, 32, ["fc8"]),
    "places365_alexnet": Contract(227, 39, "pool5", 256, 32, ["fc8"]),
    "hybrid_cnn": Contract(227, 39, "pool5", 256, 32, ["fc8"]),
    "age_net": Contract(227, 35, "pool5", 384, 32, ["fc8"]),
    "gender_net": Contract(227, 35, "pool5", 384, 32, ["fc8"]),
    "vgg_cnn_f": Contract(224, 39, "pool5", 256, 32, ["fc8"]),
    "vgg_cnn_m": Contract(224, 41, "pool5", 512, 32, ["fc8"]),
    "vgg_cnn_s": Contract(224, 31, "pool5", 512, 36, ["fc8"]),
    "vgg_cnn_m_128": Contract(224, 41, "pool5", 512, 32, ["fc8"]),
    "vgg_cnn_m_1024": Contract(224, 41, "pool5", 512, 32, ["fc8"]),
    "vgg_cnn_m_2048": Contract(224, 41, "pool5", 512, 32, ["fc8"]),
    "vgg16": Contract(224, 1, "pool5", 512, 32, ["fc8"]),
    "vgg19": Contract(224, 1, "pool5", 512, 32, ["fc8"]),
    "places365_vgg16": Contract(224, 1, "pool5", 512, 32, ["fc8a"]),
    "vgg_face": Contract(224, 1, "pool5", 512, 32, ["fc8"]),
    **dict.fromkeys(
        ["googlenet", "places205_googlenet", "places365_googlenet"],
        Contract(224, 31, "inception_5b/output", 1024, 32, ["loss3/classifier"]),
    ),
    "googlenet_bn": Contract(
        *(224, 31, "inception_5b/output", 1024, 32), ["loss3/classifier"], (64, 32)
    ),
    "se_bn_inception": Contract(
        *(224, 31, "inception_5b_scale", 1024, None), ["classifier"], (64, 32)
    ),
    "nin": Contract(224, 39, "cccp7-1024", 1024, 32, ["cccp8-1024"]),
    "squeezenet_v1_0": Contract(227, 21, "fire9/concat", 512, 16, ["conv10"]),
    "squeezenet_v1_1": Contract(227, 17, "fire9/concat", 512, 16, ["conv10"]),
    "resnet50": Contract(224, 3, "res5c_relu", 2048, 32, ["fc1000"]),
    "resnet101": Contract(224, 3, "res5c_relu", 2048, 32, ["fc1000"]),
    "resnet152": Contract(224, 3, "res5c_relu", 2048, 32, ["fc1000"]),
    "places365_resnet152": Contract(224, 3, "res5c_relu", 2048, 32, ["fc365"]),
    "open_nsfw": Contract(224, 3, "relu_stage3_block2", 1024, 32, ["fc_nsfw"]),
    **dict.fromkeys(
        ["se_resnet50", "se_resnet101", "se_resnet152", "se_resnext50"]
        + ["se_resnext101"],
        Contract(224, 3, "conv5_3/relu", 2048, None, ["classifier"]),
    ),
    "densenet121": Contract(224, 1, "relu5_blk", 1024, 32, ["fc6"]),
    "densenet161": Contract(224, 1, "relu5_blk", 2208, 32, ["fc6"]),
    "densenet169": Contract(224, 1, "relu5_blk", 1664, 32, ["fc6"]),
    "densenet201": Contract(224, 1, "relu5_blk", 1920, 32, ["fc6"]),
    "mobilenet_v1": Contract(224, 1, "relu6/sep", 1024, 32, ["fc7"]),
    "mobilenet_v2": Contract(224, 1, "relu6_4", 1280, 32, ["fc7"]),
    "shufflenet_v2_x05": Contract(224, 3, "conv5/relu", 1024, 32, ["fc"]),
    "sphereface": Contract((112, 96), 1, "res4_3", 512, 16, ["fc5"]),
    "fcn_alexnet": Contract(None, 1, "fc7", 16, None, ["score_fr", "upscore"]),
    "fcn32s": Contract(None, 1, "fc7", 16, None, ["score_fr", "upscore"]),
    "fcn16s": Contract(
        *(None, 1, "fc7", 16, None),
        ["score_fr", "upscore2", "score_pool4", "upscore16"],
    ),
    "fcn8s": Contract(
        *(None, 1, "fc7", 16, None),
        ["score_fr", "upscore2", "score_pool4", "upscore_pool4"]
        + ["score_pool3", "upscore8"],
    ),
}
RAW = {"rcnn_ilsvrc13", "sphereface", "fcn_alexnet", "fcn32s", "fcn16s", "fcn8s"}
POOLED = {"nin", "squeezenet_v1_0", "squeezenet_v1_1"}  # their head is before a pooling
# Their head is a convolution behind the pooling.
CONVOLUTIONAL = {
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *("mobilenet_v1", "mobilenet_v2", "shufflenet_v2_x05"),
}
# They look at the whole image before the head.
LOOKING_AT_ALL = {name for name in CONTRACT if name.startswith("se_")}
# One of each family; `pytest -m slow` runs the others, and those that take long.
LONG = {"densenet121", "googlenet_bn", "open_nsfw", "se_resnet50"}
FIRST = {
    *("caffenet", "vgg_cnn_s", "vgg16", "googlenet", "nin"),
    *("squeezenet_v1_1", "resnet50", "fcn8s", "gender_net", "googlenet_bn"),
    *("open_nsfw", "se_resnet50", "densenet121", "mobilenet_v2"),
    *("shufflenet_v2_x05", "sphereface"),
}

each_net = pytest.mark.parametrize("name", CONTRACT)
each_family = pytest.mark.parametrize(
    "name",
    [
        n if n in FIRST - LONG else pytest.param(n, marks=pytest.mark.slow)
        for n in CONTRACT
    ],
)


def every(*names):
    """Parametrize with all nets, of which those named are not slow."""
    return _parametrized(CONTRACT, names)


def few(*names):
    """Parametrize with some nets, and slowly with one of each other family."""
    return _parametrized([n for n in CONTRACT if n in FIRST or n in names], names)


def _parametrized(nets, quick):
    return pytest.mark.parametrize(
        "name",
        [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in nets],
    )


def image(height, width=None, batch=1):
    shape = (batch, height, width or height, 3)
    values = np.random.default_rng(0).uniform(-120, 120, shape)
    return values.astype("float32")


def answer(model, x):
    """Return a model's answer in one pass, which costs less than to compile it."""
    return keras.ops.convert_to_numpy(model(x))


def assert_same_weights(model, source, but=()):
    layers = [layer for layer in model.layers if layer.count_params()]
    compared = [layer for layer in layers if caffe_name(layer.name) not in but]
    assert len(layers) - len(compared) == len(but)
    for layer in compared:
        theirs = source.get_layer(layer.name).get_weights()
        for ours, other in zip(layer.get_weights(), theirs, strict=True):
            np.testing.assert_array_equal(ours, other)
