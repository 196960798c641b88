"""What single-shot detectors (SSD) end with: boxes around cells, and what is in them.

Maps of several sizes each predict, for some boxes around each of their cells, how far
what is there is from the box, and of what class it is.
"""

import functools

import keras

from keras_caffe_zoo.layers import (
    CaffeDetectionOutput,
    CaffeFlatten,
    CaffeNormalize,
    CaffePermute,
    CaffePriorBox,
    CaffeReshape,
)
from keras_caffe_zoo.models._blocks import conv, softmax
from keras_caffe_zoo.rules.names import keras_name

VARIANCE = (0.1, 0.1, 0.2, 0.2)  # of all nets here


def boxes(size: float, larger=None, ratios=(2, 3), step=None):
    """Return what makes a map's boxes, given a `name`: a `CaffePriorBox`.

    Args:
        size: Side of the smaller square, in pixels of the image.
        larger: The next map's `size`; a square between the two is one more box.
        ratios: Width by height of the other boxes; their reciprocals are, too.
        step: Side of a cell in pixels; the image's by the map's if `None`.
    """
    sizes = ([size], [larger] if larger else [], ratios)
    step = step and (step, step)
    return functools.partial(CaffePriorBox, *sizes, variance=VARIANCE, step=step)


def normalize(x, name: str):
    """Scale the features of each place to length 1, and each channel as learned.

    The channels' scales start at 20, as those of the nets did.
    """
    layer = CaffeNormalize(False, channel_shared=False, name=keras_name(name))
    x = layer(x)
    layer.scale.assign(keras.ops.full(layer.scale.shape, 20.0))
    return x


def detect(image, maps: dict, classes: int, kernel_size: int, **limits):
    """Predict from maps what is where in the image.

    Args:
        image: The net's input, for its size.
        maps: By the name of its layers, a map and what makes its boxes.
        classes: How many, the background among them.
        kernel_size: Side of the predictions' windows.
        **limits: Of `CaffeDetectionOutput`, where they are not SSD's own.
    """
    offsets, scores, priors = [], [], []
    window = {"kernel_size": kernel_size, "pad": kernel_size // 2}
    for name, (x, make_boxes) in maps.items():
        around = make_boxes(name=keras_name(f"{name}_mbox_priorbox"))
        count = len(around.sizes()[0])
        offsets.append(_flat(x, 4 * count, f"{name}_mbox_loc", **window))
        scores.append(_flat(x, classes * count, f"{name}_mbox_conf", **window))
        priors.append(around([x, image]))
    scores = _joined(scores, 1, "mbox_conf")
    scores = CaffeReshape((0, -1, classes), name="mbox_conf_reshape")(scores)
    scores = softmax(scores, "mbox_conf_softmax")
    scores = CaffeFlatten(name="mbox_conf_flatten")(scores)
    offsets = _joined(offsets, 1, "mbox_loc")
    priors = _joined(priors, 2, "mbox_priorbox", dtype="float32")
    options = {"top_k": 400, "keep_top_k": 200, "confidence_threshold": 0.01} | limits
    options |= {"nms_threshold": 0.45, "code_type": "center_size"}
    output = CaffeDetectionOutput(classes, **options, name="detection_out")
    return output([offsets, scores, priors])


def _flat(x, filters: int, name: str, **window):
    """Predict `filters` values for each cell, and list them cell by cell."""
    x = conv(x, filters, name=name, activation=None, **window)
    x = CaffePermute((0, 2, 3, 1), name=keras_name(f"{name}_perm"))(x)
    return CaffeFlatten(name=keras_name(f"{name}_flat"))(x)


def _joined(tensors: list, axis: int, name: str, **options):
    """Join what the maps predict; that of a single one is as it is."""
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Concatenate(axis, name=name, **options)(tensors)
