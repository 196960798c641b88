"""Fields that Caffe 1.0 does not have: which of them cannot change the arithmetic."""

import warnings
from types import MappingProxyType

from keras_caffe_zoo.caffe import (
    MAX_UNKNOWN,
    CaffeFormatError,
    Layer,
    Net,
    UnknownField,
)
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules.forks import fork_of_field
from keras_caffe_zoo.rules.rule import Rule

# A field is harmless if its name, or that of a message that holds it, is here.
# Whatever is not here may change what a net computes (`ceil_mode`, `scale_bias`, …).
_HOW_TO_COMPUTE = """engine cudnn_math_override forward_type backward_type forward_math
    backward_math default_forward_type default_backward_type default_forward_math
    default_backward_math default_cudnn_math_override default_conv_algos_override
    conv_algos_override cudnn_convolution_algo_seeker reduce_buckets mem_param
    optimize_mem mirror_stages multinode multinode_param mn_param quantization_param
    compile_net_state bn_stats_batch_size reshape_every_iter store_blobs_in_old_format
    """
_FOR_TRAINING = """param blobs_lr blob_lr weight_decay lr_mult decay_mult lr_policy
    global_grad_scale default_global_grad_scale global_grad_scale_adaptive
    mn_grad_compress_param force_backward weight_filler bias_filler filler
    scale_filler data_filler loss_weight loss_param accuracy_param strict_dim"""
_WHERE_DATA_IS = """transform_param data_param image_data_param hdf5_data_param
    window_data_param memory_data_param hdf5_output_param annotated_data_param
    input_dim input_shape"""
_FOR_PEOPLE = """debug debug_info debug_param verbose comment comments description
    author display"""
_HARMLESS_TO_TRAINING = frozenset(
    f"{_HOW_TO_COMPUTE} {_WHERE_DATA_IS} {_FOR_PEOPLE}".split()
)
# Names that could mean anything elsewhere: how Intel's Caffe computes the same.
_HARMLESS_THERE = frozenset(("convolution_param.conv_algorithm", "relu_param.fuse"))
_HARMLESS = _HARMLESS_TO_TRAINING.union(_FOR_TRAINING.split())
_SHOWN = 3  # layers that have a field, in an error


def is_harmless(path: str, training: bool = False) -> bool:
    """Tell whether a field that nobody declared cannot change what a net computes.

    Args:
        path: Its dotted path in a layer, or in the net.
        training: Whether the net is to be trained: then its multipliers, fillers and
            losses count too.
    """
    known = _HARMLESS_TO_TRAINING if training else _HARMLESS
    return path in _HARMLESS_THERE or not known.isdisjoint(path.split("."))


def check_unknown_fields(
    net: Net,
    replaced=(),
    custom=MappingProxyType({}),
    training=False,
    ignored=(),
) -> None:
    """Warn of a net's unknown fields, or refuse them.

    Args:
        net: The net, as filtered for its phase.
        replaced: Names of layers that are left out or become inputs or predictions.
        custom: The caller's own rules or functions by type.
        training: Whether the net is to be trained.
        ignored: Paths of fields that the caller wants to pass over.

    Raises:
        CaffeFormatError: If a field may change what the net computes; names all such.
        ValueError: If a path of `ignored` is no unknown field's.
    """
    names = {layer.name for layer in net.layers}
    found = [(x, False) for x in net.unknown if _concerns(names, x)]
    _check_number(net, found)
    for layer in net.layers:
        fields = _unknown_of(layer, custom)
        _check_number(net, fields)
        found += [(x, layer.name in replaced) for x in fields]
    _check_ignored(ignored, {field.path for field, _ in found})
    harmless, others = [], []
    for field, fine in found:
        fine = fine or field.path in ignored or is_harmless(field.path, training)
        (harmless if fine else others).append(field)
    if others:
        raise _refusal(net, others, training)
    if harmless:
        names = ", ".join(dict.fromkeys(repr(field.path) for field in harmless))
        many = f"{len(harmless):,} fields" if len(harmless) > 1 else "a field"
        warnings.warn(
            f"{net.source}: passed over {many} that Caffe 1.0 does not have: {names}.",
            stacklevel=4,
        )


def _check_number(net: Net, fields: list) -> None:
    """Refuse so many fields that readers stop to list them: no net is like that."""
    if len(fields) >= MAX_UNKNOWN:
        raise CaffeFormatError(
            f"Expected fewer than {MAX_UNKNOWN:,} unknown fields; received more, which "
            "are not looked at. Remove those that do not matter",
            source=net.source,
        )


def _check_ignored(ignored, found: set[str]) -> None:
    if isinstance(ignored, str):
        raise ValueError(
            "Expected `ignore_fields` to be several names; received one: "
            f"{ignored!r}. Write ({ignored!r},)"
        )
    for path in ignored:
        if path not in found:
            raise ValueError(
                f"`ignore_fields` names {path!r}, which is no unknown field of the "
                f"net. {there_are(sorted(found), path)}."
            )


def _refusal(net: Net, fields: list[UnknownField], training: bool) -> CaffeFormatError:
    where: dict[str, list[UnknownField]] = {}
    for field in fields:
        where.setdefault(field.path, []).append(field)
    said = "; ".join(_said(path, x) for path, x in where.items())
    pass_over = f"pass it over with from_caffe(…, ignore_fields={tuple(where)!r})"
    return CaffeFormatError(
        f"{said}. No rule declares this, and what the net computes may depend on it "
        "(Caffe 1.0 would refuse the file). If it does not matter, "
        f"{'remove it' if training else pass_over}; if it does, give the type a rule "
        "that reads it: from_caffe(…, custom_layers={type: rule})",
        source=net.source,
    )


def _said(path: str, fields: list[UnknownField]) -> str:
    """Return a field, its fork if that is known, and the first layers that have it."""
    fork = fork_of_field(path)
    of_fork = f" (of {fork})" if fork else ""
    names = list(dict.fromkeys(repr(x.layer) for x in fields if x.layer is not None))
    if not names:
        return f"net: field {path!r}{of_fork}"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    layers = f"layer{'s' * (len(names) > 1)} {', '.join(names[:_SHOWN])}{more}"
    return f"{layers}: field {path!r}{of_fork}"


def _concerns(names: set[str], field: UnknownField) -> bool:
    """Tell whether a field is the net's, or of a layer that is in this phase."""
    return field.layer is None or field.layer in names or field.layer.startswith("#")


def _unknown_of(layer: Layer, custom) -> list[UnknownField]:
    given = custom.get(layer.type)
    if given is None:
        return layer.unknown_fields()
    if not isinstance(given, Rule):
        return []  # a function reads what it wants
    return layer.unknown_fields(given.params_of(layer))
