"""Models in every format that `convert` writes, run by the engines that read them."""

import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from support import GOLDENS, every, nchw, nhwc, pattern, relative_error

import keras_caffe_zoo as kcz
from keras_caffe_zoo import convert, from_caffe
from keras_caffe_zoo.conversion.formats import check_target
from keras_caffe_zoo.conversion.openvino_core import openvino_core
from keras_caffe_zoo.conversion.spare import caffe_blob, source_of_rows
from keras_caffe_zoo.onnx.graph import Graph
from keras_caffe_zoo.onnx.openvino import write_openvino
from keras_caffe_zoo.rules.names import caffe_name

FORKS = GOLDENS / "forks"
FORMATS = (".keras", "/", ".onnx", ".tflite", ".xml")
FEW = ("format_v2",)  # the others are slow
# What a format cannot hold, and what its error names.
REFUSED: dict[tuple[str, str], str] = {}
GRAPHS = (".onnx", ".xml")  # as Caffe has it: channels first, names of blobs
NAMED = (*GRAPHS, ".tflite")
pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the formats are TensorFlow's"
)


def nets():
    found = [*GOLDENS.glob("net_*_mini.prototxt"), *GOLDENS.glob("format_*.prototxt")]
    found += [*FORKS.glob("net_*.prototxt"), *FORKS.glob("format_*.prototxt")]
    found += [GOLDENS / "net_caffenet_eighth.prototxt"]  # groups and normalization
    return {path.stem: path for path in sorted(found)}


NETS = nets()


def cases():
    for name in NETS:
        marks = () if name in FEW else pytest.mark.slow
        yield from (pytest.param(name, x, marks=marks) for x in FORMATS)


def imported(name):
    """Return a net, and its data by Caffe's names, twice if it takes any number."""
    path = NETS[name]
    model = from_caffe(path, path.with_suffix(".caffemodel"))
    with np.load(path.with_suffix(".npz")) as blobs:
        data = {x.name: nhwc(data_of(blobs, x.name)) for x in model.inputs}
    if all(x.shape[0] is None for x in model.inputs):
        data = {key: np.concatenate([x, x[::-1]]) for key, x in data.items()}
    return model, data


def data_of(blobs, name):
    if f"blob/{name}" in blobs:
        return blobs[f"blob/{name}"]
    *shape, seed, scale = blobs[f"pattern/{name}"]
    return pattern([int(n) for n in shape], int(seed), scale)


def answers(model, data):
    """Return what a model answers, by name."""
    x = [data[caffe_name(x.name)] for x in model.inputs]
    found = model(x if len(x) > 1 else x[0], training=False)
    if not isinstance(found, dict):
        found = {"": found}
    return {key: keras.ops.convert_to_numpy(value) for key, value in found.items()}


def run_keras(path, data):
    return answers(keras.models.load_model(path), data)


def run_saved_model(path, data):
    import tensorflow as tf

    served = tf.saved_model.load(str(path))
    found = served.serve(list(data.values()) if len(data) > 1 else [*data.values()][0])
    found = found if isinstance(found, dict) else {"": found}
    return {key: value.numpy() for key, value in found.items()}


def run_onnx(path, data):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [x.name for x in session.get_outputs()]
    return dict(zip(names, session.run(names, data), strict=True))


def run_litert(path, data):
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the class has a new name elsewhere
        interpreter = tf.lite.Interpreter(str(path))
    return dict(interpreter.get_signature_runner()(**data))


def run_openvino(path, data):
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino_core().compile_model(path, "CPU", exact)
    return {x.any_name: np.array(y) for x, y in compiled(data).items()}


ENGINES = {
    ".keras": [run_keras],
    "/": [run_saved_model],
    ".onnx": [run_onnx, run_openvino],
    ".tflite": [run_litert],
    ".xml": [run_openvino],
}


def as_caffe(arrays):
    return {key: np.ascontiguousarray(nchw(x)) for key, x in arrays.items()}


def as_caffe_has(model, data, found):
    """Return answers as Caffe's blobs, without the room for what was not found."""
    tensors = model.output if isinstance(model.output, dict) else {"": model.output}
    rows = {key: source_of_rows(x) for key, x in tensors.items()}
    rows = {key: x for key, x in rows.items() if x is not None}
    used = answers(keras.Model(model.inputs, rows), data) if rows else {}
    return {key: caffe_blob(tensors[key], x, used.get(key)) for key, x in found.items()}


def target(folder, form):
    return f"{folder}/net/" if form == "/" else folder / f"net{form}"


@pytest.mark.parametrize(("name", "form"), list(cases()))
def test_each_engine_computes_what_keras_does(name, form, tmp_path, capfd):
    model, data = imported(name)
    path = target(tmp_path, form)
    if (name, form) in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name, form]):
            convert(model, path)
        assert not list(tmp_path.iterdir())
        return
    capfd.readouterr()
    convert(model, path)
    assert capfd.readouterr() == ("", "")
    expected = answers(model, data)
    if form in GRAPHS:
        expected = as_caffe_has(model, data, expected)
        data = as_caffe(data)
    for run in ENGINES[form]:
        found = run(path, data)
        if form in NAMED and "" in expected:
            (blob,) = found
            assert blob in model.caffe_blobs
            expected = {blob: expected[""]}
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert relative_error(found[key], value) <= 1e-5, (run, key)


