"""Protobuf's wire format: a file's bytes, its numbers, and blob values in it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import numpy as np

from .errors import CaffeFormatError

_WINDOW = 8 << 10
_CHUNK = 1 << 20


class Source:
    """A file's bytes by position.

    Read calls, never a memory map: a file cut short while mapped kills the process.
    """

    def __init__(self, file: BinaryIO, name: str):
        self.file, self.name = file, name
        self.size = os.fstat(file.fileno()).st_size
        self._window, self._start = b"", 0

    def error(self, problem: str, offset: int, **place) -> CaffeFormatError:
        """Return (does not raise) an error that names the file and the byte."""
        return CaffeFormatError(problem, source=self.name, offset=offset, **place)

    def fill(self, view: memoryview, pos: int) -> None:
        """Read `len(view)` bytes from `pos` into `view`."""
        self.file.seek(pos)
        done = 0
        while done < len(view):
            count = self.file.readinto(view[done:])
            if not count:
                raise self.error(
                    f"Expected {len(view) - done} more bytes; received: end of file. "
                    "The file was cut short while it was read; read it again",
                    pos + done,
                )
            done += count

    def read(self, pos: int, size: int) -> bytes:
        """Return `size` bytes from `pos`."""
        buffer = bytearray(size)
        self.fill(memoryview(buffer), pos)
        return bytes(buffer)

    def varint(self, pos: int, end: int) -> tuple[int, int]:
        """Return the varint at `pos` and the position after it."""
        near = pos - self._start
        if not 0 <= near <= len(self._window) - 10:
            self._window = self.read(pos, min(_WINDOW, self.size - pos))
            self._start, near = pos, 0
        value = shift = 0
        for byte in self._window[near : near + min(10, end - pos)]:
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                if value >> 64:
                    break
                return value, pos + shift // 7
        problem = "Expected a number of at most 64 bits"
        if end - pos < 10 and shift // 7 == end - pos:
            problem = "Expected a number; received: end of the file or message"
        raise self.error(f"{problem}. The file is damaged; fetch it again", pos)


class Bytes(Source):
    """Bytes at hand, with a file's name and the position they have in it."""

    def __init__(self, data: bytes, name: str | None, start: int = 0):
        self.data, self.name, self.size = data, name, len(data)
        self._window, self._start, self._offset = data, 0, start

    def error(self, problem: str, offset: int, **place) -> CaffeFormatError:
        return super().error(problem, self._offset + offset, **place)

    def fill(self, view: memoryview, pos: int) -> None:
        view[:] = self.data[pos : pos + len(view)]


class Run(NamedTuple):
    """`count` values in the file: `stride` bytes apart, `width` bytes each."""

    start: int
    count: int
    stride: int
    width: int


@dataclass
class Payload:
    """Where a blob's values lie in the file.

    Attributes:
        runs: The values, in their order.
        unknown: Numbers of the blob's fields that nobody knows.
        raw: Where NVCaffe's `raw_data` begins and ends.
        raw_type: Its `raw_data_type`.
    """

    runs: list[Run] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    raw: tuple[int, int] | None = None
    raw_type: int | None = None

    @property
    def count(self) -> int:
        """Number of values."""
        return sum(run.count for run in self.runs)

    def read(self, source: Source) -> np.ndarray:
        """Return the values as a new flat float32 array."""
        values = np.empty(self.count, np.float32)
        done = 0
        for run in self.runs:
            _read_run(source, run, values[done : done + run.count])
            done += run.count
        return values


def _read_run(source: Source, run: Run, out: np.ndarray) -> None:
    stored = np.dtype(f"<f{run.width}")
    if run.stride == 4 and stored.isnative:
        source.fill(memoryview(out.view(np.uint8)), run.start)
        return
    record = np.dtype(
        {
            "names": ["value"],
            "formats": [stored],
            "offsets": [run.stride - run.width],
            "itemsize": run.stride,
        }
    )
    step = _CHUNK // run.stride
    for first in range(0, run.count, step):
        count = min(step, run.count - first)
        chunk = source.read(run.start + first * run.stride, count * run.stride)
        # In Caffe, too, a double beyond float32 is inf, and what is no number stays so.
        with np.errstate(over="ignore", invalid="ignore"):
            out[first : first + count] = np.frombuffer(chunk, record)["value"]


def encode_varint(value: int) -> bytes:
    """Return `value` (not negative) as protobuf's variable-length integer."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def encode_tag(number: int, wire: int) -> bytes:
    """Return the bytes that begin a field."""
    return encode_varint(number << 3 | wire)


def encode_header(number: int, length: int) -> bytes:
    """Return the bytes before the content of length-delimited field `number`."""
    return encode_tag(number, 2) + encode_varint(length)
