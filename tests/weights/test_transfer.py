"""Hostile archives: only the one member leaves them, at a bounded price.

(What a server may do is in `test_download.py`.)
"""

import gzip
import io
import os
import tarfile

import pytest

from keras_caffe_zoo.weights import transfer
from keras_caffe_zoo.weights.manifest import WeightFile
from keras_caffe_zoo.weights.transfer import ArchiveError, member_chunks

DATA = bytes(range(256)) * 50
FILE = WeightFile("net", archive="nets.tar.gz", member="net.caffemodel")


def member(name, data=b"", kind=tarfile.REGTYPE, **fields):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, io.BytesIO(data)


def packed(folder, *members, format=tarfile.PAX_FORMAT):
    path = folder / "nets.tar.gz"
    with tarfile.open(path, "w:gz", format=format) as tar:
        for info, data in members:
            tar.addfile(info, data)
    return path


def read(path):
    return b"".join(member_chunks(path, FILE))


@pytest.mark.parametrize(
    "name", ["net.caffemodel", "a/net.caffemodel", "/etc/../net.caffemodel"]
)
@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_member_is_found_in_any_folder(tmp_path, name, format):
    others = member("readme.txt", b"x" * 5000), member("d" * 300, b"y")
    path = packed(tmp_path, *others, member(name, DATA), format=format)
    assert read(path) == DATA


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, b"3"],
)
def test_only_a_regular_file_counts(tmp_path, kind):
    trap = member("net.caffemodel", kind=kind, linkname="/etc/hostname")
    with pytest.raises(ArchiveError, match="has no file net.caffemodel"):
        read(packed(tmp_path, trap))
    assert read(packed(tmp_path, trap, member("x/net.caffemodel", DATA))) == DATA
    assert os.listdir(tmp_path) == ["nets.tar.gz"]


def test_the_first_of_two_counts(tmp_path):
    two = member("net.caffemodel", DATA), member("old/net.caffemodel", b"other")
    assert read(packed(tmp_path, *two)) == DATA


def test_a_sparse_file_is_refused(tmp_path):
    """Its header may claim gigabytes of zeros that are nowhere in the archive."""
    header = bytearray(member("net.caffemodel", kind=b"S")[0].tobuf())
    header[483:495] = b"77777777777\0"  # the size it would unpack to
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "nets.tar.gz"
    path.write_bytes(gzip.compress(bytes(header) + bytes(1024)))
    with pytest.raises(ArchiveError):
        read(path)


def bomb(folder, header, megabytes):
    """A header, then that many megabytes of zeros: a few kilobytes of gzip."""
    path = folder / "nets.tar.gz"
    with gzip.open(path, "wb") as file:
        file.write(header)
        for _ in range(megabytes):
            file.write(bytes(1 << 20))
    return path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_huge_header_is_not_read_into_memory(tmp_path, kind):
    info = member("x", kind=kind)[0]
    info.size = 64 << 20
    with pytest.raises(ArchiveError, match="more than its members account for"):
        read(bomb(tmp_path, info.tobuf(), 64))


def test_the_bytes_to_read_past_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "MAX_UNPACKED_BYTES", 4 << 20)
    info = member("big")[0]
    info.size = 8 << 20
    with pytest.raises(ArchiveError, match=f"a member of {8 << 20} bytes"):
        read(bomb(tmp_path, info.tobuf(), 8))
    many = [member(f"{i}", bytes(1 << 20)) for i in range(5)]
    with pytest.raises(ArchiveError, match="the most that is unpacked"):
        read(packed(tmp_path, *many, member("net.caffemodel", DATA)))


def test_bytes_after_the_end_are_bounded(tmp_path):
    with pytest.raises(ArchiveError, match="more than its members account for"):
        read(bomb(tmp_path, bytes(1024), 3))


@pytest.mark.parametrize("size", [-1, -(1 << 40)])
def test_a_negative_size_is_refused(tmp_path, size):
    info = member("x")[0]
    info.size = size
    with pytest.raises(ArchiveError):
        read(bomb(tmp_path, info.tobuf(format=tarfile.GNU_FORMAT), 1))


def test_a_flipped_bit_is_found_by_gzips_checksum(tmp_path):
    """The nets in archives have no other checksum. Stored blocks: the data is bare."""
    path = packed(tmp_path, member("net.caffemodel", DATA), member("last", b"z" * 999))
    data = bytearray(gzip.compress(gzip.decompress(path.read_bytes()), 0))
    for index in range(20, len(data), 101):
        bad = bytearray(data)
        bad[index] ^= 1
        path.write_bytes(bad)
        with pytest.raises(ArchiveError):
            read(path)


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.999])
def test_a_truncated_archive_is_damaged(tmp_path, part):
    path = packed(tmp_path, member("net.caffemodel", os.urandom(50_000)))
    os.truncate(path, int(path.stat().st_size * part))
    with pytest.raises(ArchiveError):
        read(path)


def test_what_is_not_gzip_is_damaged(tmp_path):
    (tmp_path / "nets.tar.gz").write_bytes(b"<html>" * 1000)
    with pytest.raises(ArchiveError, match="damaged archive"):
        read(tmp_path / "nets.tar.gz")
