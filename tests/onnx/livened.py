"""Builders' models with random weights, and what they answer."""

import keras
import numpy as np

import keras_caffe_zoo as kcz

PIXELS = 96  # of a side that a net leaves open
LARGEST = 5  # of what is before a softmax, or before the exponential of a box's side

BOXES = ("_mbox_loc", "_mbox_conf", "rpn_bbox_pred", "rpn_cls_score")
# What other layers make chances or weights of, in the order in which they stand.
SCORES = (
    *("conv8_313_rh", "score-dsn1", "upsample_2", "upsample_4", "upsample_8"),
    *("upsample_16", "new-score-weighting", "_1x1_up"),
)
REGIONS = (600, 800, 1)  # where regions may be: more than the image, for more of them


def livened(name):
    """Return a builder's model and images; no layer is dead, no softmax too sure.

    Returns:
        `(model, images)`, the images as the model takes them, with its other input.
    """
    model = getattr(kcz, name)(weights=None)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for weight in layer.weights:
            array = rng.random(tuple(weight.shape)) - 0.5
            if weight.name == "weight_sum":
                array = np.ones(weight.shape)
            elif weight.name in ("bias", "mean_sum"):
                array *= 0.2
            elif array.ndim == 1:  # a variance, or a factor
                array += 1
            else:
                array *= np.sqrt(24 / np.prod(array.shape[:-1]))
            weight.assign(array)
    size = [side or PIXELS for side in model.inputs[0].shape[1:]]
    images = np.random.default_rng(1).random((1, *size), "float32") * 25 - 12
    if len(model.inputs) > 1:
        images = [images, np.float32([REGIONS])]
    learned = [layer for layer in model.layers if layer.weights]
    if isinstance(model.layers[-1], keras.layers.Softmax):
        scores = model.layers[-1].input
        before = [layer for layer in learned if layer.output is scores]
        _tame(model, before or learned[-1:], [scores], images)
    for layer in learned:
        if layer.name.endswith(SCORES):
            _tame(model, [layer], [layer.output], images)
    boxes = [x for x in learned if x.name.endswith(BOXES)]
    if boxes:
        _tame(model, boxes, [x.output for x in boxes], images)
    return model, images


def _tame(model, layers, tensors, images):
    """Multiply layers' weights so that tensors have no value beyond the largest."""
    values = keras.tree.flatten(keras.Model(model.input, tensors)(images))
    for layer, value in zip(layers, values, strict=True):
        largest = 1 if layer.name == "rpn_bbox_pred" else LARGEST  # anchors are large
        share = largest / np.abs(keras.ops.convert_to_numpy(value)).max()
        for weight in layer.weights:
            weight.assign(weight * share)


def channels_first(array):
    """Return images as Caffe has them."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if array.ndim == 4 else array
