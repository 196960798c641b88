"""Protobuf's text format, read with the schema's own table.

`google.protobuf.text_format` either refuses a fork's unknown fields or loses them
without a word; this parser keeps a record of each, bounds size and nesting, and names
line and column of every error. A layer's parameters it keeps as text: what they mean
depends on the layer's type.
"""

from __future__ import annotations

from typing import Any

from . import schema
from .errors import CaffeFormatError, UnknownField
from .skeleton import MAX_LAYERS, MAX_UNKNOWN
from .tokens import Token, bare_value, convert, next_token, unescape

MAX_DEPTH = 100
MAX_MESSAGES = 250_000

_CLOSING = {"{": "}", "<": ">", "[": "]"}
_LAYERS = ("LayerParameter", "V1LayerParameter")


class Undeclared:
    """Parameters of a layer type that nobody declared, as they stand in a prototxt.

    Each field is an attribute: a number, a bool, a string, a word (an enum's value), a
    block of fields likewise, or a list where it stands there more than once.

    Attributes:
        fields: The values of each field by its name, always as lists.
    """

    def __init__(self, fields: dict[str, list]):
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("fields", {}).get(name)
        if values is None:
            raise AttributeError(
                f"The prototxt has no field {name!r} here, only "
                f"{sorted(self.__dict__.get('fields', {}))}, and no rule declares its "
                "default. Write a rule with a Param for layers of this type"
            )
        return values[0] if len(values) == 1 else values

    def __repr__(self):
        return f"Undeclared({self.fields})"


