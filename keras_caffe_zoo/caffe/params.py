"""What a layer type adds to a layer: its parameter message, decoded by the type.

A reader keeps such fields as they are in the file (`Raw`): one number means different
messages in different forks of Caffe, and only the layer's type tells which.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from . import schema
from .errors import CaffeFormatError, UnknownField
from .prototxt import Parser
from .skeleton import Skeleton
from .wire import Bytes, encode_header, encode_tag

_packages = (f"caffe_{i}" for i in itertools.count())


class Param:
    """A parameter message: the name of its field in a layer, and its own fields.

    Args:
        name: The field's name in a prototxt, `"norm_param"`.
        fields: The message's fields, `"across_spatial bool=true; eps float=1e-10"`:
            name, type and default of each, divided by `;`. The type is a scalar of
            protobuf, `FillerParameter`, `BlobShape`, or what lines of their own
            declare below: an enum (`enum Mode: A=0 B=1`), or a message (`message
            Name`, and lines with its fields). `*` after the type means repeated, `!`
            required. A number before the name is the field's in binary files.
        number: The field's number in a layer of a binary file; several where forks
            differ, the first of which is written. Without, parameters are read from
            prototxts only, and left out of caffemodels.
        message: Name of the message, where it is one of Caffe's own (`fields` is left
            out), or where errors are to name it.

    Raises:
        ValueError: If `fields` is malformed (when the message is first used).
    """

    def __init__(
        self,
        name: str,
        fields: str = "",
        number: int | Sequence[int] = (),
        *,
        message: str | None = None,
    ):
        self.name, self.fields = name, fields
        self.numbers = (number,) if isinstance(number, int) else tuple(number)
        camel = "".join(word.title() for word in name.removesuffix("_param").split("_"))
        self._message = message or f"{camel}Parameter"

    def __repr__(self):
        return f"Param({self.name!r}, number={self.numbers})"

    @functools.cached_property
    def schema(self) -> schema.Schema:
        """The message's schema, built when it is first used."""
        lines = ["Holder", f" 1 {self.name} {self._message}"]
        if self._message not in schema.SPEC:
            lines.append(self._message)
            for line in map(str.strip, self.fields.splitlines()):
                is_message = line.startswith("message ")
                lines.append(line.split()[1] if is_message else f" {line}")
        return schema.Schema("\n".join(lines), next(_packages), schema.BASE)

    @functools.cached_property
    def _holder(self) -> type:
        return self.schema.MESSAGES["Holder"]

    def message(self, **values) -> Any:
        """Return a message with some fields set.

        Args:
            **values: Fields as protobuf's constructors take them: enums by name,
                messages as dicts.
        """
        holder = self._holder(**{self.name: values})
        getattr(holder, self.name).SetInParent()
        return getattr(holder, self.name)

    def encode(self, message: Any) -> Any:
        """Return a message as a field that a layer keeps."""
        number = self.numbers[0] if self.numbers else 0
        value = message.SerializeToString()
        return schema.Raw(name=self.name, number=number, wire=2, value=value)

    def mine(self, raws: Sequence[Any]) -> list[Any]:
        """Return those of a layer's raw fields that hold this message."""
        return [raw for raw in raws if is_field(raw, self.name, self.numbers)]

    def decode(self, raws: Sequence[Any], **place) -> Decoded:
        """Return the message that a layer's raw fields hold.

        Args:
            raws: The raw fields, of this message and others.
            **place: `source` and `layer`, for errors.

        Raises:
            CaffeFormatError: If a field's value is none of its type.
        """
        holder, unknown = self._holder(), []
        packed = []
        for raw in self.mine(raws):
            if raw.HasField("line"):
                unknown += self._parse(holder, raw, place)
            elif raw.wire == 2:
                packed.append(raw)
            else:
                unknown.append(UnknownField(place.get("layer"), self.name, raw.value))
        if packed:
            unknown += self._merge(holder, packed, place)
        missing = holder.FindInitializationErrors()
        if missing:
            raise CaffeFormatError(
                "Expected a value for every required field; received none for: "
                f"{', '.join(missing)}",
                **place,
            )
        return Decoded(getattr(holder, self.name), holder.HasField(self.name), unknown)

    def _parse(self, holder: Any, raw: Any, place: dict) -> list[UnknownField]:
        text = self.name + raw.value.decode("utf-8", "surrogateescape")
        parser = Parser(text, place.get("source"), self.schema)
        parser.go_on_from(place.get("layer"), (raw.line, raw.column))
        parser.parse_into(holder, "Holder")
        return parser.unknown

    def _merge(self, holder: Any, raws: list[Any], place: dict) -> list[UnknownField]:
        # Protobuf merges the pieces of one message, so their bytes may be joined.
        source = Bytes(b"".join(raw.value for raw in raws), place.get("source"))
        source.start = raws[0].offset
        skeleton = Skeleton(
            source, self._message, self.schema, (place.get("layer"), self.name)
        )
        try:
            getattr(holder, self.name).MergeFromString(skeleton.data)
        except DecodeError as error:
            raise CaffeFormatError(
                f"Expected a {self._message}; received: {error}", **place
            ) from None
        getattr(holder, self.name).SetInParent()
        return skeleton.unknown


