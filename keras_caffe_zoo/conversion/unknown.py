"""Fields that Caffe 1.0 does not have: which of them cannot change the arithmetic."""

import warnings
from types import MappingProxyType

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net, UnknownField
from keras_caffe_zoo.rules.rule import Rule

# A field is harmless if its name, or that of a message that holds it, is here.
# Whatever is not here may change what a net computes (`ceil_mode`, `scale_bias`, …).
_HOW_TO_COMPUTE = """engine cudnn_math_override forward_type backward_type forward_math
    backward_math default_forward_type default_backward_type default_forward_math
    default_backward_math default_cudnn_math_override default_conv_algos_override
    conv_algos_override cudnn_convolution_algo_seeker reduce_buckets mem_param
    optimize_mem mirror_stages"""
_FOR_TRAINING = """param blobs_lr blob_lr weight_decay lr_mult decay_mult lr_policy
    global_grad_scale default_global_grad_scale weight_filler bias_filler filler
    scale_filler data_filler loss_weight loss_param accuracy_param"""
_WHERE_DATA_IS = """transform_param data_param image_data_param hdf5_data_param
    window_data_param memory_data_param hdf5_output_param annotated_data_param
    input_dim input_shape"""
_FOR_PEOPLE = """debug debug_info debug_param verbose comment comments description
    author display"""
_HARMLESS_TO_TRAINING = frozenset(
    f"{_HOW_TO_COMPUTE} {_WHERE_DATA_IS} {_FOR_PEOPLE}".split()
)
_HARMLESS = _HARMLESS_TO_TRAINING.union(_FOR_TRAINING.split())


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
        training: Whether the net is to be trained: then its multipliers, fillers and
            losses count too.
        ignored: Paths of fields that the caller wants to pass over.

    Raises:
        CaffeFormatError: If a field may change what the net computes; names all such.
    """
    found = [(x, False) for x in net.unknown if _concerns(net, x)]
    for layer in net.layers:
        fine = layer.name in replaced
        found += [(x, fine) for x in _unknown_of(layer, custom)]
    known = _HARMLESS_TO_TRAINING if training else _HARMLESS
    harmless, others = [], []
    for field, fine in found:
        fine = (
            fine or field.path in ignored or not known.isdisjoint(field.path.split("."))
        )
        (harmless if fine else others).append(field)
    if others:
        raise CaffeFormatError(
            f"{_listed(others)}. No rule declares this, and what the net computes may "
            "depend on it (Caffe 1.0 would refuse the file). Remove what does not "
            "matter, or give the type a rule that reads it: "
            "from_caffe(…, custom_layers={type: rule})",
            source=net.source,
        )
    if harmless:
        warnings.warn(
            f"{net.source}: passed over fields that Caffe 1.0 does not have: "
            f"{_listed(harmless)}.",
            stacklevel=3,
        )


def _concerns(net: Net, field: UnknownField) -> bool:
    """Tell whether a field is the net's, or of a layer that is in this phase."""
    names = {layer.name for layer in net.layers}
    return field.layer is None or field.layer in names or field.layer.startswith("#")


def _unknown_of(layer: Layer, custom) -> list[UnknownField]:
    given = custom.get(layer.type)
    if given is None:
        return layer.unknown_fields()
    if not isinstance(given, Rule):
        return []  # a function reads what it wants
    return layer.unknown_fields(given.params_of(layer))


def _listed(fields: list[UnknownField]) -> str:
    said = list(dict.fromkeys(map(str, fields)))
    return "; ".join(said)
