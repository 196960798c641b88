"""What a layer type adds to a layer: its parameter message, decoded by the type.

A reader keeps such fields as they are in the file (`Raw`): one number means different
messages in different forks of Caffe, and only the layer's type tells which.
"""

from __future__ import annotations

import functools
import itertools
import re
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
            required. A number before the name is the field's in binary files; a `-`
            there says that it is in prototxts only, and left out of caffemodels.
        number: The field's number in a layer of a binary file; several where forks
            differ, the first of which is written. Without, parameters are read from
            prototxts only, and left out of caffemodels.
        message: Name of the message, where it is one of Caffe's own (`fields` is left
            out), or where errors are to name it.

    Raises:
        ValueError: If `fields` is malformed (when the message is first used).

    Example:
        >>> gain = kcz.Param("gain_param", "1 shift float=0; 2 axes int32*", 143)
        >>> message = gain.message(axes=[1, 2])
        >>> message.shift, list(message.axes)  # what is not set has its default
        (0.0, [1, 2])
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
        if self.fields or self._message not in schema.SPEC:
            lines.append(self._message)
            for line in map(str.strip, self.fields.splitlines()):
                name = line.removeprefix("message ")
                lines.append(f" {line}" if name == line else name)
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
        filed = type(message)()
        filed.CopyFrom(message)
        for field, _ in message.ListFields():
            if field.number >= schema.TEXT_ONLY:
                filed.ClearField(field.name)
        value = filed.SerializeToString()
        return schema.Raw(name=self.name, number=number, wire=2, value=value)

    def encode_text(self, message: Any) -> Any:
        """Return a message as a field that a layer keeps, in words."""
        value = in_words(text_format.MessageToString(message))
        return schema.Raw(name=self.name, value=value, line=0)

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
            unknown += self._merge(getattr(holder, self.name), packed, place)
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

    def _merge(self, message: Any, raws: list[Any], place: dict) -> list[UnknownField]:
        """Add the pieces of a message one after the other, as protobuf does."""
        holder, fields, unknown = (place.get("layer"), self.name), 0, []
        for raw in raws:
            source = Bytes(raw.value, place.get("source"), raw.offset)
            skeleton = Skeleton(source, self._message, self.schema, holder, fields)
            fields = skeleton.fields
            unknown += skeleton.unknown
            try:
                message.MergeFromString(skeleton.data)
            except DecodeError as error:
                raise CaffeFormatError(
                    f"Expected a {self._message}; received: {error}", **place
                ) from None
        message.SetInParent()
        return unknown


def in_words(text: str) -> bytes:
    """Return the fields of a message as a layer has them in a prototxt of ours."""
    lines = "".join(f"    {line}\n" for line in text.split("\n") if line)
    return f" {{\n{lines}  }}".encode()


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
        params: Its parameter messages, of all forks that have the type.
        axes: From a layer to how many axes each of its blobs has, for shapes in the
            form of old files; `None` for a blob whose axes are as stored, `None` at
            all where not even the number of blobs is known.
        own: From a layer to those of `params` that it has, where forks differ.

    Example:
        >>> from keras_caffe_zoo.caffe import Declaration, declared
        >>> tilt = Declaration((kcz.Param("tilt_param", "angle float=45"),))
        >>> tilt.params[0].message().angle
        45.0
        >>> declared("Pooling").params  # 121 is its number in a caffemodel
        (Param('pooling_param', number=(121,)),)
    """

    params: tuple[Param, ...] = ()
    axes: Callable[[Any], Sequence[int | None] | None] = lambda layer: None
    own: Callable[[Any], Sequence[Param]] | None = None


_DECLARED: dict[str, Declaration] = {}


def declare(type: str, declaration: Declaration) -> None:
    """Make a layer type known to the file formats; replaces an earlier declaration.

    Example:
        >>> from keras_caffe_zoo.caffe import Declaration, declare, parse_prototxt
        >>> declare("Tilt", Declaration((kcz.Param("tilt_param", "angle float=45"),)))
        >>> net = parse_prototxt('''layer { type: "Tilt" }
        ...     layer { type: "Tilt" tilt_param { angle: 30 } }''')
        >>> [layer.param.angle for layer in net.layers]
        [45.0, 30.0]
    """
    _DECLARED[type] = declaration
    _all_params.cache_clear()


def declared(type: str) -> Declaration:
    """Return what is known of a layer type, nothing for an unknown one.

    Example:
        >>> from keras_caffe_zoo.caffe import declared
        >>> declared("LRN").params[0].message().local_size  # Caffe's default
        5
        >>> declared("nobody's").params
        ()
    """
    return _DECLARED.get(type, Declaration())


def is_declared(raw: Any, type: str) -> bool:
    """Tell whether a layer's raw field is a parameter of any type that is known.

    In a layer of a type that is not, a number may be that of another fork's message.
    """
    names, numbers = _all_params()
    if raw.name:
        return raw.name in names
    return type in _DECLARED and raw.number in numbers


@functools.cache
def _all_params() -> tuple[set[str], set[int]]:
    params = [x for declaration in _DECLARED.values() for x in declaration.params]
    return {x.name for x in params}, {number for x in params for number in x.numbers}


def raw_bytes(raw: Any, params: Sequence[Param], **place) -> bytes:
    """Return a raw field of a layer of such parameters as a binary file has it.

    Nothing for a field of text whose number nobody declared.
    """
    is_text = raw.HasField("line")
    for param in params:
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


def raw_value(raw: Any) -> str | bytes:
    """Return a raw field's value as the file has it."""
    if not raw.HasField("line"):
        return raw.value
    return raw.value.decode("utf-8", "replace").lstrip(" :").strip()


def indented(text: str) -> str:
    """Return lines moved to the right; other line ends may be part of strings."""
    return re.sub("^(?=.)", "  ", text, flags=re.MULTILINE)


def raw_text(raw: Any, params: Sequence[Param], **place) -> str:
    """Return a raw field of a layer of such parameters as a prototxt's lines, indented.

    Text stays as it is. What no declaration tells how to write becomes a comment.
    """
    if raw.HasField("line"):
        return f"  {raw.name}{raw.value.decode('utf-8', 'surrogateescape')}\n"
    for param in params:
        if is_field(raw, param.name, param.numbers):
            decoded = param.decode([raw], **place)
            text = text_format.MessageToString(decoded.message)
            text += "".join(f"# {x.path}: {x.value!r}\n" for x in decoded.unknown)
            if decoded.given:
                text = f"{param.name} {{\n{indented(text)}}}\n"
            return indented(text)
    return f"  # field {raw.name or raw.number}: {raw.value[:60]!r}\n"
