"""Caffe's proto2 schema, built at import in a descriptor pool of its own.

Generated `*_pb2` modules age (protobuf refuses code from other major versions) and
collide with a `caffe_pb2` that someone else imported; descriptors built here do
neither. Each message class is an attribute: `schema.NetParameter`,
`schema.LayerParameter`, ….
"""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from .fields import FIELDS

_Proto = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_Proto, f"TYPE_{name.upper()}")
    for name in (
        "bool",
        "bytes",
        "double",
        "float",
        "int32",
        "int64",
        "string",
        "uint32",
    )
}
_WIRE_TYPES = {"float": 5, "double": 1, "string": 2, "bytes": 2}


class Field(NamedTuple):
    """One field of a message, as the readers need it.

    `kind` is a scalar type's name, `"enum"` or `"message"`; `type` names the enum
    (`Message.Enum` where it is nested) or the message.
    """

    number: int
    name: str
    kind: str
    type: str
    repeated: bool
    packed: bool
    required: bool
    default: str | None

    @property
    def wire_type(self) -> int:
        """Protobuf wire type of one (unpacked) value."""
        return 2 if self.kind == "message" else _WIRE_TYPES.get(self.kind, 0)

    @property
    def packable(self) -> bool:
        """Whether the values may arrive as one length-delimited run."""
        return self.repeated and self.wire_type != 2


def _parse_table(table: str):
    """Returns {message: [item]} and {enum: {value name: number}}."""
    items: dict[str, list[str]] = {}
    enums: dict[str, dict[str, int]] = {}
    message, enum = "", None
    for line in table.splitlines():
        words = line.strip()
        if words.startswith("enum "):
            name, _, words = words[5:].partition(":")
            enum = f"{message}.{name}" if line[0] == " " else name
            enums[enum] = {}
        elif line[0] != " ":
            message, enum = words, None
            items[message] = []
            continue
        if enum:
            pairs = (pair.split("=") for pair in words.split())
            enums[enum].update((name, int(number)) for name, number in pairs)
        else:
            items[message] += filter(None, (w.strip() for w in words.split(";")))
    return items, enums


def _field(item: str, message: str, items: dict, enums: dict) -> Field:
    declaration, _, default = item.partition("=")
    number, name, kind = declaration.split()
    type_ = kind.rstrip("*!")
    marks = kind[len(type_) :]
    if type_ in items:
        kind = "message"
    elif type_ in _SCALARS:
        kind = type_
    else:
        kind = "enum"
        type_ = f"{message}.{type_}" if f"{message}.{type_}" in enums else type_
    return Field(
        int(number),
        name,
        kind,
        type_,
        "*" in marks,
        marks == "**",
        marks == "!",
        default or None,
    )


def _add_enum(parent, name: str, values: dict[str, int]) -> None:
    enum = parent.enum_type.add(name=name)
    for value, number in values.items():
        enum.value.add(name=value, number=number)


def _add_field(parent, field: Field) -> None:
    label = "REPEATED" if field.repeated else "OPTIONAL"
    label = "REQUIRED" if field.required else label
    proto = parent.field.add(name=field.name, number=field.number)
    proto.label = getattr(_Proto, f"LABEL_{label}")
    proto.type = _SCALARS.get(field.kind) or getattr(
        _Proto, f"TYPE_{field.kind.upper()}"
    )
    if field.kind in ("enum", "message"):
        proto.type_name = f".caffe.{field.type}"
    if field.default is not None:
        proto.default_value = field.default
    if field.packed:
        proto.options.packed = True


def _file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_caffe_zoo/caffe.proto", package="caffe", syntax="proto2"
    )
    parents = {"": file}
    for name, fields in SPEC.items():
        parents[name] = file.message_type.add(name=name)
        for field in fields.values():
            _add_field(parents[name], field)
    for name, values in ENUMS.items():
        message, _, enum = name.rpartition(".")
        _add_enum(parents[message], enum, values)
    return file


def _message_classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file_descriptor().SerializeToString())
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"caffe.{name}")
        )
        for name in SPEC
    }


_ITEMS, ENUMS = _parse_table(FIELDS)
SPEC: dict[str, dict[int, Field]] = {
    message: {
        field.number: field
        for field in (_field(item, message, _ITEMS, ENUMS) for item in items)
    }
    for message, items in _ITEMS.items()
}
MESSAGES = _message_classes()
globals().update(MESSAGES)


def __getattr__(name: str) -> Any:
    # Only for names that are no message: globals() above serves those. It also tells
    # type checkers that the attributes made at run time exist.
    raise AttributeError(
        f"Expected the name of a Caffe message, such as NetParameter; received: {name}"
    )
