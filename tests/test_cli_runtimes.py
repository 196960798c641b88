"""The commands' `--runtime`: other engines, the same answers."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo import caffe_params, cli, models, write_caffemodel
from keras_caffe_zoo.models._classifier import ClassifierDesign

RUNTIMES = ("keras", "onnxruntime", "openvino")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 8)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, caffe_params(models.caffenet(weights=None)))
    return path


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), "uint8")
    Image.fromarray(pixels).resize((300, 260)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def answer(photo, weights, tmp_path, capsys):
    def run(command, runtime, *words):
        words = [command, photo, "--weights", weights, "--runtime", runtime, *words]
        words += ["--model", "caffenet", "--json"]
        assert cli.main([str(word) for word in words]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize(
    ("command", "options"), [("classify", ()), ("heatmap", ("--side", 230))]
)
def test_answers_are_those_of_keras(command, options, answer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the heat map goes
    wanted, *others = [answer(command, name, *options) for name in RUNTIMES]
    for found in others:
        assert_alike(found, wanted)


def assert_alike(found, wanted):
    """Equal, but for the last digits of numbers."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key in wanted:
            assert_alike(found[key], wanted[key])
    elif isinstance(wanted, list):
        for one, other in zip(found, wanted, strict=True):
            assert_alike(one, other)
    else:
        is_inexact = isinstance(wanted, float)
        assert found == (pytest.approx(wanted, rel=1e-5) if is_inexact else wanted)


def test_extract_writes_what_the_runtime_computes(answer, tmp_path):
    out = tmp_path / "f.h5"
    told = answer("extract", "openvino", "--layer", "fc7", "-o", out)
    assert (told["rows"], told["layers"]) == (1, {"fc7": [8]})


def test_a_missing_runtime_is_told_before_a_net_is_built(photo, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "openvino", None)
    words = ("classify", photo, "--model", "caffenet", "--runtime", "openvino")
    assert cli.main([str(word) for word in (*words, "--weights", "none.h5")]) == 2
    assert 'pip install "keras_caffe_zoo[openvino]"' in capsys.readouterr().err