class Parser:
    """Parses one text into one message.

    Args:
        text: The text, undecodable bytes as surrogate escapes.
        source: Name for error messages.
        kinds: The schema of the message.

    Attributes:
        unknown: The fields that the schema does not have.
    """

    def __init__(
        self, text: str, source: str | None, kinds: schema.Schema = schema.BASE
    ):
        self.text, self.source, self.kinds = text, source, kinds
        self.unknown: list[UnknownField] = []
        self._by_name = _by_name(kinds)
        self._layer: str | None = None
        self._path: list[str] = []
        self._start = (1, 1)
        self._counted = (0, 0)  # a position, and how many lines end before it
        self._messages = self._layers = self._depth = 0
        self.token = Token("mark", "", 0)
        self._advance()

    def parse(self, kind: str) -> Any:
        """Return the text as a message of type `kind`.

        Raises:
            CaffeFormatError: If the text is not one.
        """
        message = self.kinds.MESSAGES[kind]()
        self.parse_into(message, kind)
        missing = message.FindInitializationErrors()
        if missing:
            raise CaffeFormatError(
                f"Expected a value for every required field; received none for: "
                f"{', '.join(missing)}",
                source=self.source,
            )
        return message

    def parse_into(self, message: Any, kind: str) -> None:
        """Add the text's fields to a message, whose required ones are not asked for."""
        self._fields(message, kind, "")

    def go_on_from(self, layer: str | None, start: tuple[int, int]) -> None:
        """Say whose text this is: a layer's name, and line and column in its file.

        A line of 0 means that no file has the text in these words.
        """
        self._layer, self._start = layer, start

    def error(self, problem: str, pos: int | None = None) -> CaffeFormatError:
        """Return (do not raise) an error at `pos` or at the current token."""
        line, column = self._place(self.token.pos if pos is None else pos)
        if not self._start[0]:
            line = column = None
        return CaffeFormatError(
            problem,
            source=self.source,
            layer=self._layer,
            field=".".join(self._path),
            line=line,
            column=column,
        )

    def _place(self, pos: int) -> tuple[int, int]:
        line, column = self._start
        since, newlines = self._counted if pos >= self._counted[0] else (0, 0)
        newlines += self.text.count("\n", since, pos)
        self._counted = (pos, newlines)
        if newlines:
            return line + newlines, pos - self.text.rfind("\n", 0, pos)
        return line, column + pos

    def _expected(self, what: str) -> CaffeFormatError:
        received = repr(self.token.text[:40]) if self.token.text else "end of text"
        return self.error(f"Expected {what}; received: {received}")

    def _advance(self) -> Token:
        """Return the current token and moves on to the next."""
        last = self.token
        self.token = next_token(self.text, last.pos + len(last.text))
        if self.token.kind == "bad":
            raise self._expected("a name, a number, a closed string or one of {}<>[]:;")
        return last

    def _accept(self, mark: str) -> bool:
        if self.token.kind == "mark" and self.token.text in mark:
            self._advance()
            return True
        return False

    def _fields(self, message: Any, kind: str, closing: str) -> None:
        by_name = self._by_name[kind]
        while not (closing and self.token.text == closing):
            if not closing and self.token.kind == "end":
                return
            if self.token.kind != "name":
                raise self._expected(f"a field's name or {closing or 'the end'!r}")
            token = self._advance()
            spec = by_name.get(token.text)
            if spec and not self._is_type_of_a_fork(kind, spec):
                self._known(message, kind, spec, token)
            elif kind in _LAYERS:
                self._raw(message, token)
            else:
                self._unknown(token)
            self._accept(";,")
        self._advance()

    def _is_type_of_a_fork(self, kind: str, spec: schema.Field) -> bool:
        """Tell whether a V1 layer's type, a word there, is none of Caffe's own."""
        if kind != "V1LayerParameter" or spec.name != "type" or self.token.text != ":":
            return False
        word = next_token(self.text, self.token.pos + 1)
        return word.kind == "name" and word.text not in self.kinds.ENUMS[spec.type]

    def _known(self, message: Any, kind: str, spec: schema.Field, token: Token) -> None:
        is_layer = kind == "NetParameter" and spec.name in ("layer", "layers")
        self._path.append(spec.name)
        if not spec.repeated and message.HasField(spec.name):
            raise self.error("Expected the field once; received it again", token.pos)
        colon = self._accept(":")
        if not colon and spec.kind != "message":
            raise self._expected("':'")
        read = self._message if spec.kind == "message" else self._scalar
        if colon and spec.repeated and self._accept("["):
            self._list(lambda: self._one(read, message, spec, is_layer))
        else:
            self._one(read, message, spec, is_layer)
        self._path.pop()

    def _one(self, read, message: Any, spec: schema.Field, is_layer: bool) -> None:
        if not is_layer:
            return read(message, spec)
        self._layer, path, self._path = f"#{self._layers}", self._path, []
        self._layers += 1
        if self._layers > MAX_LAYERS:
            raise self.error(f"Expected at most {MAX_LAYERS:,} layers; received more")
        earlier = len(self.unknown)
        read(message, spec)
        layer = getattr(message, spec.name)[-1]
        name = layer.name or getattr(getattr(layer, "layer", None), "name", "")
        name = name or self._layer
        # The name may stand below the unknown field.
        found = [field._replace(layer=name) for field in self.unknown[earlier:]]
        self.unknown[earlier:] = found
        self._layer, self._path = None, path
        return None

    def _raw(self, layer: Any, name: Token) -> None:
        """Keep a field that the layer's type gives its meaning."""
        self._messages += 1
        self._limit_messages()
        start, line = name.pos + len(name.text), self._place(name.pos)
        self._path.append(name.text)
        end = self._skip_value()
        self._path.pop()
        value = self.text[start:end].encode("utf-8", "surrogateescape")
        layer.raw.add(name=name.text, value=value, line=line[0], column=line[1])

    def _list(self, read) -> None:
        while not self._accept("]"):
            read()
            if not self._accept(",") and self.token.text != "]":
                raise self._expected("',' or ']'")

    def _message(self, message: Any, spec: schema.Field) -> None:
        self._messages += 1
        self._limit_messages()
        if self.token.text not in ("{", "<"):
            raise self._expected("'{'")
        closing = _CLOSING[self._advance().text]
        child = getattr(message, spec.name)
        if spec.repeated:
            child = child.add()
        else:
            child.SetInParent()
        self._fields(child, spec.type, closing)

    def _limit_messages(self) -> None:
        if self._messages > MAX_MESSAGES:
            raise self.error(f"Expected at most {MAX_MESSAGES:,} blocks; received more")

    def _scalar(self, message: Any, spec: schema.Field) -> None:
        pos = self.token.pos
        value = self._read_value(spec)
        try:
            if spec.repeated:
                getattr(message, spec.name).append(value)
            else:
                setattr(message, spec.name, value)
        except (ValueError, OverflowError):
            problem = f"Expected a value of type {spec.type}; received: {value!r}"
            raise self.error(problem, pos) from None
        if spec.name == "name" and self._layer is not None and len(self._path) < 2:
            self._layer = value

    def _read_value(self, spec: schema.Field) -> Any:
        if spec.kind in ("string", "bytes"):
            return self._string(spec.kind)
        pos = self.token.pos
        sign = "-" if self._accept("-") else ""
        if self.token.kind not in ("name", "number"):
            raise self._expected(f"a value of type {spec.type}")
        word = sign + self._advance().text
        value = convert(word, spec, self.kinds.ENUMS)
        if value is None:
            expected = f"a value of type {spec.type}"
            if spec.kind == "enum":
                expected = f"one of {', '.join(self.kinds.ENUMS[spec.type])}"
            raise self.error(f"Expected {expected}; received: {word}", pos)
        return value

    def _string(self, kind: str) -> str | bytes:
        pos = self.token.pos
        if self.token.kind != "string":
            raise self._expected("a string in quotes")
        parts = []
        while self.token.kind == "string":
            raw = self.token.text[1:-1].encode("utf-8", "surrogateescape")
            try:
                parts.append(unescape(raw))
            except ValueError as error:
                raise self.error(str(error)) from None
            self._advance()
        value = b"".join(parts)
        try:
            return value.decode() if kind == "string" else value
        except UnicodeDecodeError:
            problem = f"Expected UTF-8 text; received: {value[:40]!r}"
            raise self.error(problem, pos) from None

    def _unknown(self, name: Token) -> None:
        """Step over a field that the schema does not have, and keep a record of it."""
        path = ".".join([*self._path, name.text])
        start = name.pos + len(name.text)
        value = self.text[start : self._skip_value()].lstrip(" :").strip()
        if len(self.unknown) < MAX_UNKNOWN:
            self.unknown.append(UnknownField(self._layer, path, value))

    def undeclared(self, closing: str = "") -> Undeclared:
        """Return fields that nobody declared, as they stand there."""
        found: dict[str, list] = {}
        while not (closing and self.token.text == closing):
            if not closing and self.token.kind == "end":
                return Undeclared(found)
            if self.token.kind != "name":
                raise self._expected(f"a field's name or {closing or 'the end'!r}")
            name = self._advance().text
            colon = self._accept(":")
            values = found.setdefault(name, [])
            if colon and self._accept("["):
                self._list(lambda values=values: values.append(self._bare_value()))
            else:
                values.append(self._bare_value())
            self._accept(";,")
        self._advance()
        return Undeclared(found)

    def _bare_value(self) -> Any:
        if self.token.text in ("{", "<"):
            self._messages += 1
            self._limit_messages()
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self.error(f"Expected at most {MAX_DEPTH} nested blocks")
            block = self.undeclared(_CLOSING[self._advance().text])
            self._depth -= 1
            return block
        if self.token.kind == "string":
            return self._string("string")
        sign = "-" if self._accept("-") else ""
        if self.token.kind not in ("name", "number"):
            raise self._expected("a value")
        return bare_value(sign + self._advance().text)

    def _skip_value(self) -> int:
        """Step over a field's value, whatever it is, and return where it ends."""
        colon = self._accept(":")
        if self.token.text in ("{", "<") or (colon and self.token.text == "["):
            return self._skip_block()
        if not colon:
            raise self._expected("':' or '{'")
        if self.token.kind == "string":
            while self.token.kind == "string":
                last = self._advance()
        else:
            self._accept("-")
            if self.token.kind not in ("name", "number"):
                raise self._expected("a value")
            last = self._advance()
        return last.pos + len(last.text)

    def _skip_block(self) -> int:
        stack: list[str] = []
        while True:
            token = self._advance()
            if token.kind == "end":
                raise self.error(f"Expected {stack[-1]!r}; received: end of text")
            if token.kind == "mark" and token.text in _CLOSING:
                stack.append(_CLOSING[token.text])
            elif (
                token.kind == "mark"
                and token.text in "}>]"
                and stack.pop() != token.text
            ):
                raise self.error("Expected matching brackets", token.pos)
            if not stack:
                return token.pos + len(token.text)
            if len(stack) > MAX_DEPTH:
                problem = f"Expected at most {MAX_DEPTH} nested blocks; received more"
                raise self.error(problem, token.pos)


def _by_name(kinds: schema.Schema) -> dict[str, dict[str, schema.Field]]:
    """Return the fields of each message by name, but for `raw`, which is in no file."""
    if kinds not in _BY_NAME:
        _BY_NAME[kinds] = {
            message: {x.name: x for x in fields.values() if x.type != "Raw"}
            for message, fields in kinds.SPEC.items()
        }
    return _BY_NAME[kinds]


_BY_NAME: dict[schema.Schema, dict] = {}
