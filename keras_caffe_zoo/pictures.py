"""Picture files of every kind, as RGB arrays."""

import contextlib
import functools
import io
import os
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from keras_caffe_zoo.files import check_is_folder, open_file
from keras_caffe_zoo.kinds import HEAD, READ, kind_of
from keras_caffe_zoo.messages import shortened

# What Pillow knows by name only, what it starts another program for, and formats
# without pixels.
_REFUSED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
_JPEG = ("JPEG", "MPO")
_GREY_MODES = ("1", "L", "LA")
# Weights of red, green and blue, what is added, and the bits that are cut.
_GREY = ((4899, 9617, 1868), 1 << 13, 14)
_PNG_GREY = ((9797, 19234, 3737), 0, 15)
_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureError(ValueError):
    """A file that is no picture, or a damaged one.

    Attributes:
        reason: What is wrong with it, in a few words, without its name.
    """

    def __init__(self, source, reason: str):
        name = "bytes" if isinstance(source, bytes) else os.fspath(source)
        super().__init__(
            f"Expected a picture that Pillow can read; received: {name} ({reason})"
        )
        self.reason = reason


class _UnknownRange(Exception):
    """Numbers of which nobody tells which is white."""


class _NoNumbers(Exception):
    """Colours in place of numbers."""


class _SixteenBits(Exception):
    """Numbers that Caffe does not take."""


@functools.cache
def picture_formats() -> tuple[str, ...]:
    """Return the formats that `read_picture` reads, Pillow's names, JPEG first."""
    Image.init()
    return tuple(sorted(Image.OPEN.keys() - _REFUSED, key=lambda f: (f != "JPEG", f)))


@functools.cache
def picture_suffixes() -> frozenset[str]:
    """Return the suffixes of these formats, in lower case, such as `.jpg`."""
    formats = set(picture_formats())
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name in formats)


def has_suffix(name: str) -> bool:
    """Tell whether a file's name has a suffix of these formats."""
    return os.path.splitext(name)[1].lower() in picture_suffixes()


def picture_names(folder: str | os.PathLike) -> list[str]:
    """Return the files below a folder with a picture's suffix, sorted.

    A name is the path from the folder on, with `/`. Hidden files and folders are passed
    over, and folders behind symbolic links.

    Raises:
        OSError: If the folder cannot be read.
    """
    check_is_folder(folder, "a folder of pictures")
    return sorted(_files_below(os.fspath(folder), ""))


