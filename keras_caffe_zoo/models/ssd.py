"""SSD on VGG-16: the single-shot detectors of 300 and of 512 pixels."""

from keras_caffe_zoo.models._blocks import conv, max_pool
from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._ssd import boxes, detect, normalize
from keras_caffe_zoo.models.vgg import convolutions, stage


@builder(smallest=257)
def ssd300(design):
    """Build SSD300 for the 20 classes of PASCAL VOC (`VOC0712Plus/SSD_300x300_ft`).

    The output `detection_out` lists 200 detections of each image at most: item, class,
    score, and the box's corners as fractions of the image; class 0 is the background
    and never among them. `keras_caffe_zoo.detections` leaves out the rows that stand
    for none.

    It was trained on COCO first, and has the boxes that were meant for that.

    Example:
        >>> model = kcz.ssd300(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 300, 300, 3), (None, 200, 7))
        >>> model.get_layer("detection_out").input[0].shape  # 4 for each of its boxes
        (None, 34928)
    """
    image = design.image()
    conv4_3, fc7 = reduced_vgg16(image)
    conv4_3_norm = normalize(conv4_3, "conv4_3_norm")
    conv6_2 = halved(fc7, 6, 256, 512)
    conv7_2 = halved(conv6_2, 7, 128, 256)
    conv8_2 = extra(conv7_2, 8, 128, 256)
    conv9_2 = extra(conv8_2, 9, 128, 256)
    maps = {
        "conv4_3_norm": (conv4_3_norm, boxes(21, 45, (2,), step=8)),
        "fc7": (fc7, boxes(45, 99, step=16)),
        "conv6_2": (conv6_2, boxes(99, 153, step=32)),
        "conv7_2": (conv7_2, boxes(153, 207, step=64)),
        "conv8_2": (conv8_2, boxes(207, 261, (2,), step=100)),
        "conv9_2": (conv9_2, boxes(261, 315, (2,), step=300)),
    }
    return detect(image, maps, design.classes, kernel_size=3)


@builder(smallest=257)
def ssd512(design):
    """Build SSD512 for the 20 classes of PASCAL VOC (`VOC0712Plus/SSD_512x512`).

    The output `detection_out` lists 200 detections of each image at most: item, class,
    score, and the box's corners as fractions of the image; class 0 is the background
    and never among them. `keras_caffe_zoo.detections` leaves out the rows that stand
    for none.

    Example:
        >>> model = kcz.ssd512(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 512, 512, 3), (None, 200, 7))
        >>> model.get_layer("detection_out").input[0].shape  # 4 for each of its boxes
        (None, 98256)
    """
    image = design.image()
    conv4_3, fc7 = reduced_vgg16(image)
    conv4_3_norm = normalize(conv4_3, "conv4_3_norm")
    conv6_2 = halved(fc7, 6, 256, 512)
    conv7_2 = halved(conv6_2, 7, 128, 256)
    conv8_2 = halved(conv7_2, 8, 128, 256)
    conv9_2 = halved(conv8_2, 9, 128, 256)
    conv10_2 = extra(conv9_2, 10, 128, 256, kernel_size=4, pad=1)
    maps = {
        "conv4_3_norm": (conv4_3_norm, boxes(35.84, 76.8, (2,), step=8)),
        "fc7": (fc7, boxes(76.8, 153.6, step=16)),
        "conv6_2": (conv6_2, boxes(153.6, 230.4, step=32)),
        "conv7_2": (conv7_2, boxes(230.4, 307.2, step=64)),
        "conv8_2": (conv8_2, boxes(307.2, 384.0, step=128)),
        "conv9_2": (conv9_2, boxes(384.0, 460.8, (2,), step=256)),
        "conv10_2": (conv10_2, boxes(460.8, 537.6, (2,), step=512)),
    }
    return detect(image, maps, design.classes, kernel_size=3)


def reduced_vgg16(image):
    """Return conv4_3 and the fc7 of a VGG-16 whose fc6 looks at every sixth place."""
    x = stage(image, 1, 64, 2)
    x = stage(x, 2, 128, 2)
    x = stage(x, 3, 256, 3)
    conv4_3 = convolutions(x, 4, 512, 3)
    x = max_pool(conv4_3, 2, 2, "pool4")
    x = max_pool(convolutions(x, 5, 512, 3), 3, 1, "pool5", pad=1)
    x = conv(x, 1024, 3, "fc6", pad=6, dilation=6)
    return conv4_3, conv(x, 1024, 1, "fc7")


def halved(x, number: int, middle: int, filters: int):
    """Apply the two convolutions that halve the last map.

    Args:
        x: The last map.
        number: The convolutions are `conv{number}_1` and `_2`.
        middle: Channels of the first.
        filters: Of the second.
    """
    return extra(x, number, middle, filters, strides=2, pad=1)


def extra(x, number: int, middle: int, filters: int, kernel_size=3, **options):
    """Apply two convolutions that look at more of the image than the last map does.

    Args:
        x: The last map.
        number: The convolutions are `conv{number}_1` and `_2`.
        middle: Channels of the first.
        filters: Of the second.
        kernel_size: Of the second.
        **options: Of the second, as of `conv`.
    """
    x = conv(x, middle, 1, f"conv{number}_1")
    return conv(x, filters, kernel_size, f"conv{number}_2", **options)
