"""Nets and solvers of older forms, brought to V2 as Caffe 1.0 does on reading.

The steps and their order are those of Caffe's `upgrade_proto.cpp`: V0 to V1, data
transformation, V1 to V2, inputs, batch normalisation.
"""

from __future__ import annotations

from typing import Any

from . import schema
from .errors import CaffeFormatError, UnknownField
from .net import INPUT
from .params import Param
from .upgrade_v0 import net_v0_to_v1

TRANSFORM = Param("transform_param", number=100, message="TransformationParameter")
DATA = Param("data_param", number=107, message="DataParameter")
IMAGE_DATA = Param("image_data_param", number=115, message="ImageDataParameter")
WINDOW_DATA = Param("window_data_param", number=129, message="WindowDataParameter")

_DATA_PARAMS = {"DATA": DATA, "IMAGE_DATA": IMAGE_DATA, "WINDOW_DATA": WINDOW_DATA}
_DATA_TRANSFORM = ("scale", "mean_file", "crop_size", "mirror")

# Numbers that a V1 layer's parameters have in binary files; V2's are other ones.
_V1_PARAMS = {
    9: "concat_param",
    10: "convolution_param",
    11: "data_param",
    12: "dropout_param",
    13: "hdf5_data_param",
    14: "hdf5_output_param",
    15: "image_data_param",
    16: "infogain_loss_param",
    17: "inner_product_param",
    18: "lrn_param",
    19: "pooling_param",
    20: "window_data_param",
    21: "power_param",
    22: "memory_data_param",
    23: "argmax_param",
    24: "eltwise_param",
    25: "threshold_param",
    26: "dummy_data_param",
    27: "accuracy_param",
    29: "hinge_loss_param",
    30: "relu_param",
    31: "slice_param",
    34: "mvn_param",
    36: "transform_param",
    37: "tanh_param",
    38: "sigmoid_param",
    39: "softmax_param",
    40: "contrastive_loss_param",
    41: "exp_param",
    42: "loss_param",
}

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

# Types of V1 layers in the forks that have them; a type of another stays as it is.
_FORK_TYPES = {
    "BN": "BN",
    "CONVOLUTION3D": "Convolution3D",
    "CROP": "Crop",
    "DENSE_CRF": "DenseCRF",
    "DENSE_IMAGE_DATA": "DenseImageData",
    "IMAGE_SEG_DATA": "ImageSegData",
    "INTERP": "Interp",
    "MAT_READ": "MatRead",
    "MAT_WRITE": "MatWrite",
    "MULTI_STAGE_MEANFIELD": "MultiStageMeanfield",
    "POOLING3D": "Pooling3D",
    "PRELU": "PReLU",
    "PYTHON": "Python",
    "RESHAPE": "Reshape",
    "ROI_POOLING": "ROIPooling",
    "SEG_ACCURACY": "SegAccuracy",
    "SMOOTH_L1_LOSS": "SmoothL1Loss",
    "SPP": "SPP",
    "UPSAMPLE": "Upsample",
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
    """Return the form of a `NetParameter`: `"V0"`, `"V1"` or `"V2"`."""
    if any(layer.HasField("layer") for layer in net.layers):
        return "V0"
    return "V1" if net.layers else "V2"


def upgrade_net(net: Any) -> tuple[Any, list[UnknownField]]:
    """Return a `NetParameter` in V2 form and the fields that Caffe would ignore.

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
    unknown: list[UnknownField] = []
    for layer in net.layers:
        _name_raw(layer)
    if net_version(net) == "V0":
        net = net_v0_to_v1(net, unknown)
    for layer in net.layers:
        _move_transformation(layer, unknown)
    layers = [_layer_v1_to_v2(layer) for layer in net.layers]
    net.ClearField("layers")
    net.layer.extend(layers)
    _inputs_to_layer(net, unknown)
    for layer in net.layer:
        _freeze_batch_norm(layer)
    return net, unknown


def _name_raw(layer: Any) -> None:
    """Name the parameters of a V1 layer, whose numbers are not those of V2."""
    for raw in layer.raw:
        raw.name = raw.name or _V1_PARAMS.get(raw.number, str(raw.number))
        raw.number = 0  # that of V2 is written if the type has one


def _move_transformation(layer: Any, unknown: list[UnknownField]) -> None:
    """Move scale, mean file, crop and mirror of a V1 data layer to one place."""
    param = _DATA_PARAMS.get(_V1_TYPE_NAMES[layer.type])
    if param is None or not param.mine(layer.raw):
        return
    place = {"layer": layer.name}
    data, _, unknown_data = param.decode(layer.raw, **place)
    moved = [name for name in _DATA_TRANSFORM if data.HasField(name)]
    if not moved:
        return
    transform, _, unknown_transform = TRANSFORM.decode(layer.raw, **place)
    unknown += [*unknown_data, *unknown_transform]
    for name in moved:
        setattr(transform, name, getattr(data, name))
        data.ClearField(name)
    kept = [raw for raw in layer.raw if raw.name not in (param.name, TRANSFORM.name)]
    layer.ClearField("raw")
    layer.raw.extend([*kept, TRANSFORM.encode(transform), param.encode(data)])


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
    v2.raw.extend(raw for raw in v1.raw if raw.name != "type")
    for raw in v1.raw:
        if raw.name == "type":
            v2.type = _type_of_a_fork(v1, v2, raw)
    return v2


def _type_of_a_fork(v1: Any, v2: Any, raw: Any) -> str:
    """Return the V2 type of a word that is none of Caffe's own V1 types."""
    word = raw.value.decode().split()[-1].lstrip(":")
    if v2.type:
        raise CaffeFormatError(
            f"Expected one type; received: {v2.type} and {word}",
            layer=v1.name,
            field="type",
        )
    return _FORK_TYPES.get(word, word)


def _inputs_to_layer(net: Any, unknown: list[UnknownField]) -> None:
    """Turn declared inputs with shapes into an Input layer, the first of the net."""
    names, shapes = list(net.input), _declared_shapes(net)
    if not names and shapes:
        field = "input_shape" if net.input_shape else "input_dim"
        unknown.append(UnknownField(None, field))
    for name in ("input", "input_dim", "input_shape"):
        net.ClearField(name)
    if not names or not shapes:  # a snapshot names its inputs without their shapes
        return
    layer = schema.LayerParameter(name="input", type="Input", top=names)
    declared = INPUT.message(shape=[{"dim": shape} for shape in shapes])
    layer.raw.append(INPUT.encode(declared))
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
    """Return a `SolverParameter` whose `type` says what `solver_type` used to say.

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
