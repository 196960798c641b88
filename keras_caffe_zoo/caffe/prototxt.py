"""Protobuf's text format, read with the schema's own table.

`google.protobuf.text_format` either refuses a fork's unknown fields or loses them
without a word; this parser keeps a note of each, bounds size and nesting, and names
line and column of every error.
"""

from __future__ import annotations

from typing import Any

from . import schema
from .errors import CaffeFormatError
from .skeleton import MAX_LAYERS, MAX_UNKNOWN, describe
from .tokens import Token, convert, next_token, unescape

MAX_DEPTH = 100
MAX_MESSAGES = 250_000

_CLOSING = {"{": "}", "<": ">", "[": "]"}


class Parser:
    """Parses one text into one message.

    Args:
        text: The text, undecodable bytes as surrogate escapes.
        source: Name for error messages.

    Attributes:
        unknown: Descriptions of the fields that the schema does not have.
    """

    def __init__(self, text: str, source: str):
        self.text, self.source = text, source
        self.unknown: dict[str, None] = {}
        self._layer: str | None = None
        self._path: list[str] = []
        self._messages = self._layers = 0
        self.token = Token("mark", "", 0)
        self._advance()

    def parse(self, kind: str) -> Any:
        """Returns the text as a message of type `kind`.

        Raises:
            CaffeFormatError: If the text is not one.
        """
        message = schema.MESSAGES[kind]()
        self._fields(message, kind, "")
        missing = message.FindInitializationErrors()
        if missing:
            raise CaffeFormatError(
                f"Expected a value for every required field; received none for: "
                f"{', '.join(missing)}",
                source=self.source,
            )
        return message

    def error(self, problem: str, pos: int | None = None) -> CaffeFormatError:
        """Returns (does not raise) an error at `pos` or at the current token."""
        pos = self.token.pos if pos is None else pos
        return CaffeFormatError(
            problem,
            source=self.source,
            layer=self._layer,
            field=".".join(self._path),
            line=self.text.count("\n", 0, pos) + 1,
            column=pos - self.text.rfind("\n", 0, pos),
        )

    def _expected(self, what: str) -> CaffeFormatError:
        received = repr(self.token.text[:40]) if self.token.text else "end of text"
        return self.error(f"Expected {what}; received: {received}")

    def _advance(self) -> Token:
        """Returns the current token and moves on to the next."""
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
        by_name = _BY_NAME[kind]
        while not (closing and self.token.text == closing):
            if not closing and self.token.kind == "end":
                return
            if self.token.kind != "name":
                raise self._expected(f"a field's name or {closing or 'the end'!r}")
            token = self._advance()
            if spec := by_name.get(token.text):
                self._known(message, kind, spec, token)
            else:
                self._unknown(token)
            self._accept(";,")
        self._advance()

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
        notes, self.unknown = self.unknown, {}
        read(message, spec)
        layer = getattr(message, spec.name)[-1]
        name = layer.name or getattr(getattr(layer, "layer", None), "name", "")
        for field in self.unknown:  # the name may stand below the unknown field
            if len(notes) < MAX_UNKNOWN:
                notes[describe(name or self._layer, field)] = None
        self._layer, self._path, self.unknown = None, path, notes
        return None

    def _list(self, read) -> None:
        while not self._accept("]"):
            read()
            if not self._accept(",") and self.token.text != "]":
                raise self._expected("',' or ']'")

    def _message(self, message: Any, spec: schema.Field) -> None:
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            raise self.error(f"Expected at most {MAX_MESSAGES:,} blocks; received more")
        if self.token.text not in ("{", "<"):
            raise self._expected("'{'")
        closing = _CLOSING[self._advance().text]
        child = getattr(message, spec.name)
        if spec.repeated:
            child = child.add()
        else:
            child.SetInParent()
        self._fields(child, spec.type, closing)

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
        value = convert(word, spec)
        if value is None:
            expected = f"a value of type {spec.type}"
            if spec.kind == "enum":
                expected = f"one of {', '.join(schema.ENUMS[spec.type])}"
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
        """Steps over a field that the schema does not have, and notes it."""
        field = ".".join([*self._path, name.text])
        if len(self.unknown) < MAX_UNKNOWN:
            note = field if self._layer is not None else describe(None, field)
            self.unknown[note] = None
        colon = self._accept(":")
        if self.token.text in ("{", "<") or (colon and self.token.text == "["):
            self._skip_block()
        elif not colon:
            raise self._expected("':' or '{'")
        elif self.token.kind == "string":
            while self.token.kind == "string":
                self._advance()
        else:
            self._accept("-")
            if self.token.kind not in ("name", "number"):
                raise self._expected("a value")
            self._advance()

    def _skip_block(self) -> None:
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
                return
            if len(stack) > MAX_DEPTH:
                problem = f"Expected at most {MAX_DEPTH} nested blocks; received more"
                raise self.error(problem, token.pos)


_BY_NAME = {
    message: {field.name: field for field in fields.values()}
    for message, fields in schema.SPEC.items()
}
