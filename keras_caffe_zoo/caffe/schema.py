"""Caffe's proto2 schema, built at import in a descriptor pool of its own.

Generated `*_pb2` modules age (protobuf refuses code from other major versions) and
collide with a `caffe_pb2` that someone else imported; descriptors built here do
neither. Each message class is an attribute: `schema.NetParameter`,
`schema.LayerParameter`, …. `Schema` builds those of a table of one's own.
"""

from __future__ import annotations

import re
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
_KINDS = {*_SCALARS, "message", "enum"}
# Fields from this number on are in prototxts only: protobuf wants numbers for all.
TEXT_ONLY = 1 << 28
_WIRE_TYPES = {"float": 5, "double": 1, "string": 2, "bytes": 2}
_FIELD_FORM = (
    "Expected fields as 'number name type=default', the type a scalar "
    f"({', '.join(_SCALARS)}), a message or an enum"
)


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
    """Return {message: [item]} and {enum: {value name: number}}."""
    items: dict[str, list[str]] = {}
    enums: dict[str, dict[str, int]] = {}
    message, enum = "", None
    for line in table.splitlines():
        words = line.strip()
        if words.startswith("enum "):
            name, _, words = words[5:].partition(":")
            enum = f"{message}.{name}" if line[0] == " " else name
            if not name.isidentifier() or not words:
                raise _enum_error(line)
            enums[enum] = {}
        elif line[:1] not in ("", " "):
            message, enum = words, None
            if message in items:
                raise ValueError(f"Expected each message once; received: {message}")
            items[message] = []
            continue
        if enum:
            for pair in words.split():
                if not re.fullmatch(r"\w+=-?\d+", pair):
                    raise _enum_error(line)
                name, number = pair.split("=")
                enums[enum][name] = int(number)
        else:
            items[message] += filter(None, (w.strip() for w in words.split(";")))
    return items, enums


def _enum_error(line: str) -> ValueError:
    return ValueError(
        "Expected enums as 'enum Name: A=0 B=1', below all fields of their message; "
        f"received: {line.strip()!r}"
    )


def _fields(message: str, items: list[str], kinds: set, enums: dict) -> dict:
    """Return a message's fields by number."""
    fields: dict[int, Field] = {}
    for item in items:
        last = max((x for x in fields if x < TEXT_ONLY), default=0)
        field = _field(item, message, kinds, enums, (last + 1, TEXT_ONLY + len(fields)))
        if field.number in fields or field.name in {f.name for f in fields.values()}:
            raise ValueError(
                f"Expected each number and name once in {message}; received again: "
                f"{item!r}"
            )
        fields[field.number] = field
    return fields


def _field(item: str, message: str, kinds: set, enums: dict, numbers) -> Field:
    """Return a field; `numbers` are those without one, and with `-` in its place."""
    declaration, _, default = (part.strip() for part in item.partition("="))
    *given, name, kind = declaration.split() if " " in declaration else ("", "", "")
    type_ = kind.rstrip("*!")
    marks = kind[len(type_) :]
    nested = f"{message}.{type_}"
    if type_ in kinds:
        kind = "message"
    elif type_ in _SCALARS:
        kind = type_
    elif nested in enums or type_ in enums:
        kind, type_ = "enum", nested if nested in enums else type_
    word = "".join(given or "1")
    is_number = len(given) < 2 and (word.isdigit() or word == "-")
    number = numbers[word == "-"]
    is_marked = marks in ("", "!") or (marks in ("*", "**") and not default)
    if not is_number or not is_marked or kind not in _KINDS:
        raise ValueError(f"{_FIELD_FORM}; received: {item!r} in {message}")
    return Field(
        int(word) if given and word != "-" else number,
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


def _add_field(parent, field: Field, full_name: str) -> None:
    label = "REPEATED" if field.repeated else "OPTIONAL"
    label = "REQUIRED" if field.required else label
    proto = parent.field.add(name=field.name, number=field.number)
    proto.label = getattr(_Proto, f"LABEL_{label}")
    proto.type = _SCALARS.get(field.kind) or getattr(
        _Proto, f"TYPE_{field.kind.upper()}"
    )
    if field.kind in ("enum", "message"):
        proto.type_name = full_name
    if field.default is not None:
        proto.default_value = field.default
    if field.packed:
        proto.options.packed = True


class Schema:
    """Messages and enums of one table, with a class for each message.

    Args:
        table: The table, in the form that `fields.py` describes. Fields without a
            number get the next one; those with `-` in its place are in prototxts only.
        package: Protobuf's name for what the table declares; unique.
        base: A schema whose messages and enums the table may use.

    Attributes:
        SPEC: Fields of each message by number, the base's messages included.
        ENUMS: Numbers of each enum's values by name; nested ones as `Message.Enum`.
        MESSAGES: The class of each message.

    Raises:
        ValueError: If the table does not follow its form.
    """

    def __init__(self, table: str, package: str, base: Schema | None = None):
        items, own_enums = _parse_table(table)
        known = {} if base is None else base.SPEC
        kinds = {*known, *items}
        self.ENUMS = {**(base.ENUMS if base else {}), **own_enums}
        own = {name: _fields(name, x, kinds, self.ENUMS) for name, x in items.items()}
        self.SPEC: dict[str, dict[int, Field]] = {**known, **own}
        self._package, self._base = package, base
        self._own, self._own_enums = own, own_enums
        self._pool = descriptor_pool.DescriptorPool()
        try:
            self._add_files(self._pool)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{_FIELD_FORM}; received a table with: {error}") from None
        self.MESSAGES: dict[str, Any] = {
            name: message_factory.GetMessageClass(
                self._pool.FindMessageTypeByName(f"{package}.{name}")
            )
            for name in own
        }

    def _add_files(self, pool) -> None:
        if self._base is not None:
            self._base._add_files(pool)
        pool.AddSerializedFile(self._file().SerializeToString())

    def _file(self) -> descriptor_pb2.FileDescriptorProto:
        file = descriptor_pb2.FileDescriptorProto(
            name=f"keras_caffe_zoo/{self._package}.proto",
            package=self._package,
            syntax="proto2",
        )
        if self._base is not None:
            file.dependency.append(f"keras_caffe_zoo/{self._base._package}.proto")
        parents = {"": file}
        for name, fields in self._own.items():
            parents[name] = file.message_type.add(name=name)
            for field in fields.values():
                _add_field(parents[name], field, self._full_name(field.type))
        for name, values in self._own_enums.items():
            message, _, enum = name.rpartition(".")
            _add_enum(parents[message], enum, values)
        return file

    def _full_name(self, name: str) -> str:
        own = name in self._own or name in self._own_enums
        package = self._package if own or self._base is None else self._base._package
        return f".{package}.{name}"


BASE = Schema(FIELDS, "caffe")
SPEC, ENUMS, MESSAGES = BASE.SPEC, BASE.ENUMS, BASE.MESSAGES
globals().update(MESSAGES)


def __getattr__(name: str) -> Any:
    # Only for names that are no message: globals() above serves those. It also tells
    # type checkers that the attributes made at run time exist.
    raise AttributeError(
        f"Expected the name of a Caffe message, such as NetParameter; received: {name}"
    )