def _files_below(folder: str, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(entry.path, f"{prefix}{name}/")
            elif has_suffix(name) and not entry.is_dir():
                yield prefix + name


def read_picture(
    source: str | os.PathLike | bytes, *, upright: bool = True
) -> np.ndarray:
    """Return a picture as an RGB uint8 array `(H, W, 3)`.

    Its EXIF orientation is applied; of an animation it is the first frame; an alpha
    channel is dropped; 16 bits become the upper 8, as OpenCV reads them.

    Args:
        source: A path, or the bytes of a file.
        upright: Whether the orientation is applied; for a picture that something else
            was drawn over as it is stored, it is not.

    Raises:
        PictureError: A `ValueError`, if it is no picture, a damaged one, one of more
            pixels than `PIL.Image.MAX_IMAGE_PIXELS`, or one of 32 bits a channel,
            whose range no file tells.
        OSError: If there is no such file, or it may not be read.

    Example:
        >>> from keras_caffe_zoo.preprocessing import read_picture
        >>> keras.utils.save_img("grey.png", np.full((4, 6, 1), 90), scale=False)
        >>> read_picture("grey.png").shape, read_picture("grey.png")[0, 0].tolist()
        ((4, 6, 3), [90, 90, 90])
    """
    return _read(source, _rgb if upright else _rgb_as_stored)


def read_numbers(source: str | os.PathLike | bytes) -> np.ndarray:
    """Return the numbers `(H, W)` that a picture has in place of colours.

    Those of a palette's colours, or greys of 1, 8, 16 or 32 bits, as they are stored:
    maps of labels and depths are kept so.

    Args:
        source: A path, or the bytes of a file.

    Raises:
        PictureError: A `ValueError`, if it is no such picture, or as of `read_picture`.
        OSError: If there is no such file, or it may not be read.
    """
    return _read(source, _numbers)


def read_bgr(source: str | os.PathLike | bytes) -> np.ndarray:
    """Return what `read_picture` does, with the channels as OpenCV has them, BGR."""
    return _read(source, _bgr)


def read_grey(source: str | os.PathLike | bytes) -> np.ndarray:
    """Return a picture in grey, uint8 `(H, W, 1)`, as OpenCV reads it in grey.

    A JPEG's is the luma that is in the file; colours of a PNG are mixed as libpng does
    it, others in OpenCV's 14 bits. For the rest as `read_picture`.
    """
    return _read(source, _grey)


def read_stored(source: str | os.PathLike | bytes) -> np.ndarray:
    """Return a picture as it is stored, as OpenCV reads it "unchanged".

    Its EXIF orientation is not applied.

    Args:
        source: A path, or the bytes of a file.

    Returns:
        uint8 `(H, W, C)`: BGR, grey, or BGRA where anything in it may be transparent;
        grey with an alpha channel is BGRA too.

    Raises:
        PictureError: As for `read_picture`, and if it has 16 bits a channel.
        OSError: As for `read_picture`.
    """
    return _read(source, _stored)


@contextlib.contextmanager
def silent_pillow() -> Iterator[None]:
    """Silence Pillow's warnings in all threads: of damage, which is reported anyway."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _read(source, pixels: Callable) -> np.ndarray:
    """Return what `pixels` makes of a picture that Pillow has opened."""
    if isinstance(source, bytes):
        return _read_file(io.BytesIO(source), source, pixels)
    try:
        file = open_file(source, "a picture", near=False)
    except ValueError as error:
        raise PictureError(source, f"no file's name: {error}") from error
    with file:
        return _read_file(file, source, pixels)


def _read_file(file, source, pixels: Callable) -> np.ndarray:
    try:
        with Image.open(file, formats=picture_formats()) as picture:
            _check_size(picture)
            return pixels(picture)
    except Exception as error:  # hostile bytes make Pillow raise anything at all
        raise PictureError(source, _reason(error, file)) from error


def _check_size(picture) -> None:
    """Refuse what Pillow only warns of: no thread can turn that warning into an error.

    Pillow itself refuses from twice its limit.
    """
    limit, (width, height) = Image.MAX_IMAGE_PIXELS, picture.size
    if limit is not None and width * height > limit:
        raise Image.DecompressionBombError(f"{width} x {height} pixels")


def _upright(picture):
    """Turn a picture as its EXIF orientation says.

    (`ImageOps.exif_transpose` copies all pictures, and rewrites the EXIF data, which
    fails where other tags are junk.)
    """
    method = _UPRIGHT.get(picture.getexif().get(_ORIENTATION))
    return picture if method is None else picture.transpose(method)


def _rgb(picture) -> np.ndarray:
    return _colours(_upright(picture), picture.format)


def _rgb_as_stored(picture) -> np.ndarray:
    return _colours(picture, picture.format)


def _numbers(picture) -> np.ndarray:
    if picture.mode not in ("1", "L", "P", "I", "F") and picture.mode[:4] != "I;16":
        raise _NoNumbers(f"colours in place of numbers: mode {picture.mode}")
    return np.asarray(picture)


def _colours(picture, file_format: str) -> np.ndarray:
    if picture.mode == "RGB":
        return np.asarray(picture)
    if _is_deep_grey(picture, file_format):
        return np.repeat(_upper_bits(picture), 3, axis=2)
    if picture.mode in ("I", "F"):
        raise _UnknownRange(f"32 bits a pixel, as {picture.mode}")
    picture.info.pop("transparency", None)  # of a palette: Pillow warns of it
    return np.asarray(picture.convert("RGB"))


def _bgr(picture) -> np.ndarray:
    return _in_bgr(_upright(picture), picture.format)


def _in_bgr(picture, file_format: str) -> np.ndarray:
    if picture.mode != "RGB":
        return _colours(picture, file_format)[..., ::-1]
    pixels = np.frombuffer(picture.tobytes("raw", "BGR"), "uint8")
    return pixels.reshape(picture.height, picture.width, 3)


def _grey(picture) -> np.ndarray:
    file_format = picture.format
    if file_format in _JPEG:
        picture.draft("L", None)  # the luma as it is; no chroma is decoded
    picture = _upright(picture)
    if picture.mode in _GREY_MODES:
        return np.asarray(picture.convert("L"))[..., None]
    if _is_deep_grey(picture, file_format):
        return _upper_bits(picture)
    return mixed_grey(_colours(picture, file_format), as_png=file_format == "PNG")


def mixed_grey(image: np.ndarray, as_png: bool = False) -> np.ndarray:
    """Return RGB uint8 `(H, W, 3)` in grey, `(H, W, 1)`, as OpenCV mixes colours.

    Args:
        image: The colours.
        as_png: Whether they are mixed as libpng does it while it reads a file: with
            weights of 15 bits, and cut; else with weights of 14 bits, and rounded.
    """
    weights, half, bits = _PNG_GREY if as_png else _GREY
    channels = (image[..., c].astype("int32") for c in range(3))
    mixed = sum(weight * one for weight, one in zip(weights, channels, strict=True))
    return ((mixed + half) >> bits).astype("uint8")[..., None]


def _stored(picture) -> np.ndarray:
    file_format, mode = picture.format, picture.mode
    if _is_deep_grey(picture, file_format) or any(
        "16" in str(tile.args) for tile in picture.tile if file_format == "PNG"
    ):
        raise _SixteenBits("16 bits a channel: Caffe refuses them as they are stored")
    if mode in ("1", "L"):
        return np.asarray(picture.convert("L"))[..., None]
    if "A" in mode or ("transparency" in picture.info and mode in ("P", "RGB")):
        return np.asarray(picture.convert("RGBA"))[..., [2, 1, 0, 3]]
    return _in_bgr(picture, file_format)


def _is_deep_grey(picture, file_format: str) -> bool:
    deep = picture.mode == "I" and file_format in ("PNG", "PPM")
    return deep or picture.mode.startswith("I;16")


def _upper_bits(picture) -> np.ndarray:
    return (np.asarray(picture) >> 8).astype("uint8")[..., None]


def _reason(error: Exception, file) -> str:
    """Say in a few words what is wrong with a file."""
    said = str(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"decompression bomb: more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, _UnknownRange | _SixteenBits | _NoNumbers):
        return said
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if not file.seek(0, os.SEEK_END):
        return "empty file"
    if isinstance(error, Image.UnidentifiedImageError):
        file.seek(0)
        kind = kind_of(file.read(HEAD))
        if kind in READ:
            return f"no picture: it begins like {kind}, and goes on like none"
        if kind.endswith("picture"):
            return f"{kind}, which Pillow does not read. Convert it to JPEG or PNG"
        return f"no picture, but {kind or 'a file that Pillow does not know'}"
    if "truncat" in said.lower() or isinstance(error, EOFError):
        return "truncated"
    kind = (
        ""
        if isinstance(error, OSError | ValueError | SyntaxError)
        else type(error).__name__
    )
    return shortened(f"damaged: {' '.join(filter(None, (kind, said)))}", 200)
