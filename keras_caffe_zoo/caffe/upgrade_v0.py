"""Nets of the first form, V0 (2013): untyped parameters, layers that only pad."""

from __future__ import annotations

from typing import Any

from google.protobuf import text_format

from . import schema
from .errors import CaffeFormatError, UnknownField
from .params import in_words, raw_value

# V0 type: (V1 type, name of its parameters in a V1 layer)
_V0_TYPES = {
    "accuracy": ("ACCURACY", "accuracy_param"),
    "bnll": ("BNLL", ""),
    "concat": ("CONCAT", "concat_param"),
    "conv": ("CONVOLUTION", "convolution_param"),
    "data": ("DATA", "data_param"),
    "dropout": ("DROPOUT", "dropout_param"),
    "euclidean_loss": ("EUCLIDEAN_LOSS", ""),
    "flatten": ("FLATTEN", ""),
    "hdf5_data": ("HDF5_DATA", "hdf5_data_param"),
    "hdf5_output": ("HDF5_OUTPUT", "hdf5_output_param"),
    "im2col": ("IM2COL", ""),
    "images": ("IMAGE_DATA", "image_data_param"),
    "infogain_loss": ("INFOGAIN_LOSS", "infogain_loss_param"),
    "innerproduct": ("INNER_PRODUCT", "inner_product_param"),
    "lrn": ("LRN", "lrn_param"),
    "multinomial_logistic_loss": ("MULTINOMIAL_LOGISTIC_LOSS", ""),
    "pool": ("POOLING", "pooling_param"),
    "relu": ("RELU", ""),
    "sigmoid": ("SIGMOID", ""),
    "softmax": ("SOFTMAX", ""),
    "softmax_loss": ("SOFTMAX_LOSS", ""),
    "split": ("SPLIT", ""),
    "tanh": ("TANH", ""),
    "window_data": ("WINDOW_DATA", "window_data_param"),
}

# V0 field: (name in the V1 parameters, the V0 types that have it)
_V0_FIELDS = {
    "num_output": ("num_output", "conv innerproduct"),
    "biasterm": ("bias_term", "conv innerproduct"),
    "weight_filler": ("weight_filler", "conv innerproduct"),
    "bias_filler": ("bias_filler", "conv innerproduct"),
    "pad": ("pad", "conv pool"),
    "kernelsize": ("kernel_size", "conv pool"),
    "group": ("group", "conv"),
    "stride": ("stride", "conv pool"),
    "pool": ("pool", "pool"),
    "dropout_ratio": ("dropout_ratio", "dropout"),
    "local_size": ("local_size", "lrn"),
    "alpha": ("alpha", "lrn"),
    "beta": ("beta", "lrn"),
    "k": ("k", "lrn"),
    "source": ("source", "data hdf5_data images window_data infogain_loss"),
    "batchsize": ("batch_size", "data hdf5_data images window_data"),
    "rand_skip": ("rand_skip", "data images"),
    "shuffle_images": ("shuffle", "images"),
    "new_height": ("new_height", "images"),
    "new_width": ("new_width", "images"),
    "concat_dim": ("concat_dim", "concat"),
    "det_fg_threshold": ("fg_threshold", "window_data"),
    "det_bg_threshold": ("bg_threshold", "window_data"),
    "det_fg_fraction": ("fg_fraction", "window_data"),
    "det_context_pad": ("context_pad", "window_data"),
    "det_crop_mode": ("crop_mode", "window_data"),
}

# V0 field: name in transform_param, whatever the layer's type
_V0_TRANSFORM = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}


def net_v0_to_v1(net: Any, unknown: list[UnknownField]) -> Any:
    """Return a V0 `NetParameter` in V1 form.

    Args:
        net: The net, all its layers V0.
        unknown: Gets each field that has no place in V1.

    Raises:
        CaffeFormatError: If a layer's type or a padding layer's use is not V0's.
    """
    upgraded = schema.NetParameter(
        input=net.input, input_dim=net.input_dim, force_backward=net.force_backward
    )
    upgraded.name = net.name
    if not net.HasField("force_backward"):
        upgraded.ClearField("force_backward")
    for name in ("state", "debug_info", "input_shape"):
        if name in {spec.name for spec, _ in net.ListFields()}:
            unknown.append(UnknownField(None, name))
    for layer in _fold_padding(net.layers):
        upgraded.layers.append(_layer_v0_to_v1(layer, unknown))
    return upgraded


