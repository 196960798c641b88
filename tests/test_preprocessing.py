"""Preprocessing against caffe.io's answers and OpenCV's resizing rule."""

import cv2
import keras
import numpy as np
import pytest
from PIL import Image
from support import golden

from keras_caffe_zoo import load_image, preprocess_input
from keras_caffe_zoo.caffe import write_mean
from keras_caffe_zoo.preprocessing import (
    cut,
    cut_input,
    fit,
    mean_for,
    net_input,
    read_picture,
    resize,
    resize_float,
    ten_crops,
)
from keras_caffe_zoo.weights import install, model_entry, model_names

CASE = golden("preprocess")
MEAN = model_entry("caffenet").mean.channels


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "cache"))


@pytest.fixture
def crop():
    top, left, bottom, right = CASE["crop_box"]
    return CASE["image"][top:bottom, left:right]


def expected(name):
    return CASE[name].transpose(1, 2, 0)


def test_channel_means_equal_caffe_io(crop):
    np.testing.assert_allclose(
        preprocess_input(crop, "caffenet"), expected("caffe_pixel"), atol=1e-4
    )


def test_a_net_that_takes_no_pictures_is_refused():
    with pytest.raises(ValueError, match="'colorization', which takes lightness"):
        preprocess_input(np.zeros((4, 4, 3)), "colorization")


def test_published_mean_image_is_cut_to_the_centre_as_caffe_io_does(crop, tmp_path):
    published = CASE["mean_image"]
    shift = np.array(MEAN)[:, None, None] - published.mean((1, 2), keepdims=True)
    write_mean(tmp_path / "imagenet_mean.binaryproto", published + shift)
    install("caffenet", tmp_path / "imagenet_mean.binaryproto")
    wanted = expected("caffe_image") - shift.transpose(1, 2, 0)
    np.testing.assert_allclose(preprocess_input(crop, "caffenet"), wanted, atol=1e-3)


def test_mean_image_given_by_hand_equals_caffe_io(crop):
    mean = expected("mean_image")
    np.testing.assert_allclose(
        preprocess_input(crop, "caffenet", mean=mean),
        expected("caffe_image"),
        atol=1e-4,
    )


def test_pixel_mean_serves_its_own_size_and_its_average_any_other(tmp_path):
    mean = np.random.default_rng(0).uniform(90, 130, (3, 224, 224)).astype("float32")
    write_mean(tmp_path / "VGG_mean.binaryproto", mean)
    install("vgg_cnn_s", tmp_path / "VGG_mean.binaryproto")
    zeros = np.zeros((1, 224, 224, 3), "uint8")
    np.testing.assert_allclose(
        preprocess_input(zeros, "vgg_cnn_s")[0], -mean.transpose(1, 2, 0)
    )
    wide = preprocess_input(np.zeros((1, 451, 451, 3)), "vgg_cnn_s")
    np.testing.assert_allclose(wide[0, 7, 9], -mean.mean((1, 2)), rtol=1e-5)


def test_batches_channels_first_tensors_and_types_agree(crop):
    wanted = preprocess_input(crop, "caffenet")
    batch = preprocess_input(crop[None].astype("float64"), "caffenet")
    np.testing.assert_array_equal(batch[0], wanted)
    first = preprocess_input(crop.transpose(2, 0, 1), "caffenet", "channels_first")
    np.testing.assert_array_equal(first.transpose(1, 2, 0), wanted)
    tensor = preprocess_input(keras.ops.convert_to_tensor(crop), "caffenet")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(tensor), wanted)
    assert batch.dtype == first.dtype == np.float32


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_input_is_never_changed(crop, dtype):
    images = crop.astype(dtype)
    before = images.copy()
    preprocess_input(images, "caffenet")
    np.testing.assert_array_equal(images, before)


def test_missing_mean_image_is_said_once(capsys, monkeypatch):
    monkeypatch.setattr("keras_caffe_zoo.preprocessing.means._told", set())
    for _ in range(2):
        preprocess_input(np.zeros((4, 4, 3)), "vgg_cnn_s")
    said = capsys.readouterr().out
    assert said.count("not in the cache") == 1
    assert "another net's channel means (103.939, 116.779, 123.68)" in said
    assert "run `keras-caffe-zoo download vgg_cnn_s`" in said
    preprocess_input(np.zeros((4, 4, 3)), "resnet50")
    assert "ResNet_mean.binaryproto, fetch it by hand" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((2, 2)), {}, r"received: shape \(2, 2\)"),
        (np.zeros((2, 4, 4, 1)), {}, r"received: shape \(2, 4, 4, 1\)"),
        (np.zeros((4, 4, 3)), {"mean": np.zeros((2, 2, 3))}, "no smaller than"),
        (np.zeros((4, 4, 3)), {"model": "lenet"}, "no net 'lenet'"),
    ],
)
def test_bad_input_is_refused(images, options, message):
    with pytest.raises(ValueError, match=message):
        preprocess_input(images, **{"model": "caffenet", **options})


