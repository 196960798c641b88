"""ResNets and ResNeXts whose blocks weigh their channels: squeeze and excitation."""

from keras_caffe_zoo.layers import CaffeAxpy
from keras_caffe_zoo.models._blocks import ave_pool, bare_conv, max_pool, relu
from keras_caffe_zoo.models._builder import classifier
from keras_caffe_zoo.models._excitation import weights_of_channels
from keras_caffe_zoo.rules.names import keras_name


@classifier(smallest=3, features="conv5_3/relu", looks_at_all=True)
def se_resnet50(design):
    """Build SE-ResNet-50 (`SE-ResNet-50`).

    Each block weighs its channels by their means over the whole image. Caffe took
    BatchNorm, Scale and ReLU in place, so that its blob `conv2_1_3x3` is the output of
    the layer `conv2_1_3x3/relu`; `feature_extractor` takes the blobs' names.
    """
    return se_resnet(design, (3, 4, 6, 3))


@classifier(smallest=3, features="conv5_3/relu", looks_at_all=True)
def se_resnet101(design):
    """Build SE-ResNet-101 (`SE-ResNet-101`).

    Each block weighs its channels by their means over the whole image. Caffe took
    BatchNorm, Scale and ReLU in place, so that its blob `conv2_1_3x3` is the output of
    the layer `conv2_1_3x3/relu`; `feature_extractor` takes the blobs' names.
    """
    return se_resnet(design, (3, 4, 23, 3))


@classifier(smallest=3, features="conv5_3/relu", looks_at_all=True)
def se_resnet152(design):
    """Build SE-ResNet-152 (`SE-ResNet-152`).

    Each block weighs its channels by their means over the whole image. Caffe took
    BatchNorm, Scale and ReLU in place, so that its blob `conv2_1_3x3` is the output of
    the layer `conv2_1_3x3/relu`; `feature_extractor` takes the blobs' names.
    """
    return se_resnet(design, (3, 8, 36, 3))


@classifier(smallest=3, features="conv5_3/relu", looks_at_all=True)
def se_resnext50(design):
    """Build SE-ResNeXt-50 (`SE-ResNeXt-50`): 3x3 filters in 32 groups.

    Each block weighs its channels by their means over the whole image. Caffe took
    BatchNorm, Scale and ReLU in place, so that its blob `conv2_1_3x3` is the output of
    the layer `conv2_1_3x3/relu`; `feature_extractor` takes the blobs' names.
    """
    return se_resnet(design, (3, 4, 6, 3), groups=32)


@classifier(smallest=3, features="conv5_3/relu", looks_at_all=True)
def se_resnext101(design):
    """Build SE-ResNeXt-101 (`SE-ResNeXt-101`): 3x3 filters in 32 groups.

    Each block weighs its channels by their means over the whole image. Caffe took
    BatchNorm, Scale and ReLU in place, so that its blob `conv2_1_3x3` is the output of
    the layer `conv2_1_3x3/relu`; `feature_extractor` takes the blobs' names.
    """
    return se_resnet(design, (3, 4, 23, 3), groups=32)


def se_resnet(design, blocks: tuple[int, ...], groups=1):
    """Return a ResNet, or with groups a ResNeXt of twice the width inside its blocks.

    Args:
        design: What the builder's call asks for.
        blocks: How many blocks each of the four stages has.
        groups: Groups of the 3x3 filters.
    """
    x = bare_conv(design.image(), 64, 7, "conv1/7x7_s2", strides=2, pad=3)
    x = _in_place(design, x, "conv1/7x7_s2", "conv1/relu_7x7_s2")
    x = max_pool(x, 3, 2, "pool1/3x3_s2")
    for stage, count in enumerate(blocks, start=2):
        filters = 64 << (stage - 2)
        for i in range(1, count + 1):
            strides = 2 if stage > 2 and i == 1 else 1
            x = block(design, x, f"conv{stage}_{i}", filters, strides, groups)
    if not design.include_top:
        return x
    x = ave_pool(x, 7, 1, "pool5/7x7_s1")
    x = design.inner_product(x, design.classes, "classifier")
    return design.activation(x)


def block(design, x, name: str, filters: int, strides: int, groups: int):
    """Apply a residual block.

    Args:
        design: What the builder's call asks for.
        x: The last block's output.
        name: The block's name; its layers' begin with it.
        filters: A quarter of the output's channels.
        strides: Stride of the block: of its first filters, or of its 3x3 ones if these
            have groups.
        groups: Groups of the 3x3 filters.
    """
    inner = filters if groups == 1 else 2 * filters
    first, second = (strides, 1) if groups == 1 else (1, strides)
    short = x
    if x.shape[-1] != 4 * filters:
        part = f"{name}_1x1_proj"
        short = bare_conv(x, 4 * filters, 1, part, strides=strides)
        short = _in_place(design, short, part)
    part = f"{name}_1x1_reduce"
    y = bare_conv(x, inner, 1, part, strides=first)
    y = _in_place(design, y, part, f"{part}/relu")
    part = f"{name}_3x3"
    y = bare_conv(y, inner, 3, part, strides=second, pad=1, groups=groups)
    y = _in_place(design, y, part, f"{part}/relu")
    part = f"{name}_1x1_increase"
    y = _in_place(design, bare_conv(y, 4 * filters, 1, part), part)
    weights = weights_of_channels(design, y, name)
    x = CaffeAxpy(name=keras_name(name))([weights, y, short])
    return design.wrote(name, relu(x, f"{name}/relu"))


def _in_place(design, x, blob, active=""):
    """Apply BatchNorm, Scale and perhaps ReLU, which wrote over the blob."""
    return design.normalized(x, blob, f"{blob}/bn", f"{blob}/bn/scale", active)
