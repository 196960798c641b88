"""Each type of Caffe layer, its fields, and what they are here: read from the rules."""

import inspect
from collections.abc import Iterator
from typing import NamedTuple

import keras
from public_names import path_of

from keras_caffe_zoo import layers, training
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.rules.forks import fork_of_field, fork_of_type
from keras_caffe_zoo.rules.registry import _BY_TYPE
from keras_caffe_zoo.rules.rule import Rule
from keras_caffe_zoo.training.losses import LOSS_LAYERS

CAFFE = "Caffe 1.0"

# What layers become of which no rule says that it writes them back: others do.
_BECOME = {
    "BN": ("CaffeSegNetBN", "CaffePSPNetBN"),
    "BNLL": ("Activation",),
    "ConvolutionDepthwise": ("CaffeConv2D",),
    "DepthwiseConvolution": ("CaffeConv2D",),
    "Sigmoid": ("Activation",),
    "TanH": ("Activation",),
    "Upsample": ("CaffeUnpool", "UpSampling2D"),
}
# What reads the data of data layers, and what measures.
_IN_TRAINING = {
    "Data": ("lmdb_dataset", "leveldb_dataset"),
    "ImageData": ("image_dataset",),
    "HDF5Data": ("hdf5_dataset",),
    "WindowData": ("window_dataset",),
    "AnnotatedData": ("annotated_dataset",),
    "Accuracy": ("Accuracy", "AccuracyPerClass"),
    "DetectionEvaluate": ("DetectionEvaluation",),
    "BoxAnnotatorOHEM": ("box_annotator_ohem",),
}
_FCN_DATA = ("segmentation_dataset",)
# Fields whose argument has another name; those of one name need no line.
_ARGUMENTS = {
    "num_output": ("filters", "units"),
    "bias_term": ("use_bias",),
    "stride": ("strides", "stride"),
    "stride_h": ("strides",),
    "stride_w": ("strides",),
    "kernel_h": ("kernel_size",),
    "kernel_w": ("kernel_size",),
    "pad_h": ("pad",),
    "pad_w": ("pad",),
    "dilation": ("dilation_rate",),
    "hole": ("dilation_rate",),
    "hole_h": ("dilation_rate",),
    "hole_w": ("dilation_rate",),
    "group": ("groups",),
    "dropout_ratio": ("rate",),
    "negative_slope": ("negative_slope", "alpha"),
    "avg_include_pad": ("include_pad",),
    "ceil_mode": ("round_mode",),
}
_ROLES = {
    "input": "an input of the model",
    "data": "an input of the model",
    "metric": "left out of a net that predicts",
    "output": "left out",
    "silence": "ends what no layer reads",
    "targets": "left out: it makes labels",
    "loss": "its prediction, in a net that predicts",
}
_ENGINE_FIELDS = ("engine",)


class Row(NamedTuple):
    """One field of a parameter message.

    Attributes:
        name: Its name in a prototxt.
        type: Its type; enums' with their values.
        default: Its default; `""` for none.
        fork: The fork that added it to a message of Caffe's; `""` otherwise.
        ours: The argument of the Keras layer, or what becomes of it.
    """

    name: str
    type: str
    default: str
    fork: str
    ours: str


def types() -> list[str]:
    """Return all types of layers that a rule of the package knows, Caffe's first."""
    known = [name for name, rule in _BY_TYPE.items() if _is_ours(rule)]
    return sorted(known, key=lambda name: (bool(fork_of_type(name)), name.lower()))


def _is_ours(rule) -> bool:
    kind = rule if isinstance(rule, type) else type(rule)
    return kind.__module__.startswith("keras_caffe_zoo.")


def ours(type_: str) -> list[str]:
    """Return the dotted paths of what a type of layer is here."""
    rule = _BY_TYPE[type_]
    if rule.role == "loss" and type_ in LOSS_LAYERS:
        return [path_of(getattr(training, type_))]
    if type_ in _IN_TRAINING:
        names = _IN_TRAINING[type_]
        return [path_of(getattr(training, name)) for name in names]
    if rule.role == "data" and fork_of_type(type_) == "FCN":
        return [path_of(getattr(training, name)) for name in _FCN_DATA]
    return [_path(kind) for kind in _classes(type_, rule)]


def _classes(type_: str, rule: Rule) -> list[type]:
    named = _BECOME.get(type_) or rule.layers
    found = [_class(name) if isinstance(name, str) else name for name in named]
    return [kind for kind in found if kind is not None]


def _class(name: str) -> type | None:
    """Return a class of layers; `None` of what is an operation inside Keras."""
    return getattr(layers, name, None) or getattr(keras.layers, name, None)


