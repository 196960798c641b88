"""The commands about Caffe's files, on the small nets that real Caffe ran."""

import json

import numpy as np
import pytest
from support import GOLDENS, golden

from keras_caffe_zoo import cli

NET = [
    GOLDENS / f"net_googlenet_mini.{suffix}" for suffix in ("prototxt", "caffemodel")
]


def run(*words):
    return cli.main([str(word) for word in words])


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
