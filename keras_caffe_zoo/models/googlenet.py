"""GoogLeNet, the winner of ILSVRC 2014, also trained on scenes."""

from keras_caffe_zoo.models._blocks import (
    ave_pool,
    concat,
    conv,
    dropout,
    lrn,
    max_pool,
)
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=31, features="inception_5b/output")
def googlenet(design, *, auxiliary_heads=False):
    """Build GoogLeNet (`bvlc_googlenet`).

    With `auxiliary_heads=True` the model gives a list of three answers: its own, and
    those of the classifiers that hang on inception_4a (`loss1`) and inception_4d
    (`loss2`) in training. Caffe weighted their losses 1, 0.3 and 0.3. The published
    file has their weights too.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.

    Example:
        >>> model = kcz.googlenet(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 224, 224, 3), (None, 1000))
        >>> print(f"{model.count_params():,}")  # without the two heads for training
        6,998,552
        >>> dense = kcz.googlenet(weights=None, fully_convolutional=True)
        >>> dense.output_shape  # a map, of images of any size
        (None, None, None, 1000)

    Example:
        >>> model = kcz.googlenet(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 224, 224, 3), (None, 1000))
        >>> print(f"{model.count_params():,}")  # without the two heads for training
        6,998,552
        >>> dense = kcz.googlenet(weights=None, fully_convolutional=True)
        >>> dense.output_shape  # a map, of images of any size
        (None, None, None, 1000)
    """
    if auxiliary_heads and not design.include_top:
        raise ValueError(
            "Expected include_top=True with auxiliary_heads=True; received: "
            f"include_top={design.include_top!r}"
        )
    x, first, second = googlenet_features(design.image())
    x = classifier(design, x)
    if not auxiliary_heads:
        return x
    return [x, _auxiliary(design, first, "loss1"), _auxiliary(design, second, "loss2")]


@classifier(smallest=31, features="inception_5b/output")
def places205_googlenet(design):
    """Build GoogLeNet for the 205 scenes of Places205 (`googlelet_places205`).

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    return classifier(design, googlenet_features(design.image())[0])


@classifier(smallest=31, features="inception_5b/output")
def places365_googlenet(design):
    """Build GoogLeNet for the 365 scenes of Places365 (`googlenet_places365`).

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    return classifier(design, googlenet_features(design.image())[0])


def googlenet_features(image) -> tuple:
    """Return inception_5b, and what the heads of training hang on: 4a and 4d."""
    x = conv(image, 64, 7, "conv1/7x7_s2", strides=2, pad=3)
    x = max_pool(x, 3, 2, "pool1/3x3_s2")
    x = lrn(x, "pool1/norm1", alpha=1e-4)
    x = conv(x, 64, 1, "conv2/3x3_reduce")
    x = conv(x, 192, 3, "conv2/3x3", pad=1)
    x = lrn(x, "conv2/norm2", alpha=1e-4)
    x = max_pool(x, 3, 2, "pool2/3x3_s2")
    x = inception(x, "3a", 64, (96, 128), (16, 32), 32)
    x = inception(x, "3b", 128, (128, 192), (32, 96), 64)
    x = max_pool(x, 3, 2, "pool3/3x3_s2")
    x = first = inception(x, "4a", 192, (96, 208), (16, 48), 64)
    x = inception(x, "4b", 160, (112, 224), (24, 64), 64)
    x = inception(x, "4c", 128, (128, 256), (24, 64), 64)
    x = second = inception(x, "4d", 112, (144, 288), (32, 64), 64)
    x = inception(x, "4e", 256, (160, 320), (32, 128), 128)
    x = max_pool(x, 3, 2, "pool4/3x3_s2")
    x = inception(x, "5a", 256, (160, 320), (32, 128), 128)
    return inception(x, "5b", 384, (192, 384), (48, 128), 128), first, second


def inception(x, name: str, one: int, three: tuple, five: tuple, pool: int):
    """Apply an inception module.

    Args:
        x: A feature map.
        name: The module's number and letter.
        one: Filters of the 1x1 convolution.
        three: Filters of the 1x1 convolution before the 3x3 one, and of that.
        five: Likewise for the 5x5 convolution.
        pool: Filters of the 1x1 convolution after the pooling.
    """
    name = f"inception_{name}"
    ones = conv(x, one, 1, f"{name}/1x1")
    threes = conv(x, three[0], 1, f"{name}/3x3_reduce")
    threes = conv(threes, three[1], 3, f"{name}/3x3", pad=1)
    fives = conv(x, five[0], 1, f"{name}/5x5_reduce")
    fives = conv(fives, five[1], 5, f"{name}/5x5", pad=2)
    pooled = max_pool(x, 3, 1, f"{name}/pool", pad=1)
    pooled = conv(pooled, pool, 1, f"{name}/pool_proj")
    return concat([ones, threes, fives, pooled], f"{name}/output")


def classifier(design, x):
    """Apply pool5, the head and prob, if the net is to have its top."""
    if not design.include_top:
        return x
    x = ave_pool(x, 7, 1, "pool5/7x7_s1")
    x = dropout(x, "pool5/drop_7x7_s1", 0.4)
    x = design.inner_product(x, design.classes, "loss3/classifier")
    return design.activation(x)


def _auxiliary(design, x, name):
    x = ave_pool(x, 5, 3, f"{name}/ave_pool")
    x = conv(x, 128, 1, f"{name}/conv")
    x = design.inner_product(x, 1024, f"{name}/fc", window=4, activation="relu")
    x = dropout(x, f"{name}/drop_fc", 0.7)
    x = design.inner_product(x, design.classes, f"{name}/classifier")
    return design.activation(x, f"{name}/prob")
