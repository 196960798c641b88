"""The class of every pixel: maps of scores, as large as the picture is."""

import json
import math

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

import keras_caffe_zoo as kcz
from keras_caffe_zoo.caffe import parse_prototxt, write_caffemodel
from keras_caffe_zoo.cli import main
from keras_caffe_zoo.labels import class_names
from keras_caffe_zoo.layers import CaffeConv2D
from keras_caffe_zoo.tasks import segmentation
from keras_caffe_zoo.tasks.palettes import palette
from keras_caffe_zoo.tasks.segmentation import Segmenter, best_classes
from keras_caffe_zoo.tasks.segments import Segments

CLASSES = 4
WEIGHTS = np.random.default_rng(7).normal(size=(3, CLASSES)).astype("float32") / 60
PIXELS = np.random.default_rng(8).integers(0, 256, (37, 53, 3), "uint8")


def pointwise(sides=(None, None), *more):
    """A net that scores each pixel by its colour alone."""
    image = keras.Input((*sides, 3), name="data")
    conv = CaffeConv2D(CLASSES, 1, use_bias=False, data_format="channels_last")
    x = conv(image)
    for layer in more:
        x = layer(x)
    conv.kernel.assign(WEIGHTS[None, None])
    return keras.Model(image, x)


def stretched(x, size):
    """Bilinear, pixels being squares, written down as a sum over all pixels."""
    for axis, new in enumerate(size):
        old = x.shape[axis]
        at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        near = np.maximum(1 - np.abs(at[:, None] - np.arange(old)), 0)
        x = np.moveaxis(np.tensordot(near, x, (1, axis)), 0, axis)
    return x


def scores_of(pixels):
    return pixels[..., ::-1].astype("float64") @ WEIGHTS  # blue comes first


def agree(found, scores):
    """Tell that the best class was taken wherever it is one."""
    expected = scores.argmax(-1)
    best = np.sort(scores, -1)
    sure = best[..., -1] - best[..., -2] > 1e-4
    assert sure.mean() > 0.95
    np.testing.assert_array_equal(found[sure], expected[sure])


def test_a_net_of_any_size_sees_the_picture_as_it_is():
    found = kcz.segment(pointwise(), PIXELS, mean=0)
    assert (found.labels.shape, found.labels.dtype) == ((37, 53), "uint8")
    agree(found.labels, scores_of(PIXELS))


def test_a_net_of_one_size_sees_it_squeezed_and_its_scores_are_stretched():
    found = kcz.segment(pointwise((16, 24)), PIXELS, mean=0)
    squeezed = cv2.resize(PIXELS, (24, 16))
    agree(found.labels, stretched(scores_of(squeezed), (37, 53)))


def test_it_is_slid_over_the_picture_if_that_has_a_side():
    """As scale_process.m of PSPNet does it, but for the mirror image."""
    found = kcz.segment(pointwise((24, 20)), PIXELS, mean=0, side=30)
    shown = cv2.resize(PIXELS, (43, 30))
    total, times = np.zeros((30, 43, CLASSES)), np.zeros((30, 43, 1))
    for row in range(math.ceil((30 - 24) / 16) + 1):
        for column in range(math.ceil((43 - 20) / 14) + 1):
            bottom, right = min(row * 16 + 24, 30), min(column * 14 + 20, 43)
            box = np.s_[bottom - 24 : bottom, right - 20 : right]
            chances = np.exp(scores_of(shown[box]))
            total[box] += chances / chances.sum(-1, keepdims=True)
            times[box] += 1
    agree(found.labels, stretched(total / times, (37, 53)))


def test_a_picture_smaller_than_the_window_has_the_mean_around_it():
    net = Segmenter(pointwise((24, 20)), mean=[1, 2, 3], side=10)
    (x,), shown, size = net.prepare(PIXELS[:20, :10])
    assert (x.shape, shown, size) == ((24, 20, 3), (20, 10), (20, 10))
    expected = PIXELS[:20, :10, ::-1].astype("float32") - [1, 2, 3]
    np.testing.assert_allclose(x[:20, :10], expected, atol=1e-5)
    assert not x[20:].any()
    assert not x[:, 10:].any()