class Decoded(NamedTuple):
    """A decoded parameter message.

    Attributes:
        message: The message; its defaults where the layer has none.
        given: Whether the layer has one.
        unknown: The fields in it that the declaration does not have.
    """

    message: Any
    given: bool
    unknown: list[UnknownField]


def is_field(raw: Any, name: str, numbers: Sequence[int]) -> bool:
    """Tell whether a raw field is the one of a name, or of some numbers."""
    return raw.name == name if raw.name else raw.number in numbers


class Declaration(NamedTuple):
    """What the file formats know of a layer type.

    Attributes:
        params: Its parameter messages.
        axes: From a layer to how many axes each of its blobs has, for shapes in the
            form of old files; `None` for a blob whose axes are as stored, `None` at
            all where not even the number of blobs is known.
    """

    params: tuple[Param, ...] = ()
    axes: Callable[[Any], Sequence[int | None] | None] = lambda layer: None


_DECLARED: dict[str, Declaration] = {}


def declare(type: str, declaration: Declaration) -> None:
    """Make a layer type known to the file formats; replaces an earlier declaration."""
    _DECLARED[type] = declaration


def declared(type: str) -> Declaration:
    """Return what is known of a layer type, nothing for an unknown one."""
    return _DECLARED.get(type, Declaration())


def is_declared(raw: Any) -> bool:
    """Tell whether a raw field is a parameter of any type that is known."""
    return any(
        is_field(raw, param.name, param.numbers)
        for declaration in _DECLARED.values()
        for param in declaration.params
    )


def raw_bytes(raw: Any, type: str, **place) -> bytes:
    """Return a raw field of a layer as a binary file has it.

    Nothing for a field of text whose number nobody declared.
    """
    is_text = raw.HasField("line")
    for param in declared(type).params:
        if raw.name == param.name and param.numbers:
            if not is_text:
                return _field_bytes(param.numbers[0], raw)
            return _field_bytes(
                param.numbers[0], param.encode(param.decode([raw], **place).message)
            )
    return b"" if is_text or not raw.number else _field_bytes(raw.number, raw)


def _field_bytes(number: int, raw: Any) -> bytes:
    if raw.wire == 2:
        return encode_header(number, len(raw.value)) + raw.value
    return encode_tag(number, raw.wire) + raw.value


def raw_text(raw: Any, type: str, **place) -> str:
    """Return a raw field of a layer as a prototxt has it.

    What no declaration tells how to write becomes a comment.
    """
    if raw.HasField("line"):
        value = raw.value.decode("utf-8", "surrogateescape")
        return f"{raw.name}{'' if value[:1] in ':{<' else ' '}{value}\n"
    for param in declared(type).params:
        if is_field(raw, param.name, param.numbers):
            decoded = param.decode([raw], **place)
            lines = text_format.MessageToString(decoded.message).splitlines()
            lines += [f"# {field.path}: {field.value!r}" for field in decoded.unknown]
            body = "".join(f"  {line}\n" for line in lines)
            return f"{param.name} {{\n{body}}}\n"
    return f"# field {raw.name or raw.number}: {raw.value[:60]!r}\n"
