"""Pictures that strangers send, and what the page says of them."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo.serving import uploads
from keras_caffe_zoo.serving.errors import ViewError
from keras_caffe_zoo.serving.kinds import Row
from keras_caffe_zoo.serving.text import message, table
from keras_caffe_zoo.serving.uploads import read_upload


def test_a_picture_is_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (4, 2), 9).save(tmp_path / "a.jpg", exif=exif)
    assert read_upload(tmp_path / "a.jpg", tmp_path).shape == (4, 2, 3)


def bomb():
    """Return a PNG that says it has 900 million pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = b""
    for name, data in (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ):
        check = struct.pack(">I", zlib.crc32(name + data))
        chunks += struct.pack(">I", len(data)) + name + data + check
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: b"just words", "no picture"),
        (lambda: b"", "empty file"),
        (lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "cannot be read"),
        (bomb, "decompression bomb"),
    ],
)
def test_what_is_no_picture_is_told(tmp_path, data, reason):
    (tmp_path / "a.png").write_bytes(data())
    with pytest.raises(ViewError, match=reason):
        read_upload(tmp_path / "a.png", tmp_path)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_BYTES", 1 << 20)
    (tmp_path / "a.png").write_bytes(b"\0" * ((1 << 20) + 1))
    with pytest.raises(ViewError, match="at most 1 MB"):
        read_upload(tmp_path / "a.png", tmp_path)


def test_only_what_was_sent_is_read(tmp_path):
    folder = tmp_path / "sent"
    folder.mkdir()
    Image.fromarray(np.zeros((2, 2, 3), "uint8")).save(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    for path in ("secret.png", "sent/../secret.png", "sent/link.png", "sent", "a\0b"):
        with pytest.raises(ViewError, match="was sent to this page"):
            read_upload(f"{tmp_path}/{path}", folder)


def test_all_text_is_escaped_and_bounded():
    rows = [Row("<script>alert(1)</script>", 7.0, "<b>")] * 101
    text = table(rows, "<i>") + message("<img src=x onerror=alert(1)>")
    assert not any(tag in text for tag in ("<script", "<b>", "<i>", "<img"))
    assert text.count('role="listitem"') == 100 and "and 1 more" in text
    assert "width:100.0%" in text
