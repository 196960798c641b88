"""ResNets, with which their authors won ILSVRC 2015; one also trained on scenes."""

from keras_caffe_zoo.models._blocks import add, ave_pool, conv, max_pool, relu
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=3, features="res5c_relu")
def resnet50(design):
    """Build ResNet-50 (`ResNet-50-model`), whose conv1 has a bias, unlike the others'.

    BatchNorm, Scale and ReLU are layers of their own. Caffe took them in place, so that
    its blob `res2a_branch1` is the output of the layer `scale2a_branch1`, and `res2a`
    that of `res2a_relu`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    x = stem(design, use_bias=True)
    x = stage(design, x, 2, "abc", 64, strides=1)
    x = stage(design, x, 3, "abcd", 128)
    x = stage(design, x, 4, "abcdef", 256)
    x = stage(design, x, 5, "abc", 512)
    return classifier(design, x)


@classifier(smallest=3, features="res5c_relu")
def resnet101(design):
    """Build ResNet-101 (`ResNet-101-model`).

    BatchNorm, Scale and ReLU are layers of their own. Caffe took them in place, so that
    its blob `res2a_branch1` is the output of the layer `scale2a_branch1`, and `res2a`
    that of `res2a_relu`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    x = stem(design)
    x = stage(design, x, 2, "abc", 64, strides=1)
    x = stage(design, x, 3, numbered(4), 128)
    x = stage(design, x, 4, numbered(23), 256)
    x = stage(design, x, 5, "abc", 512)
    return classifier(design, x)


@classifier(smallest=3, features="res5c_relu")
def resnet152(design):
    """Build ResNet-152 (`ResNet-152-model`).

    BatchNorm, Scale and ReLU are layers of their own. Caffe took them in place, so that
    its blob `res2a_branch1` is the output of the layer `scale2a_branch1`, and `res2a`
    that of `res2a_relu`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    return classifier(design, resnet152_features(design))


@classifier(smallest=3, features="res5c_relu")
def places365_resnet152(design):
    """Build ResNet-152 for the 365 scenes of Places365 (`resnet152_places365`).

    Its last layer is `fc365`; all others are those of `resnet152`, of which it is
    fine-tuned. `feature_extractor` takes Caffe's blobs' names here too.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    return classifier(design, resnet152_features(design), head="fc365")


def resnet152_features(design):
    """Return the last block's output of ResNet-152."""
    x = stem(design)
    x = stage(design, x, 2, "abc", 64, strides=1)
    x = stage(design, x, 3, numbered(8), 128)
    x = stage(design, x, 4, numbered(36), 256)
    return stage(design, x, 5, "abc", 512)


def stem(design, use_bias=False):
    """Return pool1, after the one large convolution.

    Args:
        design: What the builder's call asks for.
        use_bias: Whether conv1 has a bias.
    """
    options = {"strides": 2, "pad": 3, "activation": None, "use_bias": use_bias}
    x = conv(design.image(), 64, 7, "conv1", **options)
    x = _scaled(design, x, "conv1", "_conv1", active=True)
    return max_pool(x, 3, 2, "pool1")


def stage(
    design,
    x,
    number: int,
    letters: list[str] | str,
    filters: int,
    strides=2,
    dilation=1,
):
    """Apply the blocks of one stage, the first of which changes the size.

    Args:
        design: What the builder's call asks for.
        x: The last stage's output.
        number: The stage's number, from 2.
        letters: What tells the blocks apart, "a" and on.
        filters: Channels inside the blocks; their outputs have four times as many.
        strides: Stride of the first block.
        dilation: Cells from one to the next in the 3x3 windows.
    """
    for i, letter in enumerate(letters):
        name = f"{number}{letter}"
        short = x
        if i == 0:
            options = {"strides": strides, "active": False}
            short = _branch(design, x, 4 * filters, 1, f"{name}_branch1", **options)
        x = _branch(
            design, x, filters, 1, f"{name}_branch2a", strides=strides if i == 0 else 1
        )
        options = {"pad": dilation, "dilation": dilation}
        x = _branch(design, x, filters, 3, f"{name}_branch2b", **options)
        x = _branch(design, x, 4 * filters, 1, f"{name}_branch2c", active=False)
        x = add([short, x], f"res{name}")
        x = design.wrote(f"res{name}", relu(x, f"res{name}_relu"))
    return x


def numbered(blocks: int) -> list[str]:
    """Return the letters of a long stage: a, b1, b2 and on."""
    return ["a", *(f"b{i}" for i in range(1, blocks))]


def classifier(design, x, head="fc1000"):
    """Apply pool5, the head and prob, if the net is to have its top."""
    if not design.include_top:
        return x
    x = ave_pool(x, 7, 1, "pool5")
    x = design.inner_product(x, design.classes, head)
    return design.activation(x)


def _branch(design, x, filters, kernel_size, name, active=True, **options):
    options |= {"activation": None, "use_bias": False}
    x = conv(x, filters, kernel_size, f"res{name}", **options)
    return _scaled(design, x, f"res{name}", name, active)


def _scaled(design, x, blob, name, active):
    """Apply what follows a convolution in place: BatchNorm, Scale and perhaps ReLU."""
    names = f"bn{name}", f"scale{name}", f"{blob}_relu" if active else ""
    return design.normalized(x, blob, *names)
