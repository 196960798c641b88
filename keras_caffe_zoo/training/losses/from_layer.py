"""The loss that a layer of a prototxt asks for."""

import os

import numpy as np

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, read_mean
from keras_caffe_zoo.rules.names import keras_name
from keras_caffe_zoo.training.losses._base import NORMALIZATIONS, CaffeLoss
from keras_caffe_zoo.training.losses.margins import ContrastiveLoss, HingeLoss
from keras_caffe_zoo.training.losses.softmax import (
    InfogainLoss,
    MultinomialLogisticLoss,
    SoftmaxWithLoss,
)
from keras_caffe_zoo.training.losses.targets import (
    EuclideanLoss,
    SigmoidCrossEntropyLoss,
)

LOSS_LAYERS = (
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SoftmaxWithLoss",
)


def loss_of(layer: Layer, infogain=None, *, from_logits: bool = True) -> CaffeLoss:
    """Return the Keras loss that a Caffe layer computes.

    Its name is the layer's. Its `loss_weight` is not in it: Keras has weights of losses
    in `compile`.

    Args:
        layer: A layer of one of the types `LOSS_LAYERS`.
        infogain: The matrix of an InfogainLoss, an array (C, C) or the path of its
            binaryproto. The layer's own `source` is a path in somebody's file and is
            never opened unasked.
        from_logits: Whether a SoftmaxWithLoss or InfogainLoss is given scores, as in
            Caffe, or probabilities. All others take what they take in Caffe.

    Raises:
        CaffeFormatError: If the layer is no loss, its axis is not that of the
            channels, or its matrix is missing, none, or of another size.
        OSError: If the matrix's file cannot be read.
    """
    name = keras_name(layer.name)
    if layer.type == "SoftmaxWithLoss":
        check_axis(layer, "softmax_param")
        options = {**_ignoring(layer, "valid"), "from_logits": from_logits}
        return SoftmaxWithLoss(**options, name=name)
    if layer.type == "InfogainLoss":
        check_axis(layer, "infogain_loss_param")
        options = {**_ignoring(layer, "valid"), "from_logits": from_logits}
        return _infogain_loss(layer, infogain, {**options, "name": name})
    if layer.type == "SigmoidCrossEntropyLoss":
        return SigmoidCrossEntropyLoss(**_ignoring(layer, "batch_size"), name=name)
    if layer.type == "HingeLoss":
        return HingeLoss(f"L{layer.param.norm}", name=name)
    if layer.type == "ContrastiveLoss":
        param = layer.param
        return ContrastiveLoss(param.margin, param.legacy_version, name=name)
    if layer.type == "EuclideanLoss":
        return EuclideanLoss(name=name)
    if layer.type == "MultinomialLogisticLoss":
        return MultinomialLogisticLoss(name=name)
    raise layer_error(layer, f"Expected a layer of the types {LOSS_LAYERS}")


def check_axis(layer: Layer, name: str) -> None:
    """Check that a layer's classes are along Caffe's axis of channels, 1.

    Raises:
        CaffeFormatError: If not.
    """
    axis = layer.read(name).axis
    if axis != 1:
        raise layer_error(
            layer,
            f"Expected classes along axis 1, the channels; received: {axis}. "
            "Compile the net with one of your own",
            f"{name}.axis",
        )


def _ignoring(layer, default: str) -> dict:
    """Return `normalization` and `ignore_label` of a layer's LossParameter."""
    param = layer.read("loss_param")
    normalization = default
    if param.HasField("normalization"):
        normalization = NORMALIZATIONS[param.normalization]
    elif param.HasField("normalize"):
        normalization = "valid" if param.normalize else "batch_size"
    ignore = param.ignore_label if param.HasField("ignore_label") else None
    return {"normalization": normalization, "ignore_label": ignore}


def _infogain_loss(layer: Layer, infogain, options: dict) -> InfogainLoss:
    field = "infogain_loss_param.source"
    if infogain is None:
        source = layer.param.source
        raise layer_error(
            layer,
            "Expected the infogain matrix, an array (C, C) or the path of its "
            f"binaryproto; received none. The layer names the file {source!r}",
            field,
        )
    if isinstance(infogain, str | os.PathLike):
        infogain = read_mean(infogain)
    try:
        return InfogainLoss(np.asarray(infogain), **options)
    except ValueError as error:
        raise layer_error(layer, str(error).removesuffix("."), field) from error


def layer_error(
    layer: Layer, problem: str, name: str | None = None
) -> CaffeFormatError:
    """Return an error that names the layer, its type and a field."""
    problem = f"({layer.type}) {problem}"
    return CaffeFormatError(problem, layer=layer.name, field=name)
