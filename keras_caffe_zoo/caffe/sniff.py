"""What kind of file this is, and what to say if it is the wrong one."""

from __future__ import annotations

import os

from keras_caffe_zoo.files import open_file
from keras_caffe_zoo.kinds import HEAD, kind_of

from .errors import CaffeFormatError
from .wire import Source

PathLike = str | os.PathLike

MAX_TEXT = 16 << 20
_HEAD = 64 << 10  # bytes that tell a file's kind
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_TODO = {
    "an empty file": "fetch it again",
    "a zip archive": "unpack it first",
    "a gzip archive": "unpack it first",
    "a 7z archive": "unpack it first",
    "a single NumPy array (.npy)": "read it with numpy.load",
    "markup, such as an HTML page": "the download failed, fetch it again",
}
_TEXT_CONTROLS = frozenset(b"\t\n\v\f\r")


def check_order(prototxt: PathLike, caffemodel: PathLike | None) -> None:
    """Check that a net's two files are not given the other way round.

    Args:
        prototxt: What is to be the definition.
        caffemodel: What is to be its weights; None if there are none.

    Raises:
        CaffeFormatError: If the first is binary and the second is text.
        OSError: If one of them cannot be read.
    """
    if caffemodel is None or _is_text(prototxt, "a prototxt"):
        return
    if _is_text(caffemodel, "a caffemodel"):
        raise CaffeFormatError(
            "Expected the prototxt first and the caffemodel second; received them the "
            f"other way round. Swap them: {caffemodel} {prototxt}"
        )


def _is_text(path: PathLike, expected: str) -> bool:
    with open_file(path, expected, buffering=0) as file:
        head = file.read(_HEAD)
    return bool(head) and _has_text(head)


def _has_text(head: bytes) -> bool:
    return all(byte >= 32 or byte in _TEXT_CONTROLS for byte in frozenset(head))


def sniff(source: Source, expected: str) -> bool:
    """Return whether the file is text; raises if it is plainly something else."""
    head = source.read(0, min(source.size, _HEAD))
    is_text = _has_text(head)
    if known := _neither(head, is_text):
        raise CaffeFormatError(
            f"Expected {expected}; received: {known}", source=source.name
        )
    return is_text


def _neither(head: bytes, is_text: bool) -> str:
    """Return what a file is that is none of Caffe's, and what to do; `""` if it may be.

    Markup is told in text only: a caffemodel with a name of 60 bytes begins with a
    line's end and `<`, too.
    """
    if head.startswith(_UTF16):
        return "UTF-16 text; save it as UTF-8"
    kind = kind_of(head[:HEAD])
    if kind.startswith(("markup", "an SVG")):
        sure = is_text
    elif kind.endswith(("picture", "document")):
        sure = not is_text
    else:
        sure = kind in _TODO or kind.startswith(("an HDF5", "a Git LFS"))
    todo = f"; {_TODO[kind]}" if kind in _TODO else ""
    return f"{kind}{todo}" if sure else ""


def read_text_file(path: PathLike) -> str:
    """Return the text of a prototxt; raises CaffeFormatError if it is none."""
    with open_file(path, "a prototxt", buffering=0) as file:
        source = Source(file, str(path))
        if not sniff(source, "a prototxt"):
            raise CaffeFormatError(
                "Expected a prototxt; received: binary data. If it is a caffemodel, "
                "give it in the second place, after the prototxt",
                source=source.name,
            )
        return read_text(source)


def read_text(source: Source) -> str:
    """Return a file's text, bytes that are not UTF-8 as surrogate escapes."""
    check_size(source.size, source.name)
    # Comments in old files come in many encodings; only strings must be UTF-8.
    text = source.read(0, source.size).decode("utf-8", "surrogateescape")
    return text.removeprefix("\ufeff")


def check_size(size: int, source: str) -> None:
    """Raise CaffeFormatError if a text is larger than any net's definition."""
    if size > MAX_TEXT:
        raise CaffeFormatError(
            f"Expected a text of at most {MAX_TEXT >> 20} MiB; received: "
            f"{size:,} bytes",
            source=source,
        )
