"""The command `convert`: every format, from Caffe's files, checked in its engine."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from PIL import Image
from support import GOLDENS, golden, nchw, nhwc, relative_error

import keras_caffe_zoo
from keras_caffe_zoo import cli
from keras_caffe_zoo.conversion import checking, running
from keras_caffe_zoo.digits import held_out_digits, windows
from keras_caffe_zoo.weights import StoredWeights

NET = [
    GOLDENS / f"net_googlenet_mini.{suffix}" for suffix in ("prototxt", "caffemodel")
]
SMALL = [GOLDENS / f"format_v2.{suffix}" for suffix in ("prototxt", "caffemodel")]
DEMO = Path(keras_caffe_zoo.__file__).parent / "data" / "demo"
DIGITS = [DEMO / f"digits.{suffix}" for suffix in ("prototxt", "caffemodel")]
WITHOUT_KERAS = """
import sys
from keras_caffe_zoo import cli
status = cli.main(sys.argv[1:])
heavy = {"keras", "tensorflow", "jax", "torch", "tf2onnx"} & sys.modules.keys()
sys.exit(f"imported: {heavy}" if heavy else status)
"""


def run(*words):
    return cli.main([str(word) for word in words])


def shapes_in(path):
    graph = onnx.load(path).graph
    return {
        x.name: [d.dim_param or d.dim_value for d in x.type.tensor_type.shape.dim]
        for x in (*graph.input, *graph.output)
    }


@pytest.mark.parametrize("form", ["onnx", "xml"])
def test_files_that_need_no_keras_import_none(form, tmp_path):
    words = ["convert", *map(str, NET), "-o", str(tmp_path / f"net.{form}")]
    command = [sys.executable, "-W", "error", "-c", WITHOUT_KERAS, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert max(map(len, said[:-1])) <= 80
    assert said[0].split() == ["layer", "type", "blob", "parameters"]
    (row,) = (line for line in said if line.startswith("conv1/7x7_s2 "))
    assert row.split()[1] == "Convolution" and row.split()[2] == "?"
    assert said[-3].endswith("layers, 2,417 parameters")
    assert (tmp_path / f"net.{form}").exists()


def test_the_file_has_caffes_names_shapes_and_numbers(tmp_path):
    import onnxruntime

    assert run("convert", *NET, "-o", tmp_path / "net.onnx", "--opset", 13) == 0
    blobs = golden("net_googlenet_mini")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert shapes_in(tmp_path / "net.onnx")["data"][0] == "N"
    (found,) = session.run(["prob"], {"data": blobs["blob/data"]})
    assert relative_error(found, blobs["blob/prob"]) <= 1e-5
    (opset,) = onnx.load(tmp_path / "net.onnx").opset_import
    assert opset.version == 13


def test_json_has_the_layers_and_what_they_became(tmp_path, capsys):
    assert run("convert", *SMALL, "-o", tmp_path / "net.onnx", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["layer"]: row for row in found["layers"]}
    convolutions = [x for x in rows.values() if x["type"] == "Convolution"]
    assert convolutions and all(x["operations"] == ["Conv"] for x in convolutions)
    assert all(len(row["shapes"]) == 1 for row in rows.values())
    assert "checks" not in found


def test_a_keras_model_is_written_that_loads(tmp_path, capsys):
    assert run("convert", *NET, "-o", tmp_path / "net.keras") == 0
    said = capsys.readouterr().out
    assert "inception_3a/output" in said
    assert "2,417 parameters" in said
    assert max(map(len, said.splitlines()[:-1])) <= 80
    blobs = golden("net_googlenet_mini")
    answer = keras.models.load_model(tmp_path / "net.keras")(nhwc(blobs["blob/data"]))
    answer = nchw(keras.ops.convert_to_numpy(answer))
    assert relative_error(answer, blobs["blob/prob"]) <= 1e-5


def test_weights_alone_are_written(tmp_path):
    assert run("convert", *NET, "-o", tmp_path / "net.h5") == 0
    with StoredWeights(tmp_path / "net.h5") as stored:
        assert stored.names[0] == "conv1/7x7_s2"
        assert stored.shapes("classifier") == {"kernel": (68, 10), "bias": (10,)}


def image_of(path):
    return shapes_in(path)["data"][2:]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["40", "48"], [40, 48]),
        (["40", "any"], [40, "data_3"]),
        (["any", "any", "3"], ["data_2", "data_3"]),
    ],
)
def test_the_image_has_the_size_that_is_asked_for(words, expected, tmp_path):
    path = tmp_path / "net.onnx"
    options = "--fully-convolutional", "--input-shape", *words
    assert run("convert", *SMALL, "-o", path, *options) == 0
    assert image_of(path) == expected
    assert run("convert", *SMALL, "-o", tmp_path / "net.keras", *options) == 0
    model = keras.models.load_model(tmp_path / "net.keras")
    assert model.input_shape[1:3] == tuple(
        x if x in (40, 48) else None for x in expected
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "net.pb"], "ends in .keras"),
        (["-o", "net.onnx", "--opset", "12"], "from 13 to 21; received: 12"),
        (["-o", "net.xml", "--opset", "17"], "an opset for an .onnx file only"),
        (
            ["-o", "net.h5", "--check", "--opset", "17"],
            "no --opset, --check with net.h5",
        ),
        (["-o", "net.onnx", "--mean", "1"], "--preprocessing or --int8"),
        (["-o", "net.onnx", "--input-shape", "9"], "HEIGHT WIDTH CHANNELS; received 1"),
        (["-o", "no/net.onnx"], "existing folder"),
        (["-o", "net.onnx", "--inputs", "x.npz"], "--inputs with --check"),
        (
            ["-o", "net.onnx", "--inputs", "x.npz", "--check"],
            "received: x.npz. No such",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    words, said, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run("convert", *SMALL, *words) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["onnx", "keras"])
def test_the_file_gives_the_blobs_that_are_asked_for(form, tmp_path, capsys):
    path, blobs = tmp_path / f"net.{form}", ["--blob", "conv1", "--blob", "fc"]
    assert run("convert", *SMALL, "-o", path, *blobs, "--check") == 0
    if form == "onnx":
        assert list(shapes_in(path)) == ["data", "conv1", "fc"]
    else:
        assert set(keras.models.load_model(path).output) == {"conv1", "fc"}
    assert run("convert", *SMALL, "-o", path, "--blob", "fx") == 2
    assert "'fx'" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["0", "9"], ["-3", "9"], ["wide", "9"]])
def test_sizes_are_positive_numbers(words, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("convert", *SMALL, "-o", tmp_path / "net.onnx", "--input-shape", *words)
    assert "input-shape" in capsys.readouterr().err


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="TensorFlow writes")
@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("net.keras", "Keras"),
        ("net/", "TensorFlow"),
        ("net.tflite", "LiteRT"),
        ("net.onnx", "ONNX Runtime"),
        ("net.xml", "OpenVINO"),
    ],
)
def test_the_file_is_checked_in_its_engine(name, engine, tmp_path, capsys):
    assert run("convert", *SMALL, "-o", f"{tmp_path}/{name}", "--check") == 0
    assert f"{engine}: largest difference " in capsys.readouterr().out


def test_the_file_is_checked_with_given_blobs(tmp_path, capsys):
    np.savez(tmp_path / "blobs.npz", **golden("format_v2"))
    words = *SMALL, "-o", tmp_path / "net.onnx", "--inputs"
    assert run("convert", *words, tmp_path / "blobs.npz", "--check") == 0
    np.savez(tmp_path / "none.npz", dota=np.zeros(2))
    assert run("convert", *words, tmp_path / "none.npz", "--check") == 2
    assert "none for ['data'] in ['dota']" in capsys.readouterr().err


def test_a_file_that_departs_ends_with_status_1(tmp_path, capsys, monkeypatch):
    honest = running._run_onnx

    def off(*args):
        return {name: 1.0001 * value for name, value in honest(*args).items()}

    engine = running.Engine("ONNX Runtime", "onnxruntime", off)
    monkeypatch.setitem(running._ENGINES, ".onnx", [engine])
    files = *SMALL, "-o", tmp_path / "net.onnx"
    assert run("convert", *files, "--check") == 1
    assert "more than 1e-05" in capsys.readouterr().out
    assert run("convert", *files, "--check", "--json") == 1
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert check["engine"] == "ONNX Runtime"
    assert check["difference"] == pytest.approx(1e-4, rel=0.2)


def test_an_engine_that_is_missing_is_named_before_any_work(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert run("convert", *SMALL, "-o", tmp_path / "net.onnx", "--check") == 2
    assert "pip install onnxruntime" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_another_engine_may_not_run_the_file(tmp_path, capsys, monkeypatch):
    def refuse(*args):
        raise RuntimeError("no such operation")

    (own, *_) = running._ENGINES[".onnx"]
    other = running.Engine("Other", "onnx", refuse, optional=True)
    monkeypatch.setitem(running._ENGINES, ".onnx", [own, other])
    assert run("convert", *SMALL, "-o", tmp_path / "net.onnx", "--check") == 0
    assert "Other does not run it: no such operation" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "expected", "wanted"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.1], [1.0, 2.0], 0.05),
        ([0.0], [0.0], 0.0),
        ([0.5], [0.0], 0.5),
        ([[1.0]], [1.0], np.inf),
        ([np.nan], [1.0], np.inf),
        ([np.inf], [np.inf], 0.0),
        ([-np.inf], [np.inf], np.inf),
        ([], [], 0.0),
    ],
)
def test_differences(found, expected, wanted):
    found = checking.difference(np.array(found), np.array(expected))
    assert found == pytest.approx(wanted)


def test_of_a_softmax_that_is_sure_the_logarithms_are_compared():
    expected = np.array([1.0, 1e-8, 1e-20, 0.0])
    found = expected * [1, 1.01, 1, 1]
    assert checking.difference(found, expected) < 1e-9
    assert checking.difference(*checking._logarithms(found, expected)) > 1e-4
    found[2] = 0
    assert checking.difference(*checking._logarithms(found, expected)) == np.inf


def test_images_are_made_fainter_for_a_net_that_is_too_sure(tmp_path, monkeypatch):
    x = keras.Input((1, 1, 3), name="data")
    y = keras.layers.Conv2D(4, 1, name="conv", kernel_initializer="ones")
    wide = keras.Model(x, keras.layers.Softmax(name="prob")(y(x)))
    y.set_weights([np.arange(12.0).reshape(1, 1, 3, 4) * 9, np.zeros(4)])
    seen = []
    monkeypatch.setattr(
        checking, "_run", lambda *given, tolerance: seen.append(given[2:4])
    )
    checking.check_file(wide, tmp_path / "net.onnx")
    data, expected = seen[0]
    assert np.abs(data["data"]).max() < 26 and checking._tells(expected["prob"])


def test_inputs_are_as_such_blobs_are():
    shapes = {"data": (1, 30, 40, 3), "im_info": (1, 3), "rois": (7, 5), "cont": (4, 2)}
    inputs = [keras.Input(batch_shape=s, name=name) for name, s in shapes.items()]
    blobs = checking.random_inputs(keras.Model(inputs, inputs), {}, 0)
    image, info, rois, flags = blobs.values()
    pixels = image + checking._MEAN
    assert image.shape == (1, 3, 30, 40) and pixels.min() == 0 and pixels.max() == 255
    assert info.tolist() == [[30, 40, 1]]
    assert not rois[:, 0].any() and (rois[:, 1] <= rois[:, 3]).all()
    assert rois[:, 3].max() < 40 and rois[:, 4].max() < 30 and rois[:, 1:].any()
    assert set(flags.ravel()) == {0, 1}
    again = checking.random_inputs(keras.Model(inputs, inputs), {}, 0)
    assert all(np.array_equal(blobs[name], x) for name, x in again.items())


def test_integers_say_how_they_agree(tmp_path, capsys):
    for at, digit in enumerate(windows(held_out_digits()[0][:8])):
        Image.fromarray(digit[..., 0].astype("uint8")).save(tmp_path / f"{at}.png")
    words = "--preprocessing", "--mean", "0", "--int8", tmp_path
    assert run("convert", *DIGITS, "-o", tmp_path / "net.onnx", *words) == 0
    said = capsys.readouterr().out
    assert "measured on 6 pictures" in said and "as in float32: 100.0%" in said
    words = *words, "--check", "--json"
    assert run("convert", *DIGITS, "-o", tmp_path / "net.onnx", *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agreement"]["top1"] == 1.0
    assert 1e-5 < found["checks"][0]["difference"] < 0.2


@pytest.mark.parametrize("name", ["net.onnx", "net.xml"])
@pytest.mark.parametrize("half", [False, True])
def test_pixels_in_are_checked(name, half, tmp_path, capsys):
    words = ["--preprocessing", "--mean", "104,117,123", "--scale", "0.5", "--check"]
    words += ["--fp16"] * half
    assert run("convert", *NET, "-o", tmp_path / name, *words, "--json") == 0
    first, *_ = json.loads(capsys.readouterr().out)["checks"]
    assert 0 <= first["difference"] <= (1e-2 if half else 1e-5)


@pytest.mark.slow
def test_half_precision_of_litert(tmp_path, capsys):
    words = "--fp16", "--check", "--json"
    assert run("convert", *DIGITS, "-o", tmp_path / "net.tflite", *words) == 0
    (only,) = json.loads(capsys.readouterr().out)["checks"]
    assert 0 < only["difference"] <= 1e-2


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("net.keras", ["--fp16"], ".onnx, .xml or .tflite file, for float16"),
        ("net.tflite", ["--int8", "."], ".onnx or .xml file, for int8"),
        ("net.tflite", ["--preprocessing"], ".onnx or .xml file, to take pictures"),
        ("net.h5", ["--fp16"], "no --fp16 with"),
    ],
)
def test_formats_refuse_what_they_cannot_have(name, words, said, tmp_path, capsys):
    assert run("convert", *NET, "-o", tmp_path / name, *words) == 2
    assert said in capsys.readouterr().err


def test_a_file_is_no_net_of_the_zoo(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("convert", "--preprocessing", *NET, "-o", tmp_path / "net.onnx")
    assert "Put --preprocessing behind the files" in capsys.readouterr().err


def test_of_a_keras_file_it_is_said_how_to_open_it(tmp_path, capsys):
    for name in ("net.keras", "net.onnx"):
        assert run("convert", *SMALL, "-o", tmp_path / name) == 0
        said = capsys.readouterr().out.splitlines()[-1]
        assert said.startswith(f"Wrote {tmp_path / name}")
        assert ("import keras_caffe_zoo" in said) == name.endswith(".keras")