def _fold_padding(layers: Any) -> list[Any]:
    """Return V0 layers without padding layers; their readers pad themselves."""
    producer: dict[str, Any] = {}
    kept = []
    for layer in layers:
        for i, blob in enumerate(layer.bottom):
            source = producer.get(blob)
            if source is not None and source.layer.type == "padding":
                _take_padding(layer, i, source)
        producer.update((top, layer) for top in layer.top)
        if layer.layer.type != "padding":
            kept.append(layer)
    return kept


def _take_padding(layer: Any, index: int, padding: Any) -> None:
    if layer.layer.type not in ("conv", "pool"):
        raise CaffeFormatError(
            f"Expected a padding layer ({padding.layer.name!r}) to feed conv or pool; "
            f"received type: {layer.layer.type!r}",
            layer=layer.layer.name,
        )
    ends = (len(layer.bottom), len(padding.bottom), len(padding.top))
    if ends != (1, 1, 1):
        raise CaffeFormatError(
            "Expected one bottom, and one bottom and one top of its padding layer "
            f"({padding.layer.name!r}); received: {ends}",
            layer=layer.layer.name,
        )
    layer.layer.pad = padding.layer.pad
    layer.bottom[index] = padding.bottom[0]


def _layer_v0_to_v1(connection: Any, unknown: list[UnknownField]) -> Any:
    v0 = connection.layer
    if v0.type not in _V0_TYPES:
        raise CaffeFormatError(
            f"{v0.type!r} is no type of a V0 layer; expected one of "
            f"{', '.join(_V0_TYPES)}",
            layer=v0.name,
            field="type",
        )
    type_, param = _V0_TYPES[v0.type]
    v1 = schema.V1LayerParameter(bottom=connection.bottom, top=connection.top)
    v1.name, v1.type = v0.name, schema.ENUMS["V1LayerParameter.LayerType"][type_]
    for name in ("blobs", "blobs_lr", "weight_decay"):
        getattr(v1, name).extend(getattr(v0, name))
    texts: dict[str, str] = {}
    if v0.type == "hdf5_output" and v0.HasField(param):
        texts[param] = text_format.MessageToString(v0.hdf5_output_param)
    for spec, _ in v0.ListFields():
        holder, name = _place_in_v1(v0.type, spec.name, param)
        if name is None:
            unknown.append(UnknownField(v0.name, spec.name))
        elif name:
            one = type(v0)()
            _copy_field(one, v0, spec.name)
            text = text_format.MessageToString(one).removeprefix(spec.name)
            texts[holder] = texts.get(holder, "") + f"{name}{text}"
    for raw in connection.raw:
        unknown.append(UnknownField(v0.name, raw.name, raw_value(raw)))
    for holder, text in texts.items():
        # In words, since what they mean in V2 depends on the type.
        value = in_words(text)
        v1.raw.add(name=holder, value=value, line=0)
    return v1


def _copy_field(target: Any, source: Any, name: str) -> None:
    value = getattr(source, name)
    if hasattr(value, "CopyFrom"):
        getattr(target, name).CopyFrom(value)
    else:
        setattr(target, name, value)


def _place_in_v1(kind: str, name: str, param: str) -> tuple[str, str | None]:
    """Return where a field of a V0 layer is in V1: its message, and its name there.

    The name is empty for what is no parameter, `None` where the type has no such one.
    """
    if name in ("name", "type", "blobs", "blobs_lr", "weight_decay"):
        return "", ""
    if name in _V0_TRANSFORM:
        return "transform_param", _V0_TRANSFORM[name]
    if name == "hdf5_output_param":
        return "", "" if kind == "hdf5_output" else None
    new_name, kinds = _V0_FIELDS.get(name, (None, ""))
    return param, new_name if kind in kinds.split() else None
