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
_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"\x93NUMPY", "a NumPy file; read it with numpy.load"),
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file with git lfs pull"),
)  # fmt: skip
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
    if caffemodel is not None and not _is_text(prototxt) and _is_text(caffemodel):
        raise CaffeFormatError(
            "Expected the prototxt first and the caffemodel second; received them the "
            f"other way round. Swap them: {caffemodel} {prototxt}"
        )


def _is_text(path: PathLike) -> bool:
    with open(path, "rb", buffering=0) as file:
        head = file.read(_HEAD)
    return bool(head) and _has_text(head)


def _has_text(head: bytes) -> bool:
    return all(byte >= 32 or byte in _TEXT_CONTROLS for byte in frozenset(head))


def sniff(source: Source, expected: str) -> bool:
    """Return whether the file is text; raises if it is plainly something else."""
    head = source.read(0, min(source.size, _HEAD))
    known = next((what for magic, what in _MAGIC if head.startswith(magic)), None)
    is_text = _has_text(head)
    # Only in text: "\n<" is also how a caffemodel with a name of 60 bytes starts.
    if is_text and head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        known = "markup such as an HTML page; the download failed, fetch it again"
    kind = kind_of(head[:HEAD])
    if not is_text and known is None and kind.endswith(("picture", "document")):
        known = kind
    if not source.size:
        known = "an empty file; fetch it again"
    if known:
        raise CaffeFormatError(
            f"Expected {expected}; received: {known}", source=source.name
        )
    return is_text


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
