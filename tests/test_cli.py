"""The command, on CaffeNet with narrow inner products and made-up weights."""

import json

import h5py
import numpy as np
import pytest
from PIL import Image
from support import pattern

from keras_caffe_zoo import cli, read_mean, write_caffemodel
from keras_caffe_zoo.caffe import write_mean
from keras_caffe_zoo.models import _plan
from keras_caffe_zoo.weights import model_entry

UNITS = 16


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_plan, "FC_UNITS", UNITS)


@pytest.fixture(scope="module")
def params():
    shapes = dict(model_entry("caffenet").blobs)
    shapes |= {
        "fc6": ((UNITS, 9216), (UNITS,)),
        "fc7": ((UNITS, UNITS), (UNITS,)),
        "fc8": ((1000, UNITS), (1000,)),
    }
    return {
        name: [
            pattern(weight, 2 * j, (24 / np.prod(weight[1:])) ** 0.5),
            pattern(bias, 2 * j + 1, 0.2),
        ]
        for j, (name, (weight, bias)) in enumerate(shapes.items())
    }


@pytest.fixture(scope="module")
def caffemodel(tmp_path_factory, params):
    path = tmp_path_factory.mktemp("weights") / "net.caffemodel"
    write_caffemodel(path, params)
    return path


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), "uint8")
    path = tmp_path / "photo.jpg"
    Image.fromarray(pixels).resize((400, 300)).save(path)
    return path


def run(*words):
    return cli.main([str(word) for word in words])


def test_classify_prints_the_likeliest_classes(photo, caffemodel, capsys):
    assert (
        run("classify", photo, photo, "--model", "caffenet", "--weights", caffemodel)
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    blocks = [i for i, line in enumerate(lines) if line == str(photo)]
    assert len(blocks) == 2
    assert lines[blocks[0] + 1 : blocks[1]] == lines[blocks[1] + 1 : blocks[1] + 6]
    assert "%  n" in lines[-1]


def test_classify_gives_json_to_programs(photo, caffemodel, capsys):
    words = ("classify", photo, "--model", "caffenet", "--weights", caffemodel)
    assert run(*words, "--top", 3, "--json") == 0
    (answer,) = json.loads(capsys.readouterr().out.splitlines()[-1])
    chances = [c["probability"] for c in answer["classes"]]
    assert len(chances) == 3
    assert chances == sorted(chances, reverse=True)


def test_heatmap_draws_the_class_that_was_asked_for(
    photo, caffemodel, tmp_path, capsys
):
    words = ("heatmap", photo, "--model", "caffenet", "--weights", caffemodel)
    output = tmp_path / "map.png"
    assert run(*words, "--class", "tabby", "--side", 320, "-o", output) == 0
    assert "tabby, tabby cat: at most" in capsys.readouterr().out
    assert min(Image.open(output).size) > 300


@pytest.mark.parametrize("name", ["", "unheard of", "terrier"])
def test_heatmap_refuses_a_class_it_cannot_tell(photo, caffemodel, name, capsys):
    words = ("heatmap", photo, "--model", "caffenet", "--weights", caffemodel)
    assert run(*words, f"--class={name}") == 2
    assert "Expected --class to mean one of" in capsys.readouterr().err


def test_dump_writes_keras_layout_with_its_provenance(caffemodel, params, tmp_path):
    mean = np.random.default_rng(0).uniform(90, 130, (3, 8, 8)).astype("float32")
    write_mean(tmp_path / "mean.binaryproto", mean)
    output = tmp_path / "net.h5"
    words = ("dump", caffemodel, "--mean", tmp_path / "mean.binaryproto", "-o", output)
    assert run(*words) == 0
    with h5py.File(output) as file:
        np.testing.assert_array_equal(
            file["conv2/kernel"], params["conv2"][0].transpose(2, 3, 1, 0)
        )
        np.testing.assert_array_equal(file["fc8/bias"], params["fc8"][1])
        np.testing.assert_array_equal(file["mean"], mean.transpose(1, 2, 0))
        assert file.attrs["source_file"] == "net.caffemodel"
        assert file.attrs["source_size"] == caffemodel.stat().st_size
        assert len(file.attrs["source_sha256"]) == 64
        assert file.attrs["caffe_format"] == "V2"


def test_dumped_file_and_caffemodel_classify_alike(photo, caffemodel, tmp_path, capsys):
    assert run("dump", caffemodel, "-o", tmp_path / "net.h5") == 0
    answers = []
    for weights in (caffemodel, tmp_path / "net.h5"):
        words = ("classify", photo, "--model", "caffenet", "--weights", weights)
        assert run(*words, "--json") == 0
        answers.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert answers[0] == answers[1]


def test_installed_mean_image_is_what_was_given(tmp_path, capsys):
    mean = np.random.default_rng(0).uniform(90, 130, (3, 224, 224)).astype("float32")
    write_mean(tmp_path / "VGG_mean.binaryproto", mean)
    assert run("install", "vgg_cnn_s", tmp_path / "VGG_mean.binaryproto") == 0
    path = capsys.readouterr().out.strip().removeprefix("Installed ")
    np.testing.assert_array_equal(read_mean(path), mean)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("classify", "none.jpg", "--model", "caffenet"), "none.jpg"),
        (("dump", "none.caffemodel", "-o", "x.h5"), "none.caffemodel"),
        (("install", "caffenet", "none.caffemodel"), "none.caffemodel"),
        (("install", "lenet", "none.caffemodel"), "received: 'lenet'"),
    ],
)
def test_errors_are_one_message_and_status_2(words, message, capsys):
    assert run(*words) == 2
    said = capsys.readouterr()
    assert said.err.startswith("keras-caffe-zoo: error: ")
    assert message in said.err
    assert "Traceback" not in said.err


def test_help_teaches(capsys):
    for words in (["--help"], ["heatmap", "--help"]):
        with pytest.raises(SystemExit, match="0"):
            cli.main(words)
    said = capsys.readouterr().out
    assert "Start with: keras-caffe-zoo demo" in said
    assert "Example: keras-caffe-zoo heatmap photo.jpg" in said
    assert max(map(len, said.splitlines())) <= 80
