"""Move the bytes of one URL, or of one file in an archive, to one verified file.

Nothing here chooses, retries or replaces: that is `download.py`. Every fault of the
source is a `SourceError`; an `OSError` that gets out is a fault of our own disk.

Of a published `.tar.gz` or `.tgz` one member is read, whatever else is in it. No path
in it is used, links are not followed, and nothing is unpacked but the one member. What
must be read past is bounded, in memory and in all: a few kilobytes of gzip can become
gigabytes.
"""

import contextlib
import gzip
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from keras_caffe_zoo.messages import say
from keras_caffe_zoo.progress import Progress
from keras_caffe_zoo.weights.integrity import CHUNK_BYTES, Meter
from keras_caffe_zoo.weights.manifest import WeightFile

USER_AGENT = "keras-caffe-zoo (Python urllib)"
HTML_STARTS = (b"<!doctype", b"<html", b"<head", b"<?xml")
MAX_UNPACKED_BYTES = 4 * 1024**3  # several times the largest published archive
MAX_HEADER_BYTES = 1 << 20  # for one member's name and attributes, held in memory


class SourceError(Exception):
    """One source failed; `transient` means that trying again may help."""

    def __init__(self, reason: str, transient: bool = False):
        super().__init__(reason)
        self.transient = transient


def transfer(
    url: str, file: WeightFile, part: Path, *, progress: bool, timeout: float
) -> None:
    """Download one URL to `part` and verify it.

    Raises:
        SourceError: If the URL does not give the right file.
    """
    with contextlib.closing(_open(url, timeout)) as response:
        declared = response.headers.get("Content-Length")
        declared = int(declared) if declared and declared.isdigit() else None
        if file.size and declared and declared != file.size:
            reason = f"expected {file.size} bytes; received: {declared} bytes announced"
            raise SourceError(reason)
        total = declared or file.size
        if progress:
            size = f" ({total / 1e6:.0f} MB)" if total and total >= 1e6 else ""
            say(f"Downloading {file.name}{size} from {url}")
        with contextlib.closing(Progress(total, "B", progress, scaled=True)) as line:
            store(_response_chunks(response, declared), part, file, line.advance)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _require_scheme(newurl, ("http", "https"))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_scheme(url: str, allowed: tuple[str, ...]) -> str:
    scheme = urlsplit(url).scheme
    if scheme not in allowed:
        expected = ", ".join(allowed)
        raise SourceError(f"expected a URL of scheme {expected}; received: {url}")
    return scheme


def _open(url: str, timeout: float):
    scheme = _require_scheme(url, ("http", "https", "file"))
    opener = urllib.request.build_opener(_SafeRedirects)
    request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})
    try:
        return opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        transient = error.code in (408, 425, 429) or error.code >= 500
        error.close()
        raise SourceError(f"HTTP {error.code} {error.reason}", transient) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise SourceError(reason, transient=scheme != "file") from error


def _response_chunks(response, declared: int | None) -> Iterator[bytes]:
    received = 0
    try:
        while chunk := response.read(CHUNK_BYTES):
            received += len(chunk)
            yield chunk
    except (OSError, HTTPException) as error:
        reason = f"connection lost after {received} bytes ({error})"
        raise SourceError(reason, transient=True) from error
    if declared is not None and received < declared:
        reason = f"connection closed after {received} of {declared} bytes"
        raise SourceError(reason, transient=True)


def store(
    chunks: Iterable[bytes],
    part: Path,
    file: WeightFile,
    show: Callable[[int], None] = lambda count: None,
) -> None:
    """Write the chunks to `part`, never more than allowed, and verify them.

    Raises:
        SourceError: If the chunks are not the file that the manifest describes.
    """
    meter = Meter(file)
    with open(part, "wb") as handle:
        for chunk in chunks:
            if meter.size == 0 and chunk.lstrip()[:16].lower().startswith(HTML_STARTS):
                raise SourceError("received a web page instead of the file")
            meter.add(chunk)
            if meter.size > meter.limit:
                raise SourceError(f"received more than {meter.limit} bytes")
            handle.write(chunk)
            show(len(chunk))
    try:
        meter.verify()
    except ValueError as error:
        raise SourceError(str(error)) from error


class ArchiveError(SourceError):
    """The archive is damaged, hostile, or without the file."""


def unpack_member(archive: Path, file: WeightFile, part: Path) -> None:
    """Write the member that `file` names to `part`, and verify it.

    Raises:
        SourceError: If the archive does not give the right file.
    """
    with contextlib.closing(member_chunks(archive, file)) as chunks:
        store(chunks, part, file)


def member_chunks(archive: Path, file: WeightFile) -> Iterator[bytes]:
    """Read the member that `file` names, piece by piece.

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
        """Allow for a member of this size and for the header of the next."""
        if not 0 <= size <= MAX_UNPACKED_BYTES - self.taken:
            raise ArchiveError(
                f"the archive announces a member of {size} bytes; the most that is "
                f"unpacked is {MAX_UNPACKED_BYTES}"
            )
        self.allowed = self.taken + size + MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes."""
        data = self.unzipped.read(size)
        self.taken += len(data)
        if self.taken > self.allowed:
            raise ArchiveError("the archive holds more than its members account for")
        return data