def test_rows_and_columns_are_added_until_the_map_is_as_large(tmp_path):
    """DeepLab's map is as large as pictures of 8 * n + 1 pixels."""
    text = """
        layer { name: "data" type: "Input" top: "data"
                input_param { shape { dim: 1 dim: 3 dim: 17 dim: 17 } } }
        layer { name: "coarse" type: "Convolution" bottom: "data" top: "coarse"
                convolution_param { num_output: 4 kernel_size: 1 stride: 8 } }
        layer { name: "up" type: "Interp" bottom: "coarse" top: "up"
                interp_param { zoom_factor: 8 } }
        layer { name: "best" type: "ArgMax" bottom: "up" top: "best"
                argmax_param { axis: 1 } }
    """
    prototxt, caffemodel = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(text)
    blobs = {"coarse": [WEIGHTS.T[..., None, None], np.zeros(CLASSES, "float32")]}
    write_caffemodel(caffemodel, blobs, parse_prototxt(text))
    net = kcz.from_caffe(prototxt, caffemodel, input_shape=(None, None, 3))
    found = kcz.segment(net, PIXELS, mean=0)
    padded = np.zeros((41, 57, 3))
    padded[:37, :53] = PIXELS
    corners = scores_of(padded[::8, ::8])
    scores = corners
    for axis in (0, 1):
        at = np.arange((scores.shape[axis] - 1) * 8 + 1) / 8
        near = np.maximum(1 - np.abs(at[:, None] - np.arange(scores.shape[axis])), 0)
        scores = np.moveaxis(np.tensordot(near, scores, (1, axis)), 0, axis)
    agree(found.labels, scores[:37, :53])


def test_a_map_of_another_size_is_stretched_over_the_picture():
    pool = keras.layers.AveragePooling2D(4, data_format="channels_last")
    found = kcz.segment(pointwise((None, None), pool), PIXELS[:36, :52], mean=0)
    cells = PIXELS[:36, :52].reshape(9, 4, 13, 4, 3).mean((1, 3))
    agree(found.labels, stretched(scores_of(cells), (36, 52)))


def test_a_large_picture_is_shrunk_for_nets_of_any_size(monkeypatch):
    monkeypatch.setattr("keras_caffe_zoo.tasks.views.LARGEST", 500)
    net = Segmenter(pointwise(), mean=0)
    (x,), shown, _ = net.prepare(PIXELS)
    assert x.shape[:2] == shown == (19, 27)
    assert net.answer([net.prepare(PIXELS)])[0].labels.shape == (37, 53)
    small = Segmenter(pointwise(), mean=0, side=10)
    assert small.prepare(PIXELS)[1] == (10, 14)


def test_scores_are_resized_strip_by_strip(monkeypatch):
    scores = np.random.default_rng(0).normal(size=(7, 9, 5)).astype("float32")
    monkeypatch.setattr(segmentation, "_STRIP", 200)
    agree(best_classes(scores, (23, 17)), stretched(scores, (23, 17)))
    assert best_classes(np.zeros((2, 2, 300), "float32"), (2, 2)).dtype == "int32"


def test_chances_are_not_made_of_chances_again():
    softmax = keras.layers.Softmax()
    raw, sure = pointwise((24, 20)), pointwise((24, 20), softmax)
    found = [kcz.segment(net, PIXELS, mean=0, side=30).labels for net in (raw, sure)]
    np.testing.assert_array_equal(*found)


def test_segments_tell_what_there_is_and_how_much():
    labels = np.array([[0, 0, 2], [2, 2, 2]], "uint8")
    found = Segments(labels, ("sky", "cow", "grass"), palette(3))
    assert [tuple(one) for one in found.classes] == [
        (2, "grass", 4 / 6),
        (0, "sky", 2 / 6),
    ]
    assert json.loads(json.dumps(found.as_dict())) == {
        "size": [2, 3],
        "classes": [
            {"index": 2, "name": "grass", "share": 4 / 6},
            {"index": 0, "name": "sky", "share": 2 / 6},
        ],
    }
    assert found.mask[0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 128, 0]]


def test_the_map_is_written_as_voc_has_it(tmp_path):
    labels = np.arange(21, dtype="uint8").reshape(3, 7)
    found = Segments(labels, tuple("abcdefghijklmnopqrstu"), palette(21, "voc"))
    found.save_labels(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), found.mask)
    many = Segments(labels, ("x",) * 257, palette(257))
    with pytest.raises(ValueError, match="at most 256 classes"):
        many.save_labels(tmp_path / "many.png")