def half_pixel_bilinear(image, size):
    """Return bilinear interpolation as it is defined, pixel by pixel."""
    out = np.empty((*size, 3))
    for row, column in np.ndindex(*size):
        places = []
        for index, new, old in zip((row, column), size, image.shape, strict=False):
            at = min(max((index + 0.5) * old / new - 0.5, 0), old - 1)
            low = int(at)
            places.append((low, min(low + 1, old - 1), at - low))
        (top, bottom, down), (left, right, across) = places
        rows = [
            image[r, left] * (1 - across) + image[r, right] * across
            for r in (top, bottom)
        ]
        out[row, column] = rows[0] * (1 - down) + rows[1] * down
    return out


@pytest.mark.parametrize("size", [(13, 40), (31, 7), (20, 20)])
def test_resize_is_bilinear_without_antialiasing(size):
    """In floats as it is defined; of bytes, OpenCV's, within what 11 bits tell."""
    image = np.random.default_rng(1).integers(0, 256, (20, 29, 3), "uint8")
    wanted = half_pixel_bilinear(image.astype(float), size)
    np.testing.assert_allclose(resize_float(image, size), wanted, atol=1e-3)
    assert np.abs(resize(image, size) - wanted).max() < 1
    np.testing.assert_array_equal(resize(image, size), cv2.resize(image, size[::-1]))


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (100, 90)])
def test_load_image_follows_the_nets_rule(tmp_path, height, width):
    gradient = np.zeros((height, width, 3), "uint8")
    gradient[..., 0] = np.linspace(0, 255, width)
    gradient[..., 1] = np.linspace(0, 255, height)[:, None]
    Image.fromarray(gradient).save(tmp_path / "x.png")
    warped = load_image(tmp_path / "x.png", "caffenet")
    np.testing.assert_array_equal(warped, resize(gradient, (256, 256))[14:241, 14:241])
    kept = load_image(tmp_path / "x.png", "vgg_cnn_s")
    sides = [round(256 * side / min(height, width)) for side in (height, width)]
    top, left = ((side - 224) // 2 for side in sides)
    np.testing.assert_array_equal(
        kept, resize(gradient, sides)[top : top + 224, left : left + 224]
    )


def test_ten_crops_are_caffes_oversample():
    image = CASE["image"][:256, :256]
    crops = ten_crops(image.astype("float32") / np.float32(255), (227, 227))
    np.testing.assert_array_equal(crops[:, :4, :4], CASE["oversample_corner"])
    np.testing.assert_allclose(
        crops.sum((1, 2, 3), "float64"), CASE["oversample_sum"], rtol=1e-5
    )
    of_bytes = ten_crops(image, (227, 227))
    assert of_bytes.dtype == np.uint8
    np.testing.assert_allclose(crops, of_bytes / 255, atol=1e-6)


def test_ten_crops_need_not_be_square_nor_leave_anything_over():
    image = np.arange(5 * 8 * 3).reshape(5, 8, 3)
    crops = ten_crops(image, (4, 5))
    assert crops.shape == (10, 4, 5, 3)
    np.testing.assert_array_equal(crops[3], image[1:, 3:])
    np.testing.assert_array_equal(crops[4], image[0:4, 1:6])
    np.testing.assert_array_equal(crops[8], image[1:, 3:][:, ::-1])
    whole = ten_crops(image, (5, 8))
    for crop in whole[:5]:
        np.testing.assert_array_equal(crop, image)


@pytest.mark.parametrize("shape", [(226, 300, 3), (300, 226, 3), (300, 300)])
def test_an_image_smaller_than_a_crop_is_refused(shape):
    with pytest.raises(ValueError, match="at least 227 x 227 pixels; received: shape"):
        ten_crops(np.zeros(shape), (227, 227))


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), "uint8")
    path = tmp_path / "x.png"
    Image.fromarray(pixels).resize((400, 300)).save(path)
    return path


