"""Yahoo's net for images that are not suitable for work: a ResNet-50 of half width."""

from keras_caffe_zoo.models._blocks import add, ave_pool, conv, max_pool, relu
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=3, features="relu_stage3_block2")
def open_nsfw(design):
    """Build Yahoo's Open NSFW (`resnet_50_1by2_nsfw`).

    The second of its two answers is the chance that an image is pornographic. All its
    convolutions have biases. Caffe took BatchNorm, Scale and ReLU in place, so that its
    blob `conv_1` is the output of the layer `relu_1`; `feature_extractor` takes the
    blobs' names.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    x = conv(design.image(), 64, 7, "conv_1", strides=2, pad=3, activation=None)
    x = design.normalized(x, "conv_1", "bn_1", "scale_1", "relu_1")
    x = max_pool(x, 3, 2, "pool1")
    x = stage(design, x, 0, 32, 3, strides=1)
    x = stage(design, x, 1, 64, 4)
    x = stage(design, x, 2, 128, 6)
    x = stage(design, x, 3, 256, 3)
    if not design.include_top:
        return x
    x = ave_pool(x, 7, 1, "pool")
    x = design.inner_product(x, design.classes, "fc_nsfw")
    return design.activation(x)


def stage(design, x, number: int, filters: int, blocks: int, strides=2):
    """Apply the blocks of one stage, the first of which changes the size.

    Args:
        design: What the builder's call asks for.
        x: The last stage's output.
        number: The stage's number, from 0.
        filters: Channels inside the blocks; their outputs have four times as many.
        blocks: How many.
        strides: Stride of the first block.
    """
    for i in range(blocks):
        name, short = f"stage{number}_block{i}", x
        if i == 0:
            part = f"{name}_proj_shortcut"
            short = _branch(design, x, 4 * filters, 1, part, strides, active=False)
        step = strides if i == 0 else 1
        x = _branch(design, x, filters, 1, f"{name}_branch2a", step)
        x = _branch(design, x, filters, 3, f"{name}_branch2b", pad=1)
        x = _branch(design, x, 4 * filters, 1, f"{name}_branch2c", active=False)
        x = add([short, x], f"eltwise_{name}")
        x = design.wrote(f"eltwise_{name}", relu(x, f"relu_{name}"))
    return x


def _branch(design, x, filters, kernel_size, name, strides=1, pad=0, active=True):
    options = {"strides": strides, "pad": pad, "activation": None}
    x = conv(x, filters, kernel_size, f"conv_{name}", **options)
    names = f"bn_{name}", f"scale_{name}", f"relu_{name}" if active else ""
    return design.normalized(x, f"conv_{name}", *names)
