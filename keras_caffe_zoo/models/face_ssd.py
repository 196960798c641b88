"""OpenCV's single-shot detectors of faces, on a ResNet-10 and a small SqueezeNet."""

import functools

from keras_caffe_zoo.layers import CaffePriorBoxClustered
from keras_caffe_zoo.models._blocks import (
    add,
    bare_conv,
    concat,
    conv,
    max_pool,
    relu,
)
from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models._ssd import VARIANCE, boxes, detect, normalize


@builder(smallest=3)
def res10_face(design):
    """Build OpenCV's face detector on a ResNet-10 (`res10_300x300_ssd`).

    The output `detection_out` lists 200 faces of each image at most: item, 1, score,
    which is above 0.2, and the box's corners as fractions of the image, moved into it.
    `keras_caffe_zoo.detections` leaves out the rows that stand for none.

    Caffe took Scale and ReLU in place, so that its blob `layer_128_1_bn1_h` is the
    output of the layer `layer_128_1_relu1`; `feature_extractor` takes the blobs' names.

    Example:
        >>> model = kcz.res10_face(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 300, 300, 3), (None, 200, 7))
        >>> model.get_layer("detection_out").input[0].shape  # 4 for each of its boxes
        (None, 35568)
    """
    return res10(design)


@builder(smallest=3)
def res10_face_fp16(design):
    """Build OpenCV's face detector on a ResNet-10, from a file of half the size.

    It is `res10_face`, whose weights were rounded to half precision in the published
    file (`res10_300x300_ssd_iter_140000_fp16`); it computes as that does.

    Example:
        >>> model = kcz.res10_face_fp16(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 300, 300, 3), (None, 200, 7))
        >>> model.get_layer("detection_out").input[0].shape  # 4 for each of its boxes
        (None, 35568)
    """
    return res10(design)


@builder(smallest=3)
def face_detection_retail_0044(design):
    """Build OpenCV's small face detector (`face-detection-retail-0044`).

    The output `detection_out` lists 200 faces of each image at most: item, 1, score,
    and the box's corners as fractions of the image. `keras_caffe_zoo.detections` leaves
    out the rows that stand for none.

    A SqueezeNet of fewer channels, whose first layer subtracts the mean; the boxes have
    the sizes of faces. Caffe took BatchNorm, Scale and ReLU in place, so that its blob
    `data` is the output of the layer `Scale1`; `feature_extractor` takes the blobs'
    names.

    Example:
        >>> model = kcz.face_detection_retail_0044(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 300, 300, 3), (None, 200, 7))
        >>> model.get_layer("detection_out").input[0].shape  # 4 for each of its boxes
        (None, 12996)
    """
    image = design.image()
    x = design.normalized(image, "data", "BatchNorm1", "Scale1")
    x = conv(x, 32, 7, "Convolution1", strides=2, pad=3, activation=None)
    x = design.normalized(x, "Convolution1", "BatchNorm2", "Scale2", "ReLU1")
    x = max_pool(x, 3, 2, "Pooling1")
    x = fire(design, x, 2, 8, 32)
    x = fire(design, x, 3, 8, 32)
    x = fire(design, x, 4, 16, 64)
    x = fire(design, x, 5, 16, 64, strides=2)
    x = fire(design, x, 6, 24, 96)
    x = fire(design, x, 7, 24, 96)
    x = fire(design, x, 8, 32, 128)
    x = fire(design, x, 9, 32, 128, strides=2)
    x = fire(design, x, 10, 48, 192)
    x = design.wrote("fc7", fire(design, x, 11, 48, 192))
    sizes = {
        "widths": (9.4, 25.1, 14.7, 34.7, 143.0, 77.4, 128.8, 51.1, 75.6),
        "heights": (15.0, 39.6, 25.5, 63.2, 227.5, 162.9, 124.5, 105.1, 72.6),
    }
    options = {"variance": VARIANCE, "step": (16, 16)}
    faces = functools.partial(CaffePriorBoxClustered, **sizes, **options)
    return detect(image, {"fc7": (x, faces)}, classes=2, kernel_size=3)


def res10(design):
    """Return the detections of OpenCV's ResNet-10."""
    image = design.image()
    x = design.normalized(image, "data_bn", "data_bn", "data_scale")
    x = conv(x, 32, 7, "conv1_h", strides=2, pad=3, activation=None)
    x = design.normalized(x, "conv1_h", "conv1_bn_h", "conv1_scale_h", "conv1_relu")
    x = max_pool(x, 3, 2, "conv1_pool")
    x = unit_64(design, x)
    x = unit_128(design, x)
    conv4_3, x = unit_256(design, x)
    fc7 = unit_512(design, x)
    conv6_2 = extra(fc7, 6, 128, 256, strides=2)
    conv7_2 = extra(conv6_2, 7, 64, 128, strides=2)
    conv8_2 = extra(conv7_2, 8, 64, 128)
    conv9_2 = extra(conv8_2, 9, 64, 128)
    conv4_3 = normalize(conv4_3, "conv4_3_norm")
    maps = {
        "conv4_3_norm": (conv4_3, boxes(30, 60, (2,), step=8)),
        "fc7": (fc7, boxes(60, 111, step=16)),
        "conv6_2": (conv6_2, boxes(111, 162, step=32)),
        "conv7_2": (conv7_2, boxes(162, 213, step=64)),
        "conv8_2": (conv8_2, boxes(213, 264, (2,), step=100)),
        "conv9_2": (conv9_2, boxes(264, 315, (2,), step=300)),
    }
    limits = {"confidence_threshold": 0.2, "clip": True}
    return detect(image, maps, classes=2, kernel_size=3, **limits)


