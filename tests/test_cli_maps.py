"""estimate-pose, find-edges and colorize, with small nets of one's own."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo import caffe_params, from_caffe, write_caffemodel
from keras_caffe_zoo.cli import main

OPENPOSE_LIKE = """
input: "image" input_dim: 1 input_dim: 3 input_dim: 1 input_dim: 1
layer { name: "pool" type: "Pooling" bottom: "image" top: "pool"
        pooling_param { kernel_size: 8 stride: 8 pool: AVE } }
layer { name: "conv" type: "Convolution" bottom: "pool" top: "net_output"
        convolution_param { num_output: 44 kernel_size: 1
                            weight_filler { type: "xavier" } } }
"""


def net(path, channels, filters, last=None, pool=1):
    image = keras.Input((None, None, channels))
    x = keras.layers.AveragePooling2D(pool)(image)
    x = keras.layers.Conv2D(filters, 1, activation=last, name="class8_ab")(x)
    keras.Model(image, x).save(path)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Twenty pictures of all kinds, two of which are bad."""
    pictures = tmp_path / "pictures"
    (pictures / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(18):
        sides = rng.integers(20, 90, 2)
        pixels = rng.integers(0, 256, (*sides, 3), "uint8")
        picture = Image.fromarray(pixels).convert("L" if number % 5 == 4 else "RGB")
        suffix = ("png", "jpg", "bmp")[number % 3]
        place = pictures / "more" if number > 12 else pictures
        picture.save(place / f"{number:02}.{suffix}")
    (pictures / "bad.jpg").write_bytes(b"no picture")
    (pictures / "cut.png").write_bytes((pictures / "00.png").read_bytes()[:300])
    return pictures


def ask(capsys, *words):
    status = main([str(word) for word in words])
    return status, capsys.readouterr().out


def answers_of(capsys, folder, *words):
    """What a command says of the folder, in JSON, bad pictures told from good ones."""
    status, out = ask(capsys, *words, "--json")
    assert status == 3
    found = {answer["image"]: answer for answer in json.loads(out)}
    assert len(found) == 20
    bad = {name for name, answer in found.items() if "bad" in answer}
    assert bad == {str(folder / "bad.jpg"), str(folder / "cut.png")}
    return {name: a for name, a in found.items() if name not in bad}


def check_sizes(found):
    for name, answer in found.items():
        with Image.open(name) as picture, Image.open(answer["output"]) as drawn:
            assert drawn.size == picture.size
            assert tuple(answer["size"]) == picture.size[::-1]


def test_edges_of_a_folder(capsys, folder, tmp_path):
    words = ("find-edges", folder, "--mean", 0, "-o", tmp_path / "edges")
    model = net(tmp_path / "net.keras", 3, 1, "sigmoid")
    found = answers_of(capsys, folder, *words, "--model", model)
    check_sizes(found)
    assert all(0 <= answer["edges"] <= 1 for answer in found.values())
    status, out = ask(capsys, *words, "--model", model, "--longest", 16)
    assert status == 3
    assert "of its pixels are edges" in out and "2 pictures have no answer" in out


def test_colours_of_a_folder(capsys, folder, tmp_path):
    words = ("colorize", folder, "-o", tmp_path / "coloured")
    model = net(tmp_path / "net.keras", 1, 2, pool=4)
    found = answers_of(capsys, folder, *words, "--model", model)
    check_sizes(found)
    status, out = ask(capsys, *words, "--model", model)
    assert status == 3 and "(CIE Lab)" in out
    assert ask(capsys, *words, "--model", model, "--scale", 2)[0] == 2


def test_people_of_a_folder_by_a_definition_without_a_size(capsys, folder, tmp_path):
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(OPENPOSE_LIKE)
    words = ("estimate-pose", folder, "--mean", 0, "--scale", 1 / 255, "--height", 64)
    weights = tmp_path / "net.caffemodel"
    write_caffemodel(weights, caffe_params(from_caffe(prototxt)))
    words += ("--model", prototxt, "--weights", weights, "-o", tmp_path / "people")
    found = answers_of(capsys, folder, *words)
    check_sizes(found)
    assert all(isinstance(answer["people"], list) for answer in found.values())
    status, out = ask(capsys, *words)
    assert status == 3 and "drawn in" in out


def test_one_picture_is_drawn_where_nobody_said(capsys, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = net(tmp_path / "net.keras", 1, 2)
    status, out = ask(capsys, "colorize", folder / "03.png", "--model", model)
    assert status == 0 and "drawn in colorized.png" in out
    with Image.open("colorized.png") as drawn:
        assert drawn.mode == "RGB"
