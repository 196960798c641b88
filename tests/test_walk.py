"""What somebody new may type, and what is said to it."""

import keras
import numpy as np
import pytest
from PIL import Image

import keras_caffe_zoo as kcz
from keras_caffe_zoo import demo
from keras_caffe_zoo.cli import features, main
from keras_caffe_zoo.extraction.report import Features
from keras_caffe_zoo.labels import class_names, find_class
from keras_caffe_zoo.plots import history
from keras_caffe_zoo.weights import dump_caffe_weights

WEIGHTS = demo.FOLDER / "digits.caffemodel"


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_picture_is_written_into_the_file_that_was_named(tmp_path):
    (tmp_path / "curve.png").write_bytes(b"another's")
    history({"loss": [2.0, 1.0]}, output="curve")
    with Image.open(tmp_path / "curve") as picture:
        assert picture.format == "PNG"
    assert (tmp_path / "curve.png").read_bytes() == b"another's"
    with pytest.raises(ValueError, match="such as NAME.png; received: c.xyz"):
        history({"loss": [2.0, 1.0]}, output="c.xyz")


@pytest.mark.parametrize("output", ["photo.png", "./photo.png", "map.docx"])
def test_a_heat_map_is_not_drawn_over_its_picture(output, capsys, tmp_path):
    Image.new("RGB", (8, 8)).save("photo.png")
    before = (tmp_path / "photo.png").read_bytes()
    words = ("heatmap", "photo.png", "--model", "squeezenet_v1_1", "-o", output)
    assert main(words) == 2
    assert output.removeprefix("./") in capsys.readouterr().err
    assert (tmp_path / "photo.png").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("view", "squeezenet"), "Did you mean 'squeezenet_v1_1'"),
        (("view", "SqueezeNet-v1.1"), "Did you mean 'squeezenet_v1_1'"),
        (("list", "resnet"), "say '*resnet*'"),
        (("list", "net5"), "say '*net5*'"),
        (("version",), "Did you mean '--version'?\n"),
        (("help",), "Did you mean '--help'?\n"),
        (("Clasify", "x.jpg", "--model", "vgg16"), "Did you mean 'classify'?\n"),
        (("dump", WEIGHTS, "-o", "net.npz"), "such as net.h5; received: net.npz"),
    ],
)
def test_a_hint_leads_on(words, said, capsys):
    try:
        status = main([str(word) for word in words])
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1000", "a number too large. They go from 0 to 999"),
        ("tabyb", "in no class's name. Did you mean 'tabby'"),
        ("cat", "part of: 281 tabby, .*Give a whole name, or a number"),
    ],
)
def test_why_a_class_is_none(text, said):
    with pytest.raises(ValueError, match=said):
        find_class(text, class_names(), "--class")


def test_what_is_no_net_is_told_by_its_kind(tmp_path):
    Image.new("RGB", (8, 8)).save("photo.jpg")
    with pytest.raises(ValueError, match="'photo.jpg', a JPEG picture$"):
        kcz.load("photo.jpg")
    with pytest.raises(IsADirectoryError, match="received: .*, a folder"):
        kcz.load(tmp_path)
    (tmp_path / "mine.keras").touch()
    with pytest.raises(FileNotFoundError, match="Did you mean 'mine.keras'"):
        kcz.load("mime.keras")
    with pytest.raises(FileNotFoundError, match="Expected a prototxt; received: no"):
        kcz.load("no.prototxt", None)


def test_a_path_is_no_image_for_a_dense_map():
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)])
    with pytest.raises(ValueError, match=r"'photo.jpg'. Pass load_image"):
        kcz.predict_dense(model, "photo.jpg")


def test_features_go_into_a_folder_that_is_there():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 1)])
    pictures = [np.zeros((8, 8, 3), "uint8")]
    how = {"mean": (0, 0, 0), "progress": False}
    with pytest.raises(FileNotFoundError, match="existing folder for no/x.h5. Make"):
        kcz.extract_features(
            model, pictures, model.layers[-1].name, out="no/x.h5", **how
        )


def test_weights_go_into_a_name_of_no_known_kind():
    assert dump_caffe_weights(WEIGHTS, "net.weights", progress=False).exists()


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows")]
)
def test_one_is_no_plural(number, said, capsys):
    features._print(Features(number, (), {}, path="x.h5", computed=number, seconds=1))
    assert said + "\n" in capsys.readouterr().out