def test_colours_are_those_of_the_data_sets():
    voc = palette(256, "voc")
    for index, colour in {
        1: (128, 0, 0),  # as VOC's own maps have aeroplanes, persons, monitors
        15: (192, 128, 128),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }.items():
        assert tuple(voc[index]) == colour
    assert len({tuple(colour) for colour in voc.tolist()}) == 256
    assert palette(19, "cityscapes")[10].tolist() == [70, 130, 180]
    assert palette(12, "camvid")[4].tolist() == [128, 64, 128]
    np.testing.assert_array_equal(palette(300)[256:], voc[:44])


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("voc", 21, "background", "TV/monitor"),
        ("cityscapes", 19, "road", "bicycle"),
        ("camvid", 12, "sky", "bicyclist"),
        ("ade20k", 150, "wall", "flag"),
    ],
)
def test_classes_have_names(name, count, first, last):
    names = class_names(name)
    assert len(names) == len({identifier for identifier, _ in names}) == count
    assert (names[0][1], names[-1][1]) == (first, last)


def test_names_are_those_of_the_list_or_ones_own():
    model = pointwise((8, 8))
    found = kcz.segment(model, PIXELS, mean=0, labels=list("abcd"))
    assert found.names == ("a", "b", "c", "d")
    assert kcz.segment(model, PIXELS, mean=0).names[3] == "class 3"
    assert Segmenter(model, preprocessing="enet").names[3] == "class 3"
    with pytest.raises(ValueError, match="each of the net's 4 classes; received: 21"):
        Segmenter(model, mean=0, labels="voc")


def test_nets_without_a_map_of_scores_are_refused():
    flat = keras.layers.Flatten()
    with pytest.raises(ValueError, match="whose output is a map of scores"):
        Segmenter(pointwise((4, 4), flat), mean=0)
    with pytest.raises(ValueError, match="segmentation; received: 'caffenet'"):
        Segmenter("caffenet", weights=None)
    with pytest.raises(ValueError, match="`side` to be a length"):
        Segmenter(pointwise(), mean=0, side=0)


def test_deeplab_labels_every_pixel_of_a_picture():
    found = kcz.segment("deeplab_largefov", PIXELS, weights=None, side=20)
    assert found.labels.shape == (37, 53)
    assert (found.names[15], found.background) == ("person", 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", kcz.list_models(task="segmentation"))
def test_nets_of_the_zoo_label_every_pixel(name):
    found = kcz.segment(name, PIXELS, weights=None)
    entry = kcz.model_info(name)
    assert found.labels.shape == (37, 53)
    assert len(found.names) == len(found.colours) == entry.classes
    assert sum(one.share for one in found.classes) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_other_engines_say_the_same(runtime):
    net = pointwise()
    expected, found = (
        kcz.segment(net, PIXELS, mean=0, runtime=r) for r in ("keras", runtime)
    )
    assert (found.labels == expected.labels).mean() > 0.999


@pytest.fixture
def folder(tmp_path):
    pointwise((16, 24)).save(tmp_path / "net.keras")
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for name in ("a.png", "more/b.png"):
        Image.fromarray(PIXELS).save(folder / name)
    (folder / "c.jpg").write_bytes(b"no picture")
    return folder


def command(folder, *words):
    net = ["--mean", "0", "--model", str(folder.parent / "net.keras")]
    return main(["segment", *net, *words])


def test_the_command_draws_pictures_and_tells_which_are_bad(folder, tmp_path, capsys):
    drawn = tmp_path / "drawn"
    assert command(folder, str(folder), "--json", "-o", str(drawn)) == 3
    answers = json.loads(capsys.readouterr().out)
    assert [("bad" in one, one["image"][-5:]) for one in answers] == [
        (False, "a.png"),
        (True, "c.jpg"),
        (False, "b.png"),
    ]
    assert sum(one["share"] for one in answers[0]["classes"]) == pytest.approx(1)
    for name in ("a.png.png", "more/b.png.png"):
        with Image.open(drawn / name) as image:
            assert image.width == 53 * 10  # enlarged until it can be seen
            assert image.height > 37 * 10  # the legend


def test_the_command_writes_maps_alone(folder, tmp_path, capsys):
    output = tmp_path / "map.png"
    words = ["--labels-only", "--labels", str(tmp_path / "names.txt")]
    (tmp_path / "names.txt").write_text("sky\ncow\n\ngrass\ncar\n")
    words = [str(folder / "a.png"), *words]
    assert command(folder, *words, "-o", str(output)) == 0
    assert "%  " in capsys.readouterr().out
    with Image.open(output) as image:
        assert (image.mode, image.size) == ("P", (53, 37))
        squeezed = cv2.resize(PIXELS, (24, 16))
        agree(np.asarray(image), stretched(scores_of(squeezed), (37, 53)))
    assert command(folder, *words, "-o", "map.jpg") == 2
    assert "--output to end with .png" in capsys.readouterr().err