@pytest.mark.parametrize(
    ("shape", "sides", "scale"),
    [
        ((300, 400), (600, 800), 2),
        ((301, 500), (600, 997), 600 / 301),  # 996.68
        ((500, 300), (1000, 600), 2),
        ((300, 501), (599, 1000), 1000 / 501),  # 1002 would be too long
        ((1500, 1000), (900, 600), 0.6),
        ((1, 5000), (1, 1000), 0.2),  # 0.2 of a pixel
    ],
)
def test_a_picture_that_is_to_fit_keeps_its_proportions(shape, sides, scale):
    rule = model_entry("faster_rcnn_zf").resize
    image = np.random.default_rng(3).integers(0, 256, (*shape, 3), "uint8")
    found, factor = fit(image, rule)
    assert found.shape == (*sides, 3) and found.dtype == np.float32
    assert factor == scale
    # The last pixel's centre is where the exact scale has it, not the rounded sides.
    places = [(side - 0.5) / scale - 0.5 for side in sides]
    low = [min(int(max(p, 0)), s - 1) for p, s in zip(places, shape, strict=True)]
    wanted = 0.0
    for down in (0, 1):
        for right in (0, 1):
            at, weight = [], 1.0
            for p, i, s, step in zip(places, low, shape, (down, right), strict=True):
                share = min(max(p - i, 0.0), 1.0)
                weight *= share if step else 1 - share
                at.append(min(i + step, s - 1))
            wanted = wanted + weight * image[tuple(at)].astype(float)
    np.testing.assert_allclose(found[-1, -1], wanted, atol=1e-3)


SQUEEZED = ("nin", "vgg_face", "open_nsfw")


@pytest.mark.parametrize("model", model_names())
def test_every_nets_rule_gives_what_the_net_takes(picture, model):
    entry = model_entry(model)
    image, size = load_image(picture, model), entry.input_size
    whole = read_picture(picture)
    if size is None:
        fits = entry.resize is not None
        # Their authors resize floats.
        wanted = np.rint(resize_float(whole, (600, 800))) if fits else whole
        np.testing.assert_array_equal(image, wanted)
        with pytest.raises(ValueError, match="which crops none; received: crops=10"):
            load_image(picture, model, crops=10)
        return
    if entry.task != "classification":  # they look at whole pictures
        np.testing.assert_array_equal(image, resize(whole, size))
        with pytest.raises(ValueError, match="which crops none; received: crops=10"):
            load_image(picture, model, crops=10)
        return
    # VGG's and ResNet's are 224, and most that came after them.
    sides = (256, 341) if size == (224, 224) else (256, 256)
    if "googlenet" in model or "places" in model or model in SQUEEZED:
        sides = (256, 256)
    if model == "rcnn_ilsvrc13":
        sides = (227, 227)
    wanted = ten_crops(resize(whole, sides), size)
    np.testing.assert_array_equal(image, wanted[4])
    np.testing.assert_array_equal(load_image(picture, model, crops=10), wanted)


@pytest.mark.parametrize("crops", [0, 5, "10", None])
def test_other_numbers_of_crops_are_refused(picture, crops):
    with pytest.raises(ValueError, match="Expected crops to be 1 or 10; received"):
        load_image(picture, "caffenet", crops=crops)


@pytest.mark.parametrize("model", [n for n in model_names() if n != "colorization"])
def test_every_nets_mean_is_subtracted_or_asked_for(model):
    """Without any mean image at hand."""
    entry = model_entry(model)
    height, width = entry.input_size or (64, 64)
    zeros = np.zeros((1, height, width, 3), "uint8")
    if model in ("nin", "places205_alexnet", "hybrid_cnn"):
        with pytest.raises(ValueError, match="or pass `mean=…`|Expected `mean=…`"):
            preprocess_input(zeros, model)
        return
    wanted = np.array(entry.mean.channels or entry.mean.stand_in) * entry.scale
    np.testing.assert_allclose(-preprocess_input(zeros, model)[0, 0, 0], wanted, 1e-6)


# What the authors tell: mean in BGR, factor, order.
NORMALIZED = {
    "densenet121": ((103.94, 116.78, 123.68), 0.017, "BGR"),
    "mobilenet_v2": ((103.94, 116.78, 123.68), 0.017, "BGR"),
    "sphereface": ((127.5, 127.5, 127.5), 1 / 128, "BGR"),
    "shufflenet_v2_x05": ((0, 0, 0), 1 / 255, "RGB"),
}


