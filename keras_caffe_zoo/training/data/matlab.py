"""Maps of numbers in MATLAB's files of version 5, and no more of them.

SciPy reads them too, and all else that they may hold; but a damaged file, or one that
is meant to, makes it crash with the whole process.
"""

import os
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from keras_caffe_zoo.files import open_file

_MOST_BYTES = 1 << 28  # of a file, and of what is packed in it
_MOST_FIELDS = 4096  # of a struct
_HEADER = 128
_NAMES, _MATRIX, _PACKED = 1, 14, 15  # types of elements, besides numbers
_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_STRUCTURES = (2, 3)  # classes of arrays: structs, and objects
_NUMERIC = range(6, 16)
_Element = tuple[int, memoryview]


def read_mat(source: str | os.PathLike, field: str) -> np.ndarray:
    """Return a map of a MATLAB file.

    Args:
        source: The file, as MATLAB's `save` writes it by default: version 5, or 7.
        field: The variable, such as `"S"`; of a struct with a field of it behind a dot,
            such as `"GTcls.Segmentation"`.

    Returns:
        The map `(H, W)`, of the numeric type that it is stored as.

    Raises:
        ValueError: If the file is none of these, is damaged, has no such field, or it
            is no matrix of real numbers; or if it has more than 256 MiB, packed or not.
        OSError: If it cannot be opened.
    """
    with open_file(source, "a MATLAB file") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"Expected at most {_MOST_BYTES:,} bytes; received: more")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:_HEADER])
    if order is None or data[124:126] not in (b"\x00\x01", b"\x01\x00"):
        newer = data[:10] == b"MATLAB 7.3"
        raise ValueError(
            "Expected a MATLAB file of version 5; received: "
            + ("one of 7.3. Save it with '-v7'" if newer else "something else")
        )
    name, *path = field.split(".")
    found = []
    for element in _elements(memoryview(data)[_HEADER:], order):
        array = _Array(_unpacked(element, order), order)
        if array.name == name:
            return _of_path(array, path, field).numbers(field)
        found.append(array.name)
    received = ", ".join(found)[:200] or "none"
    raise ValueError(f"Expected a variable {name!r}; received: {received}")


def _of_path(array: "_Array", path: list[str], field: str) -> "_Array":
    for name in path:
        names = array.fields()
        if name not in names:
            raise ValueError(
                f"Expected the field {field}; received: "
                f"{', '.join(names)[:200] or 'no single struct'}"
            )
        array = array.member(names.index(name))
    return array


class _Array:
    """An array in a file: its kind, and what follows.

    Attributes:
        kind: MATLAB's number of its class.
        shape: Its sizes.
        name: The variable's; `""` inside a struct.
    """

    def __init__(self, element: _Element, order: str):
        self._order = order
        if element[0] != _MATRIX:
            raise ValueError(f"Expected an array; received: type {element[0]}")
        self._rest = _elements(element[1], order)
        flags, sizes = self._next(_NUMBERS), self._next(_NUMBERS)
        if len(flags) < 4 or len(sizes) % 4 or not 8 <= len(sizes) <= 128:
            raise ValueError("Expected the sizes of an array; received: damaged ones")
        word = struct.unpack(f"{order}I", flags[:4])[0]
        self.kind, self._complex = word & 0xFF, bool(word & 0x800)
        self.shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
        self.name = bytes(self._next((_NAMES,))).decode("latin-1")

    def fields(self) -> list[str]:
        """Return the names of a struct's fields; none of what is no single struct."""
        if self.kind not in _STRUCTURES or set(self.shape) != {1}:
            return []
        if self.kind == _STRUCTURES[1]:
            self._next((_NAMES,))  # the object's class
        length = self._next(_NUMBERS)
        names = bytes(self._next((_NAMES,)))
        size = struct.unpack(f"{self._order}i", length)[0] if len(length) == 4 else 0
        if size < 1 or len(names) > size * _MOST_FIELDS:
            raise ValueError("Expected the names of fields; received: damaged ones")
        cut = [names[at : at + size] for at in range(0, len(names), size)]
        return [name.split(b"\0")[0].decode("latin-1") for name in cut]

    def member(self, index: int) -> "_Array":
        """Return a field of a struct, after its names were read."""
        for _ in range(index):
            self._next((_MATRIX,))
        return _Array((_MATRIX, self._next((_MATRIX,))), self._order)

    def numbers(self, field: str) -> np.ndarray:
        """Return the numbers of a matrix."""
        if self.kind not in _NUMERIC or self._complex or len(self.shape) != 2:
            raise ValueError(
                f"Expected a matrix of real numbers in {field}; received: MATLAB's "
                f"class {self.kind}, of shape {self.shape}"
            )
        kind, data = next(self._rest, (0, memoryview(b"")))
        dtype = np.dtype(f"{self._order}{_NUMBERS.get(kind, 'V1')}")
        count = self.shape[0] * self.shape[1]
        fits = min(self.shape) > 0 and len(data) == count * dtype.itemsize
        if kind not in _NUMBERS or not fits:
            raise ValueError(
                f"Expected {self.shape} numbers in {field}; received: {len(data)} "
                f"bytes of type {kind}"
            )
        return np.frombuffer(data, dtype).reshape(self.shape, order="F")

    def _next(self, kinds) -> memoryview:
        kind, data = next(self._rest, (0, memoryview(b"")))
        if kind not in kinds:
            raise ValueError(f"Expected a part of an array; received: type {kind}")
        return data


def _unpacked(element: _Element, order: str) -> _Element:
    kind, data = element
    if kind != _PACKED:
        return element
    try:
        # No more is unpacked than there may be.
        data = zlib.decompressobj().decompress(data, _MOST_BYTES + 1)
    except zlib.error as error:
        raise ValueError(f"Expected packed numbers; received: {error}") from None
    if len(data) > _MOST_BYTES:
        raise ValueError(f"Expected at most {_MOST_BYTES:,} bytes; received: more")
    return next(_elements(memoryview(data), order), (0, memoryview(b"")))


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """Yield the elements of a file, or of an array: their type and bytes."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack(f"{order}2I", data[at : at + 8])
        if kind >> 16:  # a small one: its bytes stand in place of its size
            kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            start = at + 8
            end = start + size + (0 if kind == _PACKED else -size % 8)
        if start + size > len(data) or (start == at + 4 and size > 4):
            raise ValueError(
                f"Expected {size} bytes of type {kind}; received: {len(data) - start}. "
                "The file is damaged"
            )
        yield kind, data[start : start + size]
        at = end
