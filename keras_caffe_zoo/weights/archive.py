"""Read one member of a published `.tar.gz`, whatever else is in it.

No path in the archive is used, links are not followed, and nothing is unpacked but the
one member. What must be read past is bounded, in memory and in all: a few kilobytes of
gzip can become gigabytes.
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from keras_caffe_zoo.weights.manifest import WeightFile
from keras_caffe_zoo.weights.verify import CHUNK_BYTES

MAX_UNPACKED_BYTES = 4 * 1024**3  # several times the largest published archive
MAX_HEADER_BYTES = 1 << 20  # for one member's name and attributes, held in memory


class ArchiveError(ValueError):
    """The archive is damaged, hostile, or without the file."""


def member_chunks(archive: Path, file: WeightFile) -> Iterator[bytes]:
    """Reads the member that `file` names, piece by piece.

    The member is the first regular file with that base name, in any folder. All of the
    archive is read, since gzip's own checksum is at its end.

    Raises:
        ArchiveError: If the archive is damaged, unreasonable or has no such file.
    """
    found = False
    try:
        with gzip.open(archive) as unzipped:
            bounded = _Bounded(unzipped)
            with tarfile.open(fileobj=bounded, mode="r|") as tar:
                for info in tar:
                    bounded.expect(info.size)
                    if not found and _is_member(info, file):
                        found = True
                        yield from _chunks(tar.extractfile(info))
            while bounded.read(CHUNK_BYTES):
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError, OverflowError) as error:
        raise ArchiveError(f"damaged archive ({error})") from error
    if not found:
        raise ArchiveError(f"the archive has no file {file.member}")


def _is_member(info: tarfile.TarInfo, file: WeightFile) -> bool:
    # A sparse file claims any number of zeros that are not in the archive.
    plain = info.isreg() and not info.issparse()
    return plain and PurePosixPath(info.name).name == file.member


def _chunks(member: IO[bytes]) -> Iterator[bytes]:
    while chunk := member.read(CHUNK_BYTES):
        yield chunk


class _Bounded:
    """Unzipped bytes, as many as the members announced so far account for.

    `tarfile` reads long names and attributes into memory at the length they claim;
    between two members it gets no more than `MAX_HEADER_BYTES`.
    """

    def __init__(self, unzipped: IO[bytes]):
        self.unzipped = unzipped
        self.taken, self.allowed = 0, MAX_HEADER_BYTES

    def expect(self, size: int) -> None:
        """Allows for a member of this size and for the header of the next."""
        if not 0 <= size <= MAX_UNPACKED_BYTES - self.taken:
            raise ArchiveError(
                f"the archive announces a member of {size} bytes; the most that is "
                f"unpacked is {MAX_UNPACKED_BYTES}"
            )
        self.allowed = self.taken + size + MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        """Reads at most `size` bytes."""
        data = self.unzipped.read(size)
        self.taken += len(data)
        if self.taken > self.allowed:
            raise ArchiveError("the archive holds more than its members account for")
        return data