def normalized(rgb, mean, scale, order):
    """Images as `(image - mean) * scale`, in doubles."""
    bgr = (rgb[..., ::-1].astype("float64") - mean) * scale
    return bgr if order == "BGR" else bgr[..., ::-1]


@pytest.mark.parametrize("model", NORMALIZED)
def test_images_are_scaled_and_ordered_as_their_authors_did(model, crop, picture):
    wanted = normalized(crop, *NORMALIZED[model])
    for images in (crop, keras.ops.convert_to_tensor(crop)):
        found = np.asarray(preprocess_input(images, model))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, 1e-5, 1e-6)
    first = preprocess_input(crop.transpose(2, 0, 1), model, "channels_first")
    np.testing.assert_allclose(first.transpose(1, 2, 0), wanted, 1e-5, 1e-6)
    entry, whole = model_entry(model), read_picture(picture)
    steps = preprocess_input(cut(whole, entry), model)
    mean = mean_for(entry, entry.input_size)
    np.testing.assert_array_equal(cut_input(whole, entry, mean), steps)
    np.testing.assert_array_equal(net_input(cut(whole, entry), entry, mean), steps)


def test_another_mean_is_bgr_and_another_scale_counts_whatever_the_nets_order(crop):
    options = {"mean": (1, 2, 3), "scale": 0.5}
    found = preprocess_input(crop, "shufflenet_v2_x05", **options)
    np.testing.assert_allclose(found, normalized(crop, (1, 2, 3), 0.5, "RGB"), 1e-6)
    mean = np.random.default_rng(0).uniform(0, 255, crop.shape)
    found = preprocess_input(crop, "shufflenet_v2_x05", mean=mean, scale=0.5)
    np.testing.assert_allclose(found, normalized(crop, mean, 0.5, "RGB"), 1e-4, 1e-4)
    found = preprocess_input(crop, "densenet121", mean=(1, 2, 3))
    np.testing.assert_allclose(found, normalized(crop, (1, 2, 3), 0.017, "BGR"), 1e-5)


@pytest.mark.parametrize(
    ("model", "how"),
    [
        ("nin", "kaffe"),
        ("hybrid_cnn", "keras-caffe-zoo download hybrid_cnn"),
    ],
)
def test_where_no_mean_is_known_the_error_leads_on(model, how):
    with pytest.raises(ValueError, match=how):
        preprocess_input(np.zeros((4, 4, 3)), model)


def test_ten_crops_and_the_pixel_mean_of_resnet(picture, tmp_path):
    mean = np.random.default_rng(0).uniform(90, 130, (3, 224, 224)).astype("float32")
    write_mean(tmp_path / "ResNet_mean.binaryproto", mean)
    install("resnet50", tmp_path / "ResNet_mean.binaryproto")
    crops = load_image(picture, "resnet50", crops=10)
    inputs = preprocess_input(crops, "resnet50")
    np.testing.assert_allclose(inputs[7], crops[7, ..., ::-1] - mean.transpose(1, 2, 0))


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "1"])
def test_pictures_of_any_mode_become_rgb(tmp_path, mode):
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.new("RGB", (300, 260), (200, 30, 60)).convert(mode).save(path)
    image = load_image(path, "caffenet")
    assert image.shape == (227, 227, 3)
    assert image.dtype == np.uint8


def test_exif_orientation_is_applied(tmp_path):
    picture = Image.new("RGB", (300, 256))
    picture.paste((255, 255, 255), (0, 0, 150, 256))  # left half white
    exif = picture.getexif()
    exif[0x0112] = 6  # stands on its side: turn clockwise to see it upright
    picture.save(tmp_path / "x.jpg", exif=exif, quality=95)
    image = read_picture(tmp_path / "x.jpg")
    assert image.shape == (300, 256, 3)
    assert image[:140].mean() > 250 > 5 > image[160:].mean()


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n\0\0"])
def test_what_is_no_picture_is_refused_with_its_name(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.png"):
        load_image(tmp_path / "x.png", "caffenet")


def test_missing_picture_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_image(tmp_path / "none.jpg", "caffenet")


def test_a_picture_without_a_net_keeps_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype="uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    np.testing.assert_array_equal(load_image(tmp_path / "photo.png"), pixels)
    with pytest.raises(ValueError, match="Expected `model`, whose size"):
        load_image(tmp_path / "photo.png", crops=10)