def _path(kind: type) -> str:
    return path_of(kind) or f"keras.layers.{kind.__name__}"


def becomes(type_: str) -> str:
    """Return in a few words what becomes of a type of layer that is no layer here."""
    rule = _BY_TYPE[type_]
    if type(rule).build is Rule.build and rule.role == "layer":
        return rule.refused or "not imported"
    return _ROLES.get(rule.role, "")


def messages(type_: str) -> Iterator[tuple[str, list[Row]]]:
    """Yield the parameter messages of a type of layer, and their fields.

    Where forks give one name to different messages, each is yielded.
    """
    rule = _BY_TYPE[type_]
    for param in (rule.param, *rule.variants, *rule.also):
        if param is not None:
            yield param.name, list(_rows(param, _arguments(type_)))


def _arguments(type_: str) -> list[str]:
    """Return the arguments of what a type of layer is here."""
    found = []
    for path in ours(type_):
        home, _, name = path.rpartition(".")
        thing = getattr(keras.layers if home == "keras.layers" else _home(home), name)
        maker = thing.__init__ if isinstance(thing, type) else thing
        found += inspect.signature(maker).parameters
    return found


def _home(path: str):
    return layers if path.endswith(("layers", "keras_caffe_zoo")) else training


def _rows(param: Param, arguments: list[str]) -> Iterator[Row]:
    descriptor = param.schema.MESSAGES["Holder"].DESCRIPTOR
    for field in descriptor.fields_by_name[param.name].message_type.fields:
        yield Row(
            field.name,
            _type(field),
            _default(field),
            fork_of_field(f"{param.name}.{field.name}"),
            _argument(field.name, arguments),
        )


def _type(field) -> str:
    kinds = {
        number: name.removeprefix("TYPE_").lower()
        for name, number in vars(type(field)).items()
        if name.startswith("TYPE_")
    }
    name = kinds[field.type]
    if field.enum_type:
        name = " | ".join(value.name for value in field.enum_type.values)
    elif field.message_type:
        name = field.message_type.name
    return f"{name}, repeated" if field.is_repeated else name


def _default(field) -> str:
    if field.is_repeated or not field.has_default_value:
        return ""
    if field.enum_type:
        return field.enum_type.values_by_number[field.default_value].name
    if isinstance(field.default_value, bool):
        return str(field.default_value).lower()
    if isinstance(field.default_value, float):
        return f"{field.default_value:g}"
    return str(field.default_value)


def _argument(field: str, arguments: list[str]) -> str:
    """Return the argument that a field is, or what becomes of it; `""` if neither."""
    if field in _ENGINE_FIELDS:
        return "chooses nothing"
    if field.endswith("filler"):
        return "initial values"
    names = (field, *_ARGUMENTS.get(field, ()))
    return next((f"`{name}`" for name in names if name in arguments), "")


def overview() -> str:
    """Return the table of all types as Markdown."""
    lines = ["| Caffe's type | of | here |", "|---|---|---|"]
    for type_ in types():
        fork = fork_of_type(type_) or CAFFE
        lines.append(f"| [`{type_}`](#{anchor(type_)}) | {fork} | {_here(type_)} |")
    return "\n".join(lines)


def details() -> str:
    """Return a section of Markdown for each type: what it is here, and its fields."""
    return "\n\n".join(map(_section, types()))


def anchor(type_: str) -> str:
    """Return the name that a type's section is linked by."""
    return f"layer-{type_.lower().replace('.', '-').replace('_', '-')}-{_number(type_)}"


def _number(type_: str) -> int:
    """Return which of the types it is that differ in nothing but capitals."""
    same = [name for name in types() if name.lower() == type_.lower()]
    return same.index(type_) + 1


def _here(type_: str) -> str:
    links = ", ".join(_link(path) for path in ours(type_))
    said = becomes(type_)
    return f"{links} ({said})" if links and said else links or said


def _link(path: str) -> str:
    if path.startswith("keras.layers."):
        return f"`{path}`"
    return f"{{py:obj}}`{path.rpartition('.')[2]} <{path}>`"


def _section(type_: str) -> str:
    fork = fork_of_type(type_) or CAFFE
    blocks = [
        f"({anchor(type_)})=",
        f"### `{type_}`",
        f"Of {fork}. Here: {_here(type_)}.",
    ]
    for name, rows in messages(type_):
        blocks += [f"`{name}`:", _fields(rows)]
    return "\n\n".join(blocks)


def _fields(rows: list[Row]) -> str:
    lines = ["| field | type | default | of | here |", "|---|---|---|---|---|"]
    for row in rows:
        type_ = row.type.replace("|", "\\|")
        cells = (f"`{row.name}`", type_, row.default, row.fork, row.ours)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
