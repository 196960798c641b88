"""DenseNets, each of whose layers reads what all before it have found."""

from keras_caffe_zoo.models._blocks import ave_pool, bare_conv, concat, max_pool
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=1, features="relu5_blk")
def densenet121(design):
    """Build DenseNet-121 (`DenseNet_121`).

    The published definition ends with raw scores, the layer `fc6`; `prob` is the
    softmax of its loss. `pool1` rounds down, unlike Caffe 1.0's poolings. Caffe took
    Scale and ReLU in place, so that its blob `conv2_1/x1/bn` is the output of the layer
    `relu2_1/x1`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    return densenet(design, (6, 12, 24, 16), growth=32)


@classifier(smallest=1, features="relu5_blk")
def densenet161(design):
    """Build DenseNet-161 (`DenseNet_161`), the widest.

    The published definition ends with raw scores, the layer `fc6`; `prob` is the
    softmax of its loss. `pool1` rounds down, unlike Caffe 1.0's poolings. Caffe took
    Scale and ReLU in place, so that its blob `conv2_1/x1/bn` is the output of the layer
    `relu2_1/x1`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    return densenet(design, (6, 12, 36, 24), growth=48)


@classifier(smallest=1, features="relu5_blk")
def densenet169(design):
    """Build DenseNet-169 (`DenseNet_169`).

    The published definition ends with raw scores, the layer `fc6`; `prob` is the
    softmax of its loss. `pool1` rounds down, unlike Caffe 1.0's poolings. Caffe took
    Scale and ReLU in place, so that its blob `conv2_1/x1/bn` is the output of the layer
    `relu2_1/x1`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    return densenet(design, (6, 12, 32, 32), growth=32)


@classifier(smallest=1, features="relu5_blk")
def densenet201(design):
    """Build DenseNet-201 (`DenseNet_201`).

    The published definition ends with raw scores, the layer `fc6`; `prob` is the
    softmax of its loss. `pool1` rounds down, unlike Caffe 1.0's poolings. Caffe took
    Scale and ReLU in place, so that its blob `conv2_1/x1/bn` is the output of the layer
    `relu2_1/x1`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    return densenet(design, (6, 12, 48, 32), growth=32)


def densenet(design, blocks: tuple[int, ...], growth: int):
    """Return a DenseNet.

    Args:
        design: What the builder's call asks for.
        blocks: How many layers each of the four blocks has.
        growth: Channels that each layer adds.
    """
    x = bare_conv(design.image(), 2 * growth, 7, "conv1", strides=2, pad=3)
    x = design.normalized(x, "conv1/bn", "conv1/bn", "conv1/scale", "relu1")
    x = max_pool(x, 3, 2, "pool1", pad=1, round_mode="floor")
    for number, layers in enumerate(blocks, start=2):
        for i in range(1, layers + 1):
            x = dense_layer(design, x, f"{number}_{i}", growth)
        x = _active(design, x, f"{number}_blk")
        if number < 5:
            x = bare_conv(x, x.shape[-1] // 2, 1, f"conv{number}_blk")
            x = ave_pool(x, 2, 2, f"pool{number}")
    if not design.include_top:
        return x
    return design.scores(ave_pool(x, 7, 1, "pool5"), "fc6")


def dense_layer(design, x, name: str, growth: int):
    """Return a map with the channels that one layer finds in it added."""
    y = _active(design, x, f"{name}/x1")
    y = bare_conv(y, 4 * growth, 1, f"conv{name}/x1")
    y = _active(design, y, f"{name}/x2")
    y = bare_conv(y, growth, 3, f"conv{name}/x2", pad=1)
    return concat([x, y], f"concat_{name}")


def _active(design, x, name: str):
    """Apply what comes before a convolution: BatchNorm, Scale, ReLU."""
    blob = f"conv{name}/bn"
    return design.normalized(x, blob, blob, f"conv{name}/scale", f"relu{name}")
