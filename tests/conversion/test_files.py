"""Saving and exporting imported nets; a summary of Caffe's files."""

import keras
import numpy as np
import pytest
from support import GOLDENS, golden, nchw, nhwc, pattern, relative_error

from keras_caffe_zoo import feature_extractor
from keras_caffe_zoo.caffe import CaffeFormatError
from keras_caffe_zoo.conversion import from_caffe, inspect_file
from keras_caffe_zoo.conversion.files import check_target, save_as

CASES = {
    "net_googlenet_mini": "prob",
    "net_resnet_mini": "prob",
    "net_fcn_mini": "out",
    "net_caffenet_eighth": "fc8",
}
tensorflow_only = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="Keras exports from TensorFlow here"
)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A freshly imported model, an input, and what Caffe answered."""
    name = request.param
    model = from_caffe(GOLDENS / f"{name}.prototxt", GOLDENS / f"{name}.caffemodel")
    blobs = golden(name)
    if "blob/data" in blobs:
        x = nhwc(blobs["blob/data"])
    else:
        *shape, seed, scale = blobs["pattern/data"]
        x = nhwc(pattern([int(n) for n in shape], int(seed), scale))
    last = CASES[name]
    if last == "fc8":  # its softmax is too sure of itself to compare
        model = feature_extractor(model, last)
        model(x)  # Keras exports models of its own class once they were called
    return model, x, blobs[f"blob/{last}"]


def test_keras_file_computes_what_caffe_did(case, tmp_path):
    model, x, expected = case
    save_as(model, tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert relative_error(nchw(loaded.predict(x, verbose=0)), expected) <= 1e-5


@tensorflow_only
def test_saved_model_computes_what_caffe_did(case, tmp_path):
    import tensorflow as tf

    model, x, expected = case
    save_as(model, f"{tmp_path}/net/")
    served = tf.saved_model.load(f"{tmp_path}/net/")
    assert relative_error(nchw(served.serve(x).numpy()), expected) <= 1e-5


@tensorflow_only
def test_onnx_computes_what_caffe_did(case, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="runs the ONNX file")
    model, x, expected = case
    save_as(model, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (answer,) = session.run(None, {session.get_inputs()[0].name: x})
    assert relative_error(nchw(answer), expected) <= 1e-5


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("net.pb", ValueError, r"ends in .keras, .onnx"),
        ("no/net.keras", FileNotFoundError, "existing folder"),
    ],
)
def test_target_is_checked_before_any_work(tmp_path, name, error, message):
    with pytest.raises(error, match=message):
        check_target(tmp_path / name)


def test_missing_onnx_packages_are_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "keras_caffe_zoo\[onnx\]"'):
        check_target(tmp_path / "net.onnx")


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
