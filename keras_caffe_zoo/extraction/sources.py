"""Where pictures come from: folders, lists, arrays, datasets; one item at a time."""

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_caffe_zoo.extraction.block import Item
from keras_caffe_zoo.extraction.urls import (
    files_below,
    is_url,
    joined,
    parent,
    read_url,
)
from keras_caffe_zoo.files import check_file, open_file
from keras_caffe_zoo.pictures import has_suffix, picture_names

_LABEL = re.compile(r"(?<=\S)\s+-?\d+$")  # Caffe's lists: "cats/tom.jpg 281"


@dataclass
class PictureSource:
    """Pictures in their order.

    Attributes:
        entries: `(name, data)` of each, see `Item`; read once.
        total: How many there are; None if nobody knows.
        in_memory: Whether the first is an array, so that many of them take room.
    """

    entries: Iterable[tuple[str, str | bytes | np.ndarray]]
    total: int | None
    in_memory: bool = False

    def items(self) -> Iterator[Item]:
        """Yield the items."""
        for index, (name, data) in enumerate(self.entries):
            yield Item(index, printable(name), data)


def open_source(source) -> PictureSource:
    """Return the pictures of a source of any kind.

    Args:
        source: One of
            - a folder: all files below it with a picture's suffix, sorted by name,
              which is the path from the folder on, with `/`. Hidden files and folders
              are passed over, and folders behind symbolic links.
            - a picture.
            - a list, which is any other file: one path a line, relative to the list's
              folder; an integer label after it, as in Caffe's lists, is passed over.
            - the URL of one of these, for fsspec: `s3://bucket/photos`.
            - an iterable of paths and RGB uint8 arrays (H, W, 3); an array's name is
              its place.
            - a `tf.data.Dataset` of such arrays, or of batches of them.

    Raises:
        ValueError: If it is none of these, or holds no picture.
        OSError: If it cannot be read.
    """
    if isinstance(source, PictureSource):
        return source
    if is_url(source):
        return _from_url(source)
    if isinstance(source, str | os.PathLike):
        return _from_path(Path(source))
    if hasattr(source, "element_spec") and hasattr(source, "as_numpy_iterator"):
        return _from_dataset(source)
    if isinstance(source, np.ndarray):
        _check_pixels(source, batch=True)
    if not isinstance(source, Iterable) or isinstance(source, bytes | dict):
        raise ValueError(
            "Expected a folder, a list file, an iterable of arrays or paths, or a "
            f"tf.data.Dataset; received: {type(source).__name__}"
        )
    entries = (_entry(place, one) for place, one in enumerate(source))
    total = len(source) if hasattr(source, "__len__") else None
    start = list(itertools.islice(entries, 1))
    in_memory = bool(start) and isinstance(start[0][1], np.ndarray)
    return PictureSource(itertools.chain(start, entries), total, in_memory)


def join_sources(paths: Iterable[str | os.PathLike]) -> PictureSource:
    """Return the pictures of several folders, lists and pictures, one after another.

    Of one path it is `open_source`. Of several, each picture's name begins with the
    path that it came from, so that names differ.
    """
    paths = list(paths)
    if len(paths) == 1:
        return open_source(paths[0])
    opened = [(path, open_source(path)) for path in paths]
    entries = itertools.chain.from_iterable(
        ((_below(path, name, data), data) for name, data in source.entries)
        for path, source in opened
    )
    return PictureSource(entries, sum(source.total for _, source in opened))


def _below(path: str | os.PathLike, name: str, data: str) -> str:
    """Name a picture by the path it came from: a folder, a list, or itself."""
    if is_url(data):
        return data
    path = Path(path)
    return ((path if path.is_dir() else path.parent) / name).as_posix()


def printable(name: str) -> str:
    """Return a file's name with what is no UTF-8 in it spelt out."""
    return name.encode("utf-8", "backslashreplace").decode()


def _from_path(path: Path) -> PictureSource:
    if path.is_dir():
        names = picture_names(path)
        _check_any(names, f"{path}, which has no file with a picture's suffix")
        return PictureSource(((n, os.path.join(path, n)) for n in names), len(names))
    if has_suffix(path.name):
        check_file(path, "a picture")
        return PictureSource([(path.name, os.fspath(path))], 1)
    expected = "a folder, a picture, or a list of pictures"
    with open_file(path, expected) as file:
        names = _listed(file.read(), path)
    pairs = ((n, n if is_url(n) else os.path.join(path.parent, n)) for n in names)
    return PictureSource(pairs, len(names))


def _from_url(url: str) -> PictureSource:
    folder = url
    if has_suffix(url):
        return PictureSource([(url.rsplit("/", 1)[1], url)], 1)
    below = files_below(url)
    if below is None:
        names, folder = _listed(read_url(url), url), parent(url)
    else:
        names = sorted(name for name in below if has_suffix(name))
        _check_any(names, f"{url}, which has no file with a picture's suffix")
    return PictureSource(((name, joined(folder, name)) for name in names), len(names))


def _check_any(names: list[str], received: str) -> None:
    if not names:
        raise ValueError(f"Expected at least one picture; received: {received}")


def _listed(data: bytes, path: Path | str) -> list[str]:
    try:
        lines = data.decode("utf-8-sig").splitlines()
        if any("\0" in line for line in lines):
            raise ValueError("it holds zeros")
    except ValueError as error:
        raise ValueError(
            "Expected a folder, a picture with a known suffix, or a list of paths as "
            f"UTF-8 text; received: {path} ({error})"
        ) from error
    names = [_LABEL.sub("", line.strip()) for line in lines if line.strip()]
    _check_any(names, f"{path}, an empty list")
    return names


def _entry(place: int, one) -> tuple[str, str | np.ndarray]:
    if isinstance(one, str | os.PathLike):
        path = os.fspath(one)
        return path if is_url(path) else Path(path).as_posix(), path
    pixels = np.asarray(one)
    _check_pixels(pixels)
    return str(place), pixels


def _check_pixels(pixels: np.ndarray, batch: bool = False) -> None:
    shape = pixels.shape[1:] if batch else pixels.shape
    if pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        expected = "a batch (N, H, W, 3) of" if batch else "paths or"
        raise ValueError(
            f"Expected {expected} RGB uint8 arrays (H, W, 3); received: {pixels.dtype}"
            f" {pixels.shape}"
        )


def _from_dataset(dataset) -> PictureSource:
    spec = dataset.element_spec
    shape, dtype = getattr(spec, "shape", None), getattr(spec, "dtype", None)
    rank = getattr(shape, "rank", None)
    if dtype != "uint8" or rank not in (3, 4) or shape[-1] not in (3, None):
        raise ValueError(
            "Expected a dataset of RGB uint8 images (H, W, 3) or batches of them; "
            f"received: elements {spec}. Choose and cast with dataset.map(…)."
        )
    count = int(dataset.cardinality())
    elements = dataset.as_numpy_iterator()
    if rank == 4:
        elements = itertools.chain.from_iterable(elements)
    entries = (_entry(place, pixels) for place, pixels in enumerate(elements))
    total = count if rank == 3 and count >= 0 else None
    return PictureSource(entries, total, in_memory=True)


def require_any(items: Iterator[Item]) -> Iterator[Item]:
    """Return the items, of which there must be one.

    Raises:
        ValueError: If there is none.
    """
    for first in items:
        return itertools.chain([first], items)
    raise ValueError("Expected at least one picture; received: none")


def blocks_of(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in blocks that end before the multiples of a size."""
    for _, block in itertools.groupby(items, lambda item: item.index // size):
        yield list(block)
