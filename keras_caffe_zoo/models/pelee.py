"""Pelee: a single-shot detector on densely connected blocks of two branches."""

from keras_caffe_zoo.models._blocks import (
    add,
    ave_pool,
    bare_conv,
    concat,
    conv,
    max_pool,
    relu,
)
from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._ssd import boxes, detect

EPSILON = 0.001  # of all its normalizations


@builder(smallest=257)
def pelee(design):
    """Build Pelee for the 80 classes of COCO (`pelee_coco_304x304`).

    The output `detection_out` lists 200 detections of each image at most: item, class,
    score, and the box's corners as fractions of the image; class 0 is the background
    and never among them. `keras_caffe_zoo.detections` leaves out the rows that stand
    for none.

    Caffe took BatchNorm, Scale and ReLU in place, so that its blob `stem1` is the
    output of the layer `stem1/relu`; `feature_extractor` takes the blobs' names.

    Example:
        >>> model = kcz.pelee(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 304, 304, 3), (None, 200, 7))
        >>> model.get_layer("detection_out").input[0].shape  # 4 for each of its boxes
        (None, 20568)
    """
    image = design.image()
    x = stem(design, image)
    x = unit(design, dense(design, x, 1, 3, middle=16), 128, 1, "stage1_tb")
    x = ave_pool(x, 2, 2, "stage1_tb/pool")
    x = unit(design, dense(design, x, 2, 4, middle=32), 256, 1, "stage2_tb")
    x = ave_pool(x, 2, 2, "stage2_tb/pool")
    stage3 = unit(design, dense(design, x, 3, 8, middle=64), 512, 1, "stage3_tb")
    x = ave_pool(stage3, 2, 2, "stage3_tb/pool")
    stage4 = unit(design, dense(design, x, 4, 6, middle=64), 704, 1, "stage4_tb")
    x = conv(stage4, 256, 1, "stage4_tb/relu/ext1/fe1_1")
    fe1 = conv(x, 256, 3, "ext1/fe1_2", strides=2, pad=1)
    fe2 = conv(conv(fe1, 128, 1, "ext1/fe2_1"), 256, 3, "ext1/fe2_2")
    fe3 = conv(conv(fe2, 128, 1, "ext1/fe3_1"), 256, 3, "ext1/fe3_2")
    pm2 = prediction(design, stage3, "stage4_tb/ext/pm2")
    pm3 = prediction(design, stage4, "stage4_tb/ext/pm3")
    pm4 = prediction(design, fe1, "stage4_tb/ext/pm4")
    pm5 = prediction(design, fe2, "stage4_tb/ext/pm5")
    pm6 = prediction(design, fe3, "stage4_tb/ext/pm6")
    maps = {
        "ext/pm1": (pm2, boxes(21.28, 45.6)),
        "ext/pm2": (pm2, boxes(45.6, 100.32)),
        "ext/pm3": (pm3, boxes(100.32, 155.04)),
        "ext/pm4": (pm4, boxes(155.04, 209.76)),
        "ext/pm5": (pm5, boxes(209.76, 264.48)),
        "ext/pm6": (pm6, boxes(264.48, 319.2)),
    }
    return detect(image, maps, design.classes, kernel_size=1)


def stem(design, image):
    """Shrink the image to a quarter, by a convolution and by a pooling."""
    x = unit(design, image, 32, 3, "stem1", strides=2, pad=1)
    y = unit(design, x, 16, 1, "stem2a")
    y = unit(design, y, 32, 3, "stem2b", strides=2, pad=1)
    x = max_pool(x, 2, 2, "stem/pool")
    return unit(design, concat([x, y], "stem/concat"), 32, 1, "stem3")


def dense(design, x, stage: int, blocks: int, middle: int):
    """Apply blocks that each add 16 channels seen by 3x3 filters, and 16 by 5x5.

    Args:
        design: What the builder's call asks for.
        x: The last stage's output.
        stage: The stage's number, from 1.
        blocks: How many.
        middle: Channels that each branch makes of the input first.
    """
    for i in range(1, blocks + 1):
        name = f"stage{stage}_{i}"
        near = unit(design, x, middle, 1, f"{name}/branch1a")
        near = unit(design, near, 16, 3, f"{name}/branch1b", pad=1)
        wide = unit(design, x, middle, 1, f"{name}/branch2a")
        wide = unit(design, wide, 16, 3, f"{name}/branch2b", pad=1)
        wide = unit(design, wide, 16, 3, f"{name}/branch2c", pad=1)
        x = concat([x, near, wide], f"{name}/concat")
    return x


def prediction(design, x, name: str):
    """Apply the residual block from which a map's boxes are predicted."""
    shortcut = unit(design, x, 256, 1, name, active=False)
    x = unit(design, x, 128, 1, f"{name}/b2a")
    x = unit(design, x, 128, 3, f"{name}/b2b", pad=1)
    x = unit(design, x, 256, 1, f"{name}/b2c", active=False)
    x = add([shortcut, x], f"{name}/res")
    return design.wrote(f"{name}/res", relu(x, f"{name}/res/relu"))


def unit(design, x, filters: int, size: int, name: str, active=True, **options):
    """Apply a convolution, BatchNorm, Scale and perhaps ReLU.

    Args:
        design: What the builder's call asks for.
        x: A map.
        filters: How many.
        size: Their height and width.
        name: The convolution's name.
        active: Whether there is a ReLU.
        **options: As of `conv`.
    """
    x = bare_conv(x, filters, size, name, **options)
    names = (f"{name}/bn", f"{name}/scale", f"{name}/relu" if active else "")
    return design.normalized(x, name, *names, epsilon=EPSILON)
