"""What a file plainly is, told by how it begins, or by the end of its name."""

import codecs
import os

from keras_caffe_zoo.messages import one_line, shortened

# Ends of the names of nets' files.
DEFINITIONS = (".prototxt", ".pt", ".pbtxt")  # Caffe's
WEIGHTS = (".caffemodel", ".h5")
KERAS = ".keras"

HEAD = 4096  # bytes that tell it
READ = ("a JPEG picture", "a PNG picture", "a GIF picture")  # by everybody
_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x93NUMPY", "a single NumPy array (.npy)"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch it with git lfs pull"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x1aE\xdf\xa3", "a film (Matroska or WebM)"),
)
_BOXED = {  # after the word `ftyp`
    b"heic": "a HEIC picture",
    b"heix": "a HEIC picture",
    b"mif1": "a HEIF picture",
    b"avif": "an AVIF picture",
}
_PICKLED = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_CONTROLS = frozenset(b"\t\n\v\f\r")
_SHOWN = 40  # characters of a text


def kind_of(head: bytes) -> str:
    """Return what a file begins like, as `"an HDF5 file"`; `""` if nobody knows.

    Args:
        head: Its first bytes, `HEAD` of them if there are so many.
    """
    if not head:
        return "an empty file"
    if known := _magic(head):
        return known
    if not any(head):
        return "nothing but zeros"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not all(byte >= 32 or byte in _CONTROLS for byte in frozenset(head)):
        return "a pickle, which is never read" if head.startswith(_PICKLED) else ""
    if text.startswith(b"<"):
        return "an SVG drawing" if b"<svg" in text else "markup, such as an HTML page"
    try:
        # The head may end within a character.
        whole = codecs.getincrementaldecoder("utf-8")().decode(text)
    except UnicodeDecodeError:
        return ""
    first = whole.split("\n", 1)[0].strip()
    return f"text that begins {shortened(one_line(first), _SHOWN)!r}"


def ending(path: str | os.PathLike) -> str:
    """Return the end of a file's name, with its dot, in small letters."""
    return os.path.splitext(os.fspath(path))[1].lower()


def _magic(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return _BOXED.get(head[8:12], "a film (MP4 or the like)")
    return next((what for magic, what in _MAGIC if head.startswith(magic)), "")
