"""Fields that Caffe 1.0 does not have: which of them cannot change the arithmetic."""

import re
import warnings

from keras_caffe_zoo.caffe import CaffeFormatError, Net

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
_NOTE = re.compile(r"(?:layer (?P<layer>.*)|net): field (?P<field>'.*'|\".*\")", re.S)


def check_unknown_fields(net: Net, replaced=(), hooked=(), training=False) -> None:
    """Warn of a net's unknown fields, or refuse them.

    Args:
        net: The net, as filtered for its phase.
        replaced: Names of layers that are left out or become inputs or predictions.
        hooked: Types of layers that the caller imports.
        training: Whether the net is to be trained: then its multipliers, fillers and
            losses count too.

    Raises:
        CaffeFormatError: If a field may change what the net computes; names all such.
    """
    harmless, others = [], []
    types = {layer.name: layer.type for layer in net.layers}
    known = _HARMLESS_TO_TRAINING if training else _HARMLESS
    for note in net.unknown_fields:
        layer, field = _parse(note)
        if layer is not None and layer not in types and not layer.startswith("#"):
            continue  # of another phase
        fine = (
            layer in replaced
            or types.get(layer) in hooked
            or not known.isdisjoint(field.split("."))
        )
        (harmless if fine else others).append(note)
    if others:
        raise CaffeFormatError(
            "Expected the fields of Caffe 1.0; received also, and they may change what "
            f"the net computes: {'; '.join(others)}. Remove them if they do not",
            source=net.source,
        )
    if harmless:
        warnings.warn(
            f"{net.source}: passed over fields that Caffe 1.0 does not have: "
            f"{'; '.join(harmless)}.",
            stacklevel=3,
        )


def _parse(note: str) -> tuple[str | None, str]:
    match = _NOTE.fullmatch(note)
    if match is None:
        return None, note
    layer = match["layer"]
    return (None if layer is None else layer[1:-1]), match["field"][1:-1]
