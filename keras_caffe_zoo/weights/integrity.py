"""Is a file what it should be?

A published file is told by its size and digests, or else by what is inside.

A converted one bears a seal. HDF5 does not check itself: a flipped bit may rename a
layer, tell another shape, or crash the library. So a record of the file's bytes is
appended to it, which HDF5 passes over, and is read before HDF5 sees the file: a digest
of all bytes that say what lies where, quick to check each time, and a crc32 of each
array that has one of its own in the file, with which it is checked when it is read.

    [HDF5 file] [record, JSON] [sha256 of the record] [its length, 8 bytes] [MAGIC]
"""

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import h5py

from keras_caffe_zoo.caffe import read_caffemodel
from keras_caffe_zoo.weights.manifest import ModelEntry, Shape, WeightFile

MAX_BYTES = 2 * 1024**3  # no published net is larger; a bound where no size is known
CHUNK_BYTES = 1 << 20
MAGIC = b"KCZSEAL1"
_TAIL_BYTES = 32 + 8 + len(MAGIC)

Extent = tuple[str, int, int, int]  # array, offset, length, crc32


def verify_file(path: str | os.PathLike, file: WeightFile) -> None:
    """Compare a file on disk with the size and every digest the manifest knows.

    Raises:
        ValueError: If it is another file; says what was expected and received.
    """
    meter = Meter(file)
    with open(path, "rb") as handle:
        while chunk := handle.read(CHUNK_BYTES):
            meter.add(chunk)
    meter.verify()


def sha256_of(path: str | os.PathLike) -> str:
    """Return the hex sha256 of a file on disk."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def check_names_and_shapes(path: Path, entry: ModelEntry) -> None:
    """Where no checksum was published, compare layer names and shapes instead.

    Layers that only the file has are another file's, unless it is not known how much
    the published one holds.

    Raises:
        ValueError: If a layer differs from the manifest, or it is no caffemodel.
    """
    if entry.file.hashes:
        return
    found = {
        layer: tuple(_essential(blob.shape) for blob in blobs)
        for layer, blobs in read_caffemodel(path).items()
        if blobs
    }
    others = found.keys() if entry.file.payload_bytes else set()
    for layer in sorted(others | entry.blobs.keys()):
        expected = tuple(map(_essential, entry.blobs.get(layer, ())))
        if expected != found.get(layer, ()):
            received = found.get(layer, "no such layer")
            raise ValueError(
                f"Expected layer {layer!r} with shapes {expected or 'absent'}; "
                f"received: {received}"
            )


def _essential(shape: Shape) -> Shape:
    """Drop leading ones: old files store `(N,)` as `(1, 1, 1, N)`."""
    while shape and shape[0] == 1:
        shape = shape[1:]
    return tuple(shape)


class Meter:
    """Counts and hashes bytes as they pass; `limit` is the most there may be."""

    def __init__(self, file: WeightFile):
        self.file = file
        self.size = 0
        self.limit = file.size or MAX_BYTES
        self.digests = {name: hashlib.new(name) for name in file.hashes}

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.size += len(chunk)
        for digest in self.digests.values():
            digest.update(chunk)

    def verify(self) -> None:
        """Raise `ValueError` unless these were the published bytes."""
        file = self.file
        if file.size is not None and self.size != file.size:
            raise ValueError(f"Expected {file.size} bytes; received: {self.size} bytes")
        if self.size < (file.payload_bytes or 1):
            least = file.payload_bytes or 1
            raise ValueError(
                f"Expected at least {least} bytes; received: {self.size} bytes"
            )
        for name, expected in file.hashes.items():
            received = self.digests[name].hexdigest()
            if received != expected:
                raise ValueError(f"Expected {name} {expected}; received: {received}")


@dataclass(frozen=True)
class Seal:
    """What a whole file is made of.

    Attributes:
        source_sha256: Digest of the published file that it was made from.
        size: Bytes before the record.
        structure_sha256: Digest of all of them but the arrays.
        arrays: Where each array lies, in order of offset.
    """

    source_sha256: str
    size: int
    structure_sha256: str
    arrays: list[Extent]


def seal(path: Path, source_sha256: str) -> None:
    """Mark a file as whole; the last thing that is written to it."""
    size, extents = path.stat().st_size, _extents(path)
    with open(path, "r+b") as file:
        arrays = [(*one, _crc32(file, *one[1:])) for one in extents]
        structure = _structure(file, size, arrays)
        record = Seal(source_sha256, size, structure, arrays)
        text = json.dumps(asdict(record)).encode()
        length = len(text).to_bytes(8, "little")
        file.seek(size)
        file.write(text + hashlib.sha256(text).digest() + length + MAGIC)


def is_sealed(path: Path) -> bool:
    """Tell whether the structure is as written and the file bears its source's name.

    Quick: reads no array.
    """
    try:
        check_layout(path)
    except (ValueError, OSError):
        return False
    return True


def check_layout(path: Path) -> Seal:
    """Return the seal if the file's structure is as written.

    Raises:
        ValueError: If it is not.
    """
    with open(path, "rb") as file:
        found = _read(file)
        if found.source_sha256[:16] != path.stem[-16:]:
            raise ValueError(
                "Expected a file made from the source that its name tells; received: "
                f"one made from {found.source_sha256}"
            )
        if _structure(file, found.size, found.arrays) != found.structure_sha256:
            raise ValueError("Expected the bytes that were written; received: others")
    return found


def check_sealed(path: Path) -> None:
    """Read the whole file and compare it with what was written.

    Raises:
        ValueError: If anything differs.
    """
    found = check_layout(path)
    with open(path, "rb") as file:
        for name, offset, length, expected in found.arrays:
            if _crc32(file, offset, length) != expected:
                raise ValueError(f"Expected an intact array {name}; received: another")


def _extents(path: Path) -> list[tuple[str, int, int]]:
    """Return where the arrays lie; text and what HDF5 keeps in pieces is structure."""
    found = []

    def visit(name: str, item: h5py.HLObject) -> None:
        if "crc32" in item.attrs and item.id.get_offset() is not None:
            found.append((name, item.id.get_offset(), item.id.get_storage_size()))

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return sorted(found, key=lambda one: one[1])


def _read(file: BinaryIO) -> Seal:
    total = file.seek(0, os.SEEK_END)
    file.seek(max(0, total - _TAIL_BYTES))
    tail = file.read()
    length = int.from_bytes(tail[32:40], "little")
    if tail[40:] != MAGIC or length > total - _TAIL_BYTES:
        raise ValueError("Expected a whole converted file; received: one without seal")
    file.seek(total - _TAIL_BYTES - length)
    text = file.read(length)
    if hashlib.sha256(text).digest() != tail[:32]:
        raise ValueError("Expected a whole converted file; received: a damaged seal")
    return Seal(**json.loads(text))


def _structure(file: BinaryIO, size: int, arrays: list[Extent]) -> str:
    digest, start = hashlib.sha256(), 0
    for _, offset, length, _ in [*arrays, ("", size, 0, 0)]:
        for chunk in _chunks(file, start, offset - start):
            digest.update(chunk)
        start = offset + length
    return digest.hexdigest()


def _crc32(file: BinaryIO, offset: int, length: int) -> int:
    value = 0
    for chunk in _chunks(file, offset, length):
        value = zlib.crc32(chunk, value)
    return value


def _chunks(file: BinaryIO, offset: int, length: int) -> Iterator[bytes]:
    file.seek(offset)
    while length > 0 and (chunk := file.read(min(length, CHUNK_BYTES))):
        length -= len(chunk)
        yield chunk