SEVERAL = """
input: 'left/data' input_shape { dim: 2 dim: 3 dim: 6 dim: 6 }
input: 'right' input_shape { dim: 2 dim: 5 }
layer { name: 'p/1' type: 'Pooling' bottom: 'left/data' top: 'p/1'
    pooling_param { kernel_size: 3 stride: 2 } }
layer { name: 'soft' type: 'Softmax' bottom: 'right' top: 's/max' }
layer { name: 'relu' type: 'ReLU' bottom: 'right' top: 'relu-2' }
"""


@pytest.fixture
def several(tmp_path):
    (tmp_path / "several.prototxt").write_text(SEVERAL)
    return from_caffe(tmp_path / "several.prototxt")


@pytest.mark.parametrize("form", NAMED)
def test_several_inputs_and_outputs_keep_the_names_of_caffes_blobs(
    several, form, tmp_path
):
    rng = np.random.default_rng(0)
    data = {
        "left/data": rng.standard_normal((4, 6, 6, 3), "float32"),
        "right": rng.standard_normal((4, 5), "float32"),
    }
    convert(several, tmp_path / f"net{form}")
    (run,) = ENGINES[form][-1:]
    expected = answers(several, data)
    if form in GRAPHS:
        data, expected = as_caffe(data), as_caffe(expected)
    found = run(tmp_path / f"net{form}", data)
    assert found.keys() == expected.keys() == {"p/1", "s/max", "relu-2"}
    for key, value in expected.items():
        assert relative_error(found[key], value) <= 1e-5


@pytest.mark.parametrize("form", FORMATS)
def test_a_model_of_keras_own_is_written(form, tmp_path):
    x = keras.Input((4, 4, 2), name="picture")
    y = keras.layers.Conv2D(3, 3, name="conv")(x)
    model = keras.Model(x, [y, keras.layers.ReLU(name="rectified")(y)])
    convert(model, target(tmp_path, form))
    assert list(tmp_path.iterdir())


FILES = {form: {f"net{form}"} for form in FORMATS}
FILES |= {"/": {"net"}, ".xml": {"net.xml", "net.bin"}}


@pytest.fixture
def small(tmp_path):
    model, data = imported("format_v2")
    (tmp_path / "made").mkdir()
    return model, data, tmp_path / "made"


@pytest.mark.parametrize("form", every(2, FORMATS))
def test_an_old_file_is_replaced_and_nothing_else_is_left(small, form):
    model, _, folder = small
    convert(model, target(folder, form))
    names = {path.name for path in folder.iterdir()}
    assert names == FILES[form]
    convert(model, target(folder, form))
    assert {path.name for path in folder.iterdir()} == names


@pytest.mark.parametrize("form", every(2, FORMATS))
def test_a_failure_leaves_the_old_file_as_it_was(small, form, monkeypatch):
    model, _, folder = small
    convert(model, target(folder, form))
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def fail(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        convert(model, target(folder, form))
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_folder_of_something_else_is_not_replaced(small):
    model, _, folder = small
    (folder / "net").mkdir()
    (folder / "net" / "photo.jpg").write_bytes(b"x")
    with pytest.raises(ValueError, match="which is something else"):
        convert(model, f"{folder}/net/")
    assert (folder / "net" / "photo.jpg").exists()


def test_what_litert_lacks_is_named(tmp_path):
    x = keras.Input((8,))
    y = keras.ops.erfinv(x)
    with pytest.raises(ValueError, match="built-in operations.*: Erfinv. Write .onnx"):
        convert(keras.Model(x, y), tmp_path / "net.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("net.pb", ValueError, r"ends in .keras, .tflite, .onnx, .xml, or in /"),
        ("no/net.keras", FileNotFoundError, "existing folder"),
    ],
)
def test_target_is_checked_before_any_work(tmp_path, name, error, message):
    with pytest.raises(error, match=message):
        check_target(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("net.onnx", "onnx", "onnx"), ("net.xml", "openvino", "openvino")],
)
def test_missing_packages_are_named_with_the_command(
    tmp_path, monkeypatch, name, package, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install \"keras_caffe_zoo\[{extra}\]"):
        check_target(tmp_path / name)


def test_other_engines_are_told_which_one_writes_these(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow"):
        check_target(tmp_path / "net.tflite")
    for name in ("net.keras", "net.onnx", "net.xml"):
        check_target(tmp_path / name)


@pytest.mark.parametrize("form", GRAPHS)
def test_layers_that_are_none_of_caffes_are_named_with_the_way_out(form, tmp_path):
    x = keras.Input((8, 8, 1))
    y = keras.layers.LayerNormalization(name="norm")(x)
    y = keras.layers.Conv2D(2, 3, activation="gelu", name="conv")(y)
    says = "Replace them, or write .keras(?s:.*)'norm'(?s:.*)'conv'"
    with pytest.raises(ValueError, match=says):
        convert(keras.Model(x, y), tmp_path / f"net{form}")
    assert not list(tmp_path.iterdir())


def test_what_openvino_lacks_is_named(tmp_path, monkeypatch):
    import openvino

    def refuse(*args):
        raise RuntimeError("Summary:\n-- No conversion rule found for operations: X-17")

    monkeypatch.setattr(openvino.Core, "read_model", refuse)
    with pytest.raises(ValueError, match="OpenVINO reads; 'net' also has: X-17. Write"):
        write_openvino(Graph("net"), tmp_path / "net.xml")
    assert not list(tmp_path.iterdir())


def test_the_name_convert_is_the_function():
    assert kcz.convert is convert and callable(kcz.convert)


@pytest.mark.slow
def test_the_package_imports_none_of_the_engines():
    code = (
        "import sys, keras_caffe_zoo\n"
        "names = 'openvino onnx onnxruntime ai_edge_litert'.split()\n"
        "print([name for name in names if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
