"""A block: some consecutive pictures, what the net says of them, and its file.

The file is an uncompressed `.npz`, in which zip keeps a checksum of every array. It is
stamped with the extraction it belongs to, so that no other's is ever taken for it.
"""

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from keras_caffe_zoo.files import replacing

FORMAT = "keras_caffe_zoo features, part"


class Item(NamedTuple):
    """One picture of a source.

    Attributes:
        index: Its place in the source.
        name: What it is called in the results.
        data: The path of its file, the bytes of its file, or its pixels: an RGB uint8
            array (H, W, 3).
    """

    index: int
    name: str
    data: str | bytes | np.ndarray


class Bad(NamedTuple):
    """A picture without features: its place, its name, and why."""

    index: int
    name: str
    reason: str


@dataclass
class Block:
    """The features of the pictures from `first` on.

    Attributes:
        first: Index of its first picture, good or bad.
        index: Indices of the good pictures, int64 (rows,).
        names: Their names.
        values: By layer, one row for each of them.
        bad: The pictures that could not be read.
    """

    first: int
    index: np.ndarray
    names: list[str]
    values: dict[str, np.ndarray]
    bad: list[Bad] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many pictures it is about, good and bad."""
        return len(self.names) + len(self.bad)

    def item_names(self) -> list[str]:
        """Return the names of all its pictures, good and bad, in order."""
        both = [*zip(self.index.tolist(), self.names, strict=True)]
        both += [(bad.index, bad.name) for bad in self.bad]
        return [name for _, name in sorted(both)]


def save_block(path: str | os.PathLike, block: Block, stamp: str) -> None:
    """Write a block's file; it appears whole or not at all.

    Args:
        path: The file, whose name ends in `.npz`.
        block: The block.
        stamp: What tells its extraction from others.
    """
    header = {
        "format": FORMAT,
        "stamp": stamp,
        "first": block.first,
        "names": block.names,
        "layers": list(block.values),
        "bad": block.bad,
    }
    text = np.frombuffer(json.dumps(header).encode(), "uint8")
    arrays = {f"layer{i}": array for i, array in enumerate(block.values.values())}
    with replacing(path) as file:
        np.savez(file, header=text, index=block.index, **arrays)


def load_block(path: str | os.PathLike, stamp: str) -> Block:
    """Read a block's file.

    Raises:
        ValueError: If it is damaged, or of another extraction.
    """
    try:  # NumPy itself leaves a damaged file open
        with open(path, "rb") as part, np.load(part, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            _check(header, stamp)
            values = {
                name: file[f"layer{i}"] for i, name in enumerate(header["layers"])
            }
            index = file["index"]
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"Expected a whole part of this extraction; received: {path} ({error})"
        ) from error
    bad = [Bad(*one) for one in header["bad"]]
    block = Block(header["first"], index, header["names"], values, bad)
    _check_rows(path, block)
    return block


def _check(header: dict, stamp: str) -> None:
    if header.get("format") != FORMAT or header.get("stamp") != stamp:
        raise ValueError("of another extraction")


def _check_rows(path, block: Block) -> None:
    indices = sorted([*block.index.tolist(), *(bad.index for bad in block.bad)])
    rows = {len(array) for array in (block.index, *block.values.values())}
    if indices != _places(block) or rows != {len(block.names)}:
        raise ValueError(
            f"Expected one row for each picture; received: {path}, which counts "
            f"{sorted(rows)} rows for {len(block.names)} names"
        )


def _places(block: Block) -> Sequence[int]:
    return list(range(block.first, block.first + block.count))
