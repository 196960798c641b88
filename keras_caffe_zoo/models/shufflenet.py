"""ShuffleNet 2.0, which deals its channels out anew after every block."""

from keras_caffe_zoo.layers import CaffeShuffleChannel, CaffeSlice
from keras_caffe_zoo.models._blocks import ave_pool, bare_conv, concat, max_pool
from keras_caffe_zoo.models._builder import classifier
from keras_caffe_zoo.rules.names import keras_name


@classifier(smallest=3, features="conv5/relu")
def shufflenet_v2_x05(design):
    """Build ShuffleNet 2.0 of half the width (`shufflenet_v2_x0.5`).

    It takes RGB images of 0 to 1, of which its first layer, `data/bn`, subtracts a
    mean. The published definition ends with raw scores, the layer `fc`; `prob` is the
    softmax of its loss. Caffe took BatchNorm, Scale and ReLU in place, so that its blob
    `stage_2_1/conv1` is the output of the layer `stage_2_1/conv1/relu`, and `data` that
    of `data/bn/scale`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    x = design.normalized(design.image(), "data", "data/bn", "data/bn/scale")
    x = unit(design, x, 24, 3, "stage1/conv", strides=2, pad=1)
    x = max_pool(x, 3, 2, "stage1/pool")
    x = stage(design, x, 2, 48, 4)
    x = stage(design, x, 3, 96, 8)
    x = stage(design, x, 4, 192, 4)
    x = unit(design, x, 1024, 1, "conv5")
    if not design.include_top:
        return x
    return design.scores(ave_pool(x, 7, 1, "pool"), "fc")


def stage(design, x, number: int, channels: int, blocks: int):
    """Apply the blocks of one stage, the first of which halves the map.

    Args:
        design: What the builder's call asks for.
        x: The last stage's output.
        number: The stage's number, from 2.
        channels: Channels of the output, half of them from each branch.
        blocks: How many.
    """
    for i in range(1, blocks + 1):
        name, half = f"stage_{number}_{i}", channels // 2
        if i == 1:
            kept = unit(design, x, None, 3, f"{name}/conv4", strides=2, pad=1)
            kept = unit(design, kept, half, 1, f"{name}/conv5")
        else:
            cut = CaffeSlice([half, half], name=keras_name(f"{name}/slice1"))
            kept, x = cut(x)
            design.wrote(f"{name}/slice1", kept)
            design.wrote(f"{name}/slice2", x)
        x = unit(design, x, half, 1, f"{name}/conv1")
        x = unit(design, x, None, 3, f"{name}/conv2", strides=2 if i == 1 else 1, pad=1)
        x = unit(design, x, half, 1, f"{name}/conv3")
        x = concat([kept, x], f"{name}/concat")
        x = CaffeShuffleChannel(2, name=keras_name(f"{name}/shuffle"))(x)
    return x


def unit(design, x, filters: int | None, kernel_size: int, name: str, **options):
    """Apply a convolution, BatchNorm, Scale and, but for channels alone, ReLU.

    Args:
        design: What the builder's call asks for.
        x: A feature map.
        filters: How many; None for one on each channel.
        kernel_size: Their height and width.
        name: The convolution's name.
        **options: As of `conv`.
    """
    groups, active = 1, f"{name}/relu"
    if filters is None:
        filters = groups = x.shape[-1]
        active = ""
    x = bare_conv(x, filters, kernel_size, name, groups=groups, **options)
    return design.normalized(x, name, f"{name}/bn", f"{name}/bn/scale", active)
