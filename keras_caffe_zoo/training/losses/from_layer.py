"""The loss that a layer of a prototxt asks for."""

import os

import keras
import numpy as np

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, read_mean
from keras_caffe_zoo.layers import CaffeMultiBox
from keras_caffe_zoo.messages import said
from keras_caffe_zoo.rules.names import keras_name
from keras_caffe_zoo.training.losses._base import NORMALIZATIONS, CaffeLoss
from keras_caffe_zoo.training.losses.margins import ContrastiveLoss, HingeLoss
from keras_caffe_zoo.training.losses.multibox import MultiBoxLoss
from keras_caffe_zoo.training.losses.softmax import (
    InfogainLoss,
    MultinomialLogisticLoss,
    SoftmaxWithLoss,
)
from keras_caffe_zoo.training.losses.targets import (
    EuclideanLoss,
    SigmoidCrossEntropyLoss,
    SmoothL1Loss,
)

LOSS_LAYERS = (
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultiBoxLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SmoothL1Loss",
    "SoftmaxWithLoss",
)
_WHY = (
    ". R-FCN's losses of hard examples need those of all regions, of another pass, "
    "before they are taken of some: `box_annotator_ohem` chooses these in a training "
    "step of your own"
)


def loss_of(layer: Layer, infogain=None, *, from_logits: bool = True) -> CaffeLoss:
    """Return the Keras loss that a Caffe layer computes.

    Its name is the layer's. Its `loss_weight` is not in it: Keras has weights of losses
    in `compile`.

    Args:
        layer: A layer of one of the types `LOSS_LAYERS`.
        infogain: The matrix of an InfogainLoss, an array (C, C) or the path of its
            binaryproto. The layer's own `source` is a path in somebody's file and is
            never opened unasked. Not needed where the layer has the matrix as a third
            bottom, which then comes with the labels (`joined_labels`).
        from_logits: Whether a SoftmaxWithLoss or InfogainLoss is given scores, as in
            Caffe, or probabilities. All others take what they take in Caffe.

    Raises:
        CaffeFormatError: If the layer is no loss, or its matrix is missing, none, or of
            another size.
        OSError: If the matrix's file cannot be read.

    Example:
        >>> from keras_caffe_zoo.caffe import parse_prototxt
        >>> net = parse_prototxt('''layer { name: "loss" type: "SoftmaxWithLoss"
        ...     bottom: "score" bottom: "label" loss_param { ignore_label: 255 } }''')
        >>> loss = kcz.training.losses.loss_of(net.layers[0])
        >>> loss.name, loss.normalization, loss.ignore_label
        ('loss', 'valid', 255)
    """
    name = keras_name(layer.name)
    if layer.type == "SoftmaxWithLoss":
        options = {**_ignoring(layer, "valid"), "from_logits": from_logits}
        options["axis"] = layer.read("softmax_param").axis
        return SoftmaxWithLoss(**options, name=name)
    if layer.type == "InfogainLoss":
        options = {**_ignoring(layer, "valid"), "from_logits": from_logits}
        options["axis"] = layer.read("infogain_loss_param").axis
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
    if layer.type == "MultiBoxLoss":
        return _multibox_loss(layer, name)
    if layer.type == "SmoothL1Loss":
        return _checked(layer, SmoothL1Loss, layer.param.sigma, name=name)
    raise layer_error(layer, f"Expected a layer of the types {LOSS_LAYERS}{_WHY}")


def prediction_of(layer: Layer, tensors: list):
    """Return the one tensor that a loss is taken of, made of the blobs that it reads.

    Args:
        layer: The loss.
        tensors: Its bottoms but the labels.

    Raises:
        CaffeFormatError: If they do not fit the layer.

    Example:
        >>> from keras_caffe_zoo.caffe import Layer
        >>> layer = Layer("loss", "ContrastiveLoss", ["a", "b", "label"])
        >>> a, b = np.array([[3.0, 4.0]]), np.array([[1.0, 1.0]])
        >>> np.asarray(kcz.training.losses.prediction_of(layer, [a, b])).tolist()
        [[2.0, 3.0]]
    """
    if layer.type == "MultiBoxLoss":
        param = layer.param
        return _checked(
            layer,
            lambda: CaffeMultiBox(
                param.num_classes, param.share_location, name=keras_name(layer.name)
            )(tensors),
        )
    return tensors[0] if len(tensors) == 1 else keras.layers.Subtract()(tensors)


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
    if len(layer.bottoms) == 3:
        return InfogainLoss(None, **options)
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
    return _checked(layer, InfogainLoss, np.asarray(infogain), field=field, **options)


def _multibox_loss(layer: Layer, name: str) -> MultiBoxLoss:
    param = layer.param
    mining = param.mining_type
    if param.HasField("do_neg_mining") and param.do_neg_mining != (mining > 0):
        raise layer_error(
            layer,
            "Expected do_neg_mining to agree with mining_type, as in the fork; "
            f"received: {param.do_neg_mining}",
            "multibox_loss_param.do_neg_mining",
        )
    nms = param.nms_param
    suppresses = param.HasField("nms_param") and nms.nms_threshold > 0
    learns = [*layer.message.propagate_down, True, True][:2]
    if not learns[1]:
        raise layer_error(
            layer,
            "Expected a loss that is of scores, too; received one of offsets only",
            "propagate_down",
        )
    names = """share_location overlap_threshold use_prior_for_matching
        background_label_id use_difficult_gt neg_pos_ratio neg_overlap sample_size
        use_prior_for_nms encode_variance_in_target ignore_cross_boundary_bbox
        bp_inside map_object_to_agnostic"""
    return _checked(
        layer,
        MultiBoxLoss,
        param.num_classes,
        **{option: getattr(param, option) for option in names.split()},
        match_type=_word(param, "match_type"),
        mining_type=_word(param, "mining_type"),
        code_type=_word(param, "code_type"),
        loc_loss_type=_word(param, "loc_loss_type"),
        conf_loss_type=_word(param, "conf_loss_type"),
        nms_threshold=nms.nms_threshold if suppresses else None,
        nms_top_k=nms.top_k if suppresses and nms.top_k >= 0 else None,
        loc_weight=param.loc_weight if learns[0] else 0,
        normalization=_ignoring(layer, "valid")["normalization"],
        name=name,
    )


def _word(param, field: str) -> str:
    """Return the name of an enum's value, in small letters."""
    enum = param.DESCRIPTOR.fields_by_name[field].enum_type
    return enum.values_by_number[getattr(param, field)].name.lower()


def _checked(layer: Layer, make, *values, field: str | None = None, **options):
    """Return what `make` makes of values; what it says of them is said of the layer."""
    try:
        return make(*values, **options)
    except ValueError as error:
        raise layer_error(layer, said(error), field) from error


def layer_error(
    layer: Layer, problem: str, name: str | None = None
) -> CaffeFormatError:
    """Return an error that names the layer, its type and a field."""
    problem = f"({layer.type}) {problem}"
    return CaffeFormatError(problem, layer=layer.name, field=name)
