"""What `inspect_file` says of Caffe's files, and of those of the forks."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from support import GOLDENS, golden

from keras_caffe_zoo import cli
from keras_caffe_zoo.caffe import CaffeFormatError
from keras_caffe_zoo.conversion.summary import inspect_file
from keras_caffe_zoo.rules.registry import rule_of

FORKS = GOLDENS / "forks"


@pytest.fixture
def written(tmp_path):
    def written(layers):
        path = tmp_path / "net.prototxt"
        path.write_text(f"input: 'data' input_dim: [1, 2, 8, 8]\n{layers}")
        return path

    return written


def relu(type_, more=""):
    return f"layer {{ name: 'x' type: '{type_}' bottom: 'data' top: 'x' {more} }}\n"


@pytest.mark.parametrize("version", ["V0", "V1", "V2"])
def test_summary_of_a_caffemodel_tells_format_layers_and_parameters(version):
    summary = inspect_file(GOLDENS / f"format_{version.lower()}.caffemodel")
    assert (summary.kind, summary.version) == ("caffemodel", version)
    blobs = {layer["name"]: layer["blobs"] for layer in summary.layers}
    assert blobs["conv1"] == [[4, 3, 3, 3], [4]]
    assert blobs["fc"] == [[5, 64], [5]]
    assert summary.parameters == 4 * 27 + 4 + 5 * 64 + 5
    assert "437 parameters" in str(summary)


def test_summary_of_a_prototxt_tells_shapes_and_wiring():
    summary = inspect_file(GOLDENS / "net_caffenet_eighth.prototxt")
    assert summary.kind == "prototxt"
    shapes = {layer["name"]: layer.get("shapes") for layer in summary.layers}
    assert shapes["pool5"] == [[1, 32, 6, 6]]
    assert shapes["fc8"] == [[1, 20]]
    assert summary.parameters == 119_684
    path, *lines = str(summary).splitlines()
    assert max(map(len, lines)) <= 80


def test_summary_of_a_training_definition_keeps_its_data_layers():
    summary = inspect_file(GOLDENS / "train_val.prototxt")
    assert [layer["type"] for layer in summary.layers][:2] == ["Data", "Data"]
    assert "SoftmaxWithLoss" in str(summary)


def test_summary_of_a_mean_image():
    summary = inspect_file(GOLDENS / "mean.binaryproto")
    mean = golden("mean")["mean"]
    assert summary.kind == "mean"
    assert summary.mean["shape"] == [3, 8, 8]
    np.testing.assert_allclose(summary.mean["channels"], mean.mean((0, 2, 3)), 1e-6)
    assert "channel means 107.494" in str(summary)


def test_what_is_no_caffe_file_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"<html>not found</html>")
    with pytest.raises(CaffeFormatError):
        inspect_file(tmp_path / "x")


def test_a_net_of_caffes_own_needs_no_fork():
    summary = inspect_file(GOLDENS / "net_fcn_mini.prototxt")
    assert (summary.forks, summary.refused) == ({}, "")
    assert "needs" not in str(summary)


def test_types_and_fields_tell_the_fork(written):
    path = written(
        relu("DenseCRF")
        + relu("RegionLoss")
        + relu("BatchNorm", "batch_norm_param { scale_bias: true }")
    )
    summary = inspect_file(path)
    assert summary.forks == {
        "DeepLab": ("DenseCRF",),
        "YOLO": ("RegionLoss",),
        "NVCaffe": ("batch_norm_param.scale_bias",),
    }
    text = str(summary)
    assert "needs: DeepLab (DenseCRF), YOLO (RegionLoss), NVCaffe" in text
    assert max(map(len, text.splitlines()[1:])) <= 80
    assert len(summary.layers) == 4
    assert json.loads(json.dumps(asdict(summary)))["forks"]["DeepLab"] == ["DenseCRF"]


def test_a_rules_own_fork_is_named(written, monkeypatch):
    monkeypatch.setattr(rule_of("ReLU"), "fork", "SSD", raising=False)
    assert inspect_file(written(relu("ReLU"))).forks == {"SSD": ("ReLU",)}


def test_a_known_field_of_a_fork_is_named(written, monkeypatch):
    from keras_caffe_zoo.rules import forks

    monkeypatch.setitem(forks._FORK_OF_FIELD, "relu_param.negative_slope", "ENet")
    summary = inspect_file(written(relu("ReLU", "relu_param { negative_slope: 1 }")))
    assert summary.forks == {"ENet": ("relu_param.negative_slope",)}
    assert not summary.refused


def test_fields_that_change_nothing_need_no_fork(written):
    assert (
        inspect_file(written(relu("ReLU", "quantization_param { a: 1 }"))).forks == {}
    )


def test_a_python_layer_is_named_by_its_code(written):
    code = "python_param { module: 'rpn.generate' layer: 'GenerateLayer' }"
    summary = inspect_file(written(relu("Python", code)))
    assert summary.forks == {"Faster R-CNN": ("rpn.generate.GenerateLayer",)}
    assert "of Faster R-CNN" in summary.refused


def test_what_cannot_be_imported_is_listed_and_says_why_in_a_line(written):
    path = written(relu("Mystery") + relu("DenseCRF"))
    summary = inspect_file(path)
    assert summary.refused.startswith("No rule for layers of the types 'Mystery' ('x')")
    assert "'DenseCRF' ('x', of DeepLab)" in summary.refused
    (line,) = [x for x in str(summary).splitlines() if x.startswith("cannot be")]
    assert len(line) <= 80
    assert [layer["type"] for layer in summary.layers][1:] == ["Mystery", "DenseCRF"]


def test_options_help_to_import_it(written):
    path = written(relu("ReLU", "odd_param { x: 1 }"))
    assert "odd_param" in inspect_file(path).refused
    summary = inspect_file(path, ignore_fields=["odd_param"])
    assert not summary.refused
    assert summary.layers[1]["shapes"] == [[1, 2, 8, 8]]
    with pytest.raises(ValueError, match="ignore_fields"):
        inspect_file(path, ignore_fields=["even_param"])


def run(*words):
    return cli.main([str(word) for word in words])


def test_the_commands_have_the_options(written, tmp_path, capsys):
    path = written(relu("PReLU", "odd_param { x: 1 }"))
    assert run("inspect", path, "--ignore-field", "odd_param") == 0
    assert "1 x 2 x 8 x 8" in capsys.readouterr().out
    assert run("inspect", path, "--ignore-field", "even_param") == 2
    assert "which is no unknown field" in capsys.readouterr().err
    assert run("inspect", path, "--max-detections", "0") == 2
    assert "max_detections" in capsys.readouterr().err
    for bad in ("RPN=x", "16"):
        with pytest.raises(SystemExit):
            run("inspect", path, "--python-config", bad)
        assert "expected KEY=NUMBER" in capsys.readouterr().err


def test_convert_and_compare_hand_the_options_on(tmp_path, monkeypatch):
    from keras_caffe_zoo import conversion

    seen = []

    def import_(*paths, **options):
        seen.append(options)
        raise ValueError("seen")

    monkeypatch.setattr(conversion, "from_caffe", import_)
    options = ["--python-config", "A=3", "--python-config", "B=0.5"]
    options += ["--ignore-field", "x_param.y", "--ignore-field", "z"]
    options += ["--max-detections", "7"]
    files = [tmp_path / name for name in ("a.prototxt", "a.caffemodel", "a.npz")]
    for file in files:
        file.touch()
    assert run("convert", *files[:2], "-o", tmp_path / "n.keras", *options) == 2
    assert run("compare", *files, *options) == 2
    for given in seen:
        assert given["python_config"] == {"A": 3, "B": 0.5}
        assert given["max_detections"] == 7
        assert given["ignore_fields"] == ["x_param.y", "z"]
    assert len(seen) == 2


@pytest.mark.parametrize(
    "path", sorted(FORKS.glob("net_*.prototxt")), ids=lambda p: p.stem
)
def test_every_net_of_the_forks_is_listed(path):
    summary = inspect_file(path.with_suffix(".caffemodel"))
    assert summary.kind == "caffemodel" and summary.parameters > 0
    assert max(map(len, str(summary).splitlines()[1:])) <= 80