def unit_64(design, x):
    """Apply the first residual unit, of 32 channels for all its name."""
    name, shortcut = "layer_64_1", x
    x = bare_conv(x, 32, 3, f"{name}_conv1_h", pad=1)
    norm = (f"{name}_bn2_h", f"{name}_scale2_h", f"{name}_relu2")
    x = design.normalized(x, f"{name}_conv1_h", *norm)
    x = bare_conv(x, 32, 3, f"{name}_conv2_h", pad=1)
    return add([x, shortcut], f"{name}_sum")


def unit_128(design, x):
    """Apply the second residual unit, which halves the map."""
    name = "layer_128_1"
    x = active(design, x, name, "_h")
    shortcut = bare_conv(x, 128, 1, f"{name}_conv_expand_h", strides=2)
    x = bare_conv(x, 128, 3, f"{name}_conv1_h", strides=2, pad=1)
    norm = (f"{name}_bn2", f"{name}_scale2", f"{name}_relu2")
    x = design.normalized(x, f"{name}_conv1_h", *norm)
    x = bare_conv(x, 128, 3, f"{name}_conv2", pad=1)
    return add([x, shortcut], f"{name}_sum")


def unit_256(design, x):
    """Apply the third residual unit, which halves the map; return its input, too."""
    name = "layer_256_1"
    entry = active(design, x, name)
    shortcut = bare_conv(entry, 256, 1, f"{name}_conv_expand", strides=2)
    x = bare_conv(entry, 256, 3, f"{name}_conv1", strides=2, pad=1)
    norm = (f"{name}_bn2", f"{name}_scale2", f"{name}_relu2")
    x = design.normalized(x, f"{name}_conv1", *norm)
    x = bare_conv(x, 256, 3, f"{name}_conv2", pad=1)
    return entry, add([x, shortcut], f"{name}_sum")


def unit_512(design, x):
    """Apply the last residual unit, dilated instead of halving, and what follows it."""
    name = "layer_512_1"
    x = active(design, x, name)
    shortcut = bare_conv(x, 256, 1, f"{name}_conv_expand_h")
    x = bare_conv(x, 128, 3, f"{name}_conv1_h", pad=1)
    norm = (f"{name}_bn2_h", f"{name}_scale2_h", f"{name}_relu2")
    x = design.normalized(x, f"{name}_conv1_h", *norm)
    x = bare_conv(x, 256, 3, f"{name}_conv2_h", pad=2, dilation=2)
    x = add([x, shortcut], f"{name}_sum")
    x = design.normalized(x, f"{name}_sum", "last_bn_h", "last_scale_h")
    return design.wrote("fc7", relu(x, "last_relu"))


def active(design, x, name: str, suffix=""):
    """Apply the normalization that a residual unit begins with, and its ReLU."""
    norm = (f"{name}_bn1{suffix}", f"{name}_scale1{suffix}", f"{name}_relu1")
    return design.normalized(x, norm[0], *norm)


def extra(x, number: int, middle: int, filters: int, strides=1):
    """Apply two convolutions that look at more of the image than the last map does.

    Args:
        x: The last map.
        number: The convolutions are `conv{number}_1_h` and `_2_h`.
        middle: Channels of the first.
        filters: Of the second.
        strides: Of the second.
    """
    x = conv(x, middle, 1, f"conv{number}_1_h")
    return conv(x, filters, 3, f"conv{number}_2_h", strides=strides, pad=1)


def fire(design, x, number: int, squeezed: int, expanded: int, strides=1):
    """Apply a fire module whose convolutions are normalized.

    Args:
        design: What the builder's call asks for.
        x: The last module's output.
        number: The module is `fire{number}`, from 2.
        squeezed: Channels of its first convolution.
        expanded: Of each of the two that follow.
        strides: Of the first.
    """
    name, first = f"fire{number}", 3 * number - 3  # of its BatchNorm and Scale layers

    def unit(x, filters, size, end, index, **options):
        x = conv(x, filters, size, f"{name}/{end}", activation=None, **options)
        norm = (f"BatchNorm{index}", f"Scale{index}", f"{name}/relu_{end}")
        return design.normalized(x, f"{name}/{end}", *norm)

    x = unit(x, squeezed, 1, "squeeze1x1", first, strides=strides)
    small = unit(x, expanded, 1, "expand1x1", first + 1)
    large = unit(x, expanded, 3, "expand3x3", first + 2, pad=1)
    return concat([large, small], f"Concat{number - 1}")
