"""The commands about Caffe's files, on the small nets that real Caffe ran."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from support import GOLDENS, golden, nchw, nhwc, relative_error

import keras_caffe_zoo
from keras_caffe_zoo import cli
from keras_caffe_zoo.digits import held_out_digits, windows
from keras_caffe_zoo.weights import StoredWeights

NET = [
    GOLDENS / f"net_googlenet_mini.{suffix}" for suffix in ("prototxt", "caffemodel")
]


def run(*words):
    return cli.main([str(word) for word in words])


def test_convert_prints_a_table_and_writes_a_model_that_loads(tmp_path, capsys):
    assert run("convert", *NET, "-o", tmp_path / "net.keras") == 0
    said = capsys.readouterr().out
    assert "inception_3a/output" in said
    assert "2,417 parameters" in said
    assert max(map(len, said.splitlines()[:-1])) <= 80
    blobs = golden("net_googlenet_mini")
    answer = keras.models.load_model(tmp_path / "net.keras")(nhwc(blobs["blob/data"]))
    assert (
        relative_error(nchw(keras.ops.convert_to_numpy(answer)), blobs["blob/prob"])
        <= 1e-5
    )


def test_convert_to_h5_writes_the_weights(tmp_path):
    assert run("convert", *NET, "-o", tmp_path / "net.h5") == 0
    with StoredWeights(tmp_path / "net.h5") as stored:
        assert stored.names[0] == "conv1/7x7_s2"
        assert stored.shapes("classifier") == {"kernel": (68, 10), "bias": (10,)}


def test_convert_checks_the_name_before_it_works(tmp_path, capsys):
    assert run("convert", *NET, "-o", tmp_path / "net.pb") == 2
    assert "ends in .keras" in capsys.readouterr().err


def test_convert_to_integers_says_how_they_agree(tmp_path, capsys):
    demo = Path(keras_caffe_zoo.__file__).parent / "data" / "demo"
    files = demo / "digits.prototxt", demo / "digits.caffemodel"
    for at, digit in enumerate(windows(held_out_digits()[0][:8])):
        Image.fromarray(digit[..., 0].astype("uint8")).save(tmp_path / f"{at}.png")
    words = "--preprocessing", "--mean", "0", "--int8", tmp_path
    assert run("convert", *files, "-o", tmp_path / "net.onnx", *words) == 0
    said = capsys.readouterr().out
    assert "measured on 6 pictures" in said and "as in float32: 100.0%" in said
    assert run("convert", *files, "-o", tmp_path / "net.onnx", *words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["agreement"]["top1"] == 1.0


def test_convert_has_options_for_onnx_alone(tmp_path, capsys):
    assert run("convert", *NET, "-o", tmp_path / "net.keras", "--fp16") == 2
    assert "ends in .onnx" in capsys.readouterr().err


def test_compare_agrees_with_caffe(capsys):
    assert run("compare", *NET, GOLDENS / "net_googlenet_mini.npz") == 0
    assert "All 14 blobs agree within 0.0001." in capsys.readouterr().out


def test_compare_finds_the_first_departure(tmp_path, capsys):
    blobs = golden("net_googlenet_mini")
    blobs["blob/pool5"][0, 0, 0, 0] += 100
    np.savez(tmp_path / "blobs.npz", **blobs)
    assert run("compare", *NET, tmp_path / "blobs.npz", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["first_departure"] == "pool5"
    assert len(found["rows"]) == 14


def test_compare_takes_the_data_apart(tmp_path, capsys):
    blobs = golden("net_googlenet_mini")
    np.savez(tmp_path / "data.npz", data=blobs.pop("blob/data"))
    np.savez(tmp_path / "blobs.npz", **blobs)
    files = *NET, tmp_path / "blobs.npz"
    assert run("compare", *files, "--inputs", tmp_path / "data.npz") == 0
    assert run("compare", *files) == 2
    assert "received none for ['data']" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("net_googlenet_mini.prototxt", "inception_3a/output"),
        ("format_v1.caffemodel", "format V1"),
        ("mean.binaryproto", "mean image"),
    ],
)
def test_inspect_tells_what_is_in_a_file(name, said, capsys):
    assert run("inspect", GOLDENS / name) == 0
    text = capsys.readouterr().out
    assert said in text
    assert run("inspect", GOLDENS / name, "--json") == 0
    assert (
        json.loads(capsys.readouterr().out)["size"] == (GOLDENS / name).stat().st_size
    )


def test_inspect_refuses_what_is_no_caffe_file(tmp_path, capsys):
    (tmp_path / "x.caffemodel").write_bytes(b"\x00" * 64)
    assert run("inspect", tmp_path / "x.caffemodel") == 2
    assert "x.caffemodel" in capsys.readouterr().err
