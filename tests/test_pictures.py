"""Picture files: turned upright, refused by size, wherever their bytes are."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_caffe_zoo import load_image
from keras_caffe_zoo.pictures import (
    PictureError,
    picture_formats,
    picture_suffixes,
    read_grey,
    read_picture,
    read_stored,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), "uint8")


def saved(kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_as_pillow_turns_it(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(exif=exif.tobytes())
    with Image.open(io.BytesIO(data)) as picture:
        wanted = np.asarray(ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(read_picture(data), wanted)


def test_junk_elsewhere_in_the_exif_data_does_not_matter():
    exif = Image.Exif()
    exif[0x0112] = 3
    exif[0x9286] = b"\xff" * 7  # a comment of no known coding
    exif[0x010F] = "x"
    data = exif.tobytes().replace(b"x\0", b"\xff\xfe")
    np.testing.assert_array_equal(read_picture(saved(exif=data)), PIXELS[::-1, ::-1])


def test_paths_and_bytes_are_the_same(tmp_path):
    (tmp_path / "x.png").write_bytes(saved())
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png"), PIXELS)
    np.testing.assert_array_equal(read_picture(saved()), PIXELS)


@pytest.mark.parametrize("limit", [53, 20])  # Pillow warns above 53, refuses above 40
def test_more_pixels_than_pillows_limit_are_refused(monkeypatch, limit):
    data = saved()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 54)
    assert read_picture(data).shape == PIXELS.shape
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with (
        pytest.warns(Image.DecompressionBombWarning) if limit == 53 else _nothing(),
        pytest.raises(PictureError, match=f"decompression bomb: more than {limit} "),
    ):
        read_picture(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_picture(data).shape == PIXELS.shape


def _nothing():
    import contextlib

    return contextlib.nullcontext()


def test_an_error_has_the_name_and_a_reason_without_it(tmp_path):
    path = tmp_path / "torn.png"
    path.write_bytes(saved()[:-30])
    with pytest.raises(PictureError, match=r"received: .*torn\.png \(") as raised:
        read_picture(path)
    assert "torn" not in raised.value.reason
    with pytest.raises(PictureError, match=r"received: bytes \(empty file\)"):
        read_picture(b"")


def test_postscript_is_not_handed_to_another_program():
    assert {"JPEG", "PNG", "TIFF", "WEBP"} <= set(picture_formats())
    assert {"EPS", "WMF"}.isdisjoint(picture_formats())
    assert ".jpg" in picture_suffixes() and ".eps" not in picture_suffixes()


@pytest.mark.parametrize("model", ["caffenet", "vgg_cnn_s"])
@pytest.mark.parametrize("crops", [1, 10])
def test_a_line_a_pixel_high_takes_no_more_memory_than_any(tmp_path, model, crops):
    Image.new("RGB", (3_000_000, 1), (9, 8, 7)).save(tmp_path / "line.png")
    image = load_image(tmp_path / "line.png", model, crops=crops)
    assert (image == (9, 8, 7)).all()


NOISE = np.random.default_rng(1).integers(0, 256, (40, 50, 4), "uint8")


def encoded(mode, kind, **options):
    file = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(file, kind, **options)
    return file.getvalue()


STORED = {
    "jpeg": encoded("RGB", "JPEG", quality=80),
    "jpeg, chroma as fine": encoded("RGB", "JPEG", subsampling=0),
    "grey jpeg": encoded("L", "JPEG"),
    "png": encoded("RGB", "PNG"),
    "grey png": encoded("L", "PNG"),
    "black and white png": encoded("1", "PNG"),
    "palette": encoded("P", "PNG"),
    "alpha": encoded("RGBA", "PNG"),
    "grey and alpha": encoded("LA", "PNG"),
    "palette with a clear colour": encoded("P", "PNG", transparency=7),
    "a clear colour": encoded("RGB", "PNG", transparency=(1, 2, 3)),
    "a clear grey": encoded("L", "PNG", transparency=7),
    "bmp": encoded("RGB", "BMP"),
    "ppm": encoded("RGB", "PPM"),
    "tiff": encoded("RGB", "TIFF"),
}


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize(
    ("flag", "read"),
    [
        (cv2.IMREAD_COLOR, read_picture),
        (cv2.IMREAD_GRAYSCALE, read_grey),
        (cv2.IMREAD_UNCHANGED, read_stored),
    ],
)
def test_pixels_are_those_that_opencv_reads(kind, flag, read):
    data = STORED[kind]
    wanted = cv2.imdecode(np.frombuffer(data, "uint8"), flag).reshape(40, 50, -1)
    found = read(data)
    if wanted.shape[2] > 1:
        found = found[..., [2, 1, 0, 3][: found.shape[2]]]
    np.testing.assert_array_equal(found, wanted)


def test_sixteen_bits_become_eight_but_are_never_kept():
    deep = NOISE[..., 0].astype("uint16") * 251
    for data in (deep, np.stack([deep, deep, deep], axis=-1)):
        data = cv2.imencode(".png", data)[1].tobytes()
        wanted = cv2.imdecode(np.frombuffer(data, "uint8"), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(read_picture(data), wanted)
        with pytest.raises(PictureError, match="16 bits a channel: Caffe refuses"):
            read_stored(data)


def test_grey_is_upright_and_what_is_stored_is_not():
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "JPEG"):
        data = saved(kind, exif=exif.tobytes())
        array = np.frombuffer(data, "uint8")
        for flag, read in (
            (cv2.IMREAD_GRAYSCALE, read_grey),
            (cv2.IMREAD_UNCHANGED, read_stored),
        ):
            wanted = cv2.imdecode(array, flag)
            found = read(data)[..., ::-1]
            np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("read", [read_grey, read_stored])
def test_a_damaged_picture_is_refused_however_it_is_read(read):
    for data in (b"", b"no picture", saved()[:60]):
        with pytest.raises(PictureError):
            read(data)
