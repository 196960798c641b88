"""Nets and solvers of older forms, brought to V2 as Caffe 1.0 does on reading.

The steps and their order are those of Caffe's `upgrade_proto.cpp`: V0 to V1, data
transformation, V1 to V2, inputs, batch normalisation.
"""

from __future__ import annotations

from typing import Any

from . import schema
from .errors import CaffeFormatError
from .upgrade_v0 import net_v0_to_v1

_DATA_PARAMS = {
    "DATA": "data_param",
    "IMAGE_DATA": "image_data_param",
    "WINDOW_DATA": "window_data_param",
}
_DATA_TRANSFORM = ("scale", "mean_file", "crop_size", "mirror")

_V2_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "ELTWISE": "Eltwise",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "SLICE": "Slice",
    "TANH": "TanH",
    "WINDOW_DATA": "WindowData",
    "THRESHOLD": "Threshold",
}

_SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}

_V1_TYPE_NAMES = {
    number: name for name, number in schema.ENUMS["V1LayerParameter.LayerType"].items()
}


def net_version(net: Any) -> str:
    """Returns the form of a `NetParameter`: `"V0"`, `"V1"` or `"V2"`."""
    if any(layer.HasField("layer") for layer in net.layers):
        return "V0"
    return "V1" if net.layers else "V2"


def upgrade_net(net: Any) -> tuple[Any, list[str]]:
    """Returns a `NetParameter` in V2 form and notes of what Caffe would ignore.

    Args:
        net: A `NetParameter` of any form; it is used up.

    Raises:
        CaffeFormatError: If Caffe would refuse the net too.
    """
    if net.layers and net.layer:
        raise CaffeFormatError(
            f"Expected 'layers' (V1) or 'layer' (V2); received: {len(net.layers)} of "
            f"the one and {len(net.layer)} of the other. Write all as 'layer'"
        )
    notes: list[str] = []
    if net_version(net) == "V0":
        net = net_v0_to_v1(net, notes)
    for layer in net.layers:
        _move_transformation(layer)
    layers = [_layer_v1_to_v2(layer) for layer in net.layers]
    net.ClearField("layers")
    net.layer.extend(layers)
    _inputs_to_layer(net, notes)
    for layer in net.layer:
        _freeze_batch_norm(layer)
    return net, notes


def _move_transformation(layer: Any) -> None:
    """Moves scale, mean file, crop and mirror of a V1 data layer to one place."""
    param = _DATA_PARAMS.get(_V1_TYPE_NAMES[layer.type])
    if param is None or not layer.HasField(param):
        return
    data = getattr(layer, param)
    for name in _DATA_TRANSFORM:
        if data.HasField(name):
            setattr(layer.transform_param, name, getattr(data, name))
            data.ClearField(name)


def _layer_v1_to_v2(v1: Any) -> Any:
    v2 = schema.LayerParameter()
    if v1.HasField("name"):
        v2.name = v1.name
    if v1.HasField("type"):
        v2.type = _V2_TYPES[_V1_TYPE_NAMES[v1.type]]
    for name in ("bottom", "top", "blobs", "include", "exclude", "loss_weight"):
        getattr(v2, name).extend(getattr(v1, name))
    for values, name in (
        (v1.param, "name"),
        (v1.blob_share_mode, "share_mode"),
        (v1.blobs_lr, "lr_mult"),
        (v1.weight_decay, "decay_mult"),
    ):
        for i, value in enumerate(values):
            if len(v2.param) <= i:
                v2.param.add()
            setattr(v2.param[i], name, value)
    for spec, value in v1.ListFields():
        if spec.name.endswith("_param"):
            getattr(v2, spec.name).CopyFrom(value)
    return v2


def _inputs_to_layer(net: Any, notes: list[str]) -> None:
    """Turns declared inputs with shapes into an Input layer, the first of the net."""
    names, shapes = list(net.input), _declared_shapes(net)
    if not names and shapes:
        notes.append(
            f"net: field {'input_shape' if net.input_shape else 'input_dim'!r}"
        )
    for name in ("input", "input_dim", "input_shape"):
        net.ClearField(name)
    if not names or not shapes:  # a snapshot names its inputs without their shapes
        return
    layer = schema.LayerParameter(name="input", type="Input", top=names)
    for shape in shapes:
        layer.input_param.shape.add(dim=shape)
    layers = [layer, *net.layer]
    net.ClearField("layer")
    net.layer.extend(layers)


def _declared_shapes(net: Any) -> list[list[int]]:
    dims, count = list(net.input_dim), len(net.input)
    if dims and net.input_shape:
        raise CaffeFormatError(
            "Expected input_shape or input_dim; received: both", field="input_shape"
        )
    shapes = [list(shape.dim) for shape in net.input_shape]
    if dims:
        shapes = [dims[i : i + 4] for i in range(0, len(dims), 4)]
    if count and shapes and (len(shapes) != count or len(dims) % 4):
        raise CaffeFormatError(
            f"Expected one input_shape, or four input_dim, for each of {count} inputs; "
            f"received: {len(dims) or len(shapes)}",
            field="input_dim" if dims else "input_shape",
        )
    return shapes


def _freeze_batch_norm(layer: Any) -> None:
    # Caffe's BatchNorm keeps its statistics in blobs that no solver may move.
    if layer.type == "BatchNorm" and len(layer.param) == 3:
        for param in layer.param:
            param.lr_mult = param.decay_mult = 0


def upgrade_solver(solver: Any) -> Any:
    """Returns a `SolverParameter` whose `type` says what `solver_type` used to say.

    Raises:
        CaffeFormatError: If both are given.
    """
    if not solver.HasField("solver_type"):
        return solver
    if solver.HasField("type"):
        raise CaffeFormatError(
            "Expected type or solver_type; received: both", field="solver_type"
        )
    names = {
        number: name
        for name, number in schema.ENUMS["SolverParameter.SolverType"].items()
    }
    solver.type = _SOLVER_TYPES[names[solver.solver_type]]
    solver.ClearField("solver_type")
    return solver
