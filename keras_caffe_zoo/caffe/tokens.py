"""Words of protobuf's text format, and what they mean."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from . import schema

_SPACE = re.compile(r"[ \t\n\r\f\v]*")
_COMMENT = re.compile(r"#[^\n]*")
_TOKEN = re.compile(
    r"""(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?)
        (?![\w.]))
    |(?P<string>"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')
    |(?P<mark>[{}<>\[\]:;,-])""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(
    rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})"
    rb"|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))",
    re.DOTALL,
)
_LETTERS = dict(zip(b"abfnrtv\\'\"?", b"\a\b\f\n\r\t\v\\'\"?", strict=True))
_BOOLS = {
    **dict.fromkeys(("true", "True", "t", "1", "0x1", "01"), True),
    **dict.fromkeys(("false", "False", "f", "0", "0x0", "00"), False),
}
_INTEGER = re.compile(r"-?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")


class Token(NamedTuple):
    """One word of the text: its kind, itself, and where it starts.

    The kind is `"name"`, `"number"`, `"string"`, `"mark"`, `"end"` or `"bad"`.
    """

    kind: str
    text: str
    pos: int


def next_token(text: str, pos: int) -> Token:
    """Return the first token at or after `pos`, past spaces and comments."""
    pos = _SPACE.match(text, pos).end()
    while comment := _COMMENT.match(text, pos):
        pos = _SPACE.match(text, comment.end()).end()
    if match := _TOKEN.match(text, pos):
        return Token(match.lastgroup, match.group(), pos)
    kind = "bad" if pos < len(text) else "end"
    return Token(kind, text[pos : pos + 20].partition("\n")[0], pos)


def unescape(quoted: bytes) -> bytes:
    """Return a string literal's value, its C escape sequences resolved.

    Raises:
        ValueError: If one of them does not exist.
    """
    return _ESCAPE.sub(_unescape, quoted)


def convert(word: str, spec: schema.Field, enums: dict = schema.ENUMS) -> Any:
    """Return the value of a word that is not a string, or None."""
    if spec.kind == "bool":
        return _BOOLS.get(word)
    if spec.kind in ("float", "double"):
        return _float(word)
    if spec.kind == "enum" and word in enums[spec.type]:
        return enums[spec.type][word]
    if not _INTEGER.fullmatch(word) or len(word) > 30:
        return None
    octal = re.fullmatch(r"(-?)0([0-7]+)", word)
    value = int(octal[1] + octal[2], 8) if octal else int(word, 0)
    if spec.kind == "enum" and value not in enums[spec.type].values():
        return None
    return value


def bare_value(word: str) -> int | float | bool | str:
    """Return the value of a word whose type nobody declared."""
    if word in ("true", "false"):
        return word == "true"
    if _INTEGER.fullmatch(word) and len(word) <= 30:
        return int(word, 8) if re.fullmatch("-?0[0-7]+", word) else int(word, 0)
    value = _float(word)
    return word if value is None else value


def _float(word: str) -> float | None:
    bare = word.lower().removeprefix("-")
    if bare in ("inf", "infinity", "nan", "inff", "nanf"):
        value = float(bare[:-1] if bare in ("inff", "nanf") else bare)
        return -value if word[0] == "-" else value
    if re.match(r"0x|0[0-9]|[a-z_]", bare):
        return None
    return float(word.rstrip("fF"))


def _unescape(match: re.Match) -> bytes:
    octal, byte, short, long, other = match.groups()
    if octal or byte:
        code = int(octal, 8) if octal else int(byte, 16)
        if code > 255:
            raise ValueError(
                f"Expected an octal escape of a byte; received: {match[0]}"
            )
        return bytes([code])
    if short or long:
        code = int(short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError(f"Expected a Unicode character; received: {match[0]!r}")
        return chr(code).encode()
    if other[0] not in _LETTERS:
        raise ValueError(f"Expected a C escape sequence; received: {match[0]!r}")
    return bytes([_LETTERS[other[0]]])
