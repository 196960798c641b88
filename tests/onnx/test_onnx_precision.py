"""The demo's net in half precision and in integers, against itself in float32."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from support import relative_error

from keras_caffe_zoo.conversion.openvino_core import openvino_core
from keras_caffe_zoo.demo import held_out_digits, load, windows
from keras_caffe_zoo.onnx.api import to_onnx
from keras_caffe_zoo.precision.calibration import Calibration
from keras_caffe_zoo.precision.half import half
from keras_caffe_zoo.precision.litert import litert_half
from keras_caffe_zoo.precision.openvino_files import openvino_int8, save_half
from keras_caffe_zoo.preprocessing.recipe import recipe_for

DEMO = Path(importlib.util.find_spec("keras_caffe_zoo").origin).parent / "data" / "demo"
DIGITS = (DEMO / "digits.prototxt", DEMO / "digits.caffemodel")


@pytest.fixture(scope="module")
def digits():
    return windows(held_out_digits()[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits):
    """Return a folder of forty digits, one below another folder, and no picture."""
    folder = tmp_path_factory.mktemp("digits")
    (folder / "more").mkdir()
    for at, image in enumerate(digits[:40, ..., 0].astype("uint8")):
        name = f"more/{at}.png" if at == 7 else f"{at}.png"
        Image.fromarray(image).save(folder / name)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n")
    return folder


def answer(model, x):
    data = model if isinstance(model, str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(data)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def by_openvino(path, x):
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino_core().compile_model(path, "CPU", exact)(x)[0]


def types(graph):
    return {x.name: x.type.tensor_type.elem_type for x in [*graph.input, *graph.output]}


def test_half_precision_is_half_the_size_and_answers_alike(tmp_path, digits):
    paths = [str(tmp_path / name) for name in ("full.onnx", "half.onnx")]
    for path, precision in zip(paths, ("float32", "float16"), strict=True):
        assert to_onnx(*DIGITS, path, precision=precision) is None
    sizes = [Path(path).stat().st_size for path in paths]
    assert sizes[1] < 0.52 * sizes[0]
    x = np.moveaxis(digits, -1, 1)
    full, found = (answer(path, x) for path in paths)
    assert relative_error(found, full) < 2e-3
    np.testing.assert_array_equal(found.argmax(1), full.argmax(1))
    assert relative_error(by_openvino(paths[1], x), full) < 2e-3


def test_inputs_outputs_and_what_needs_it_stay_float32(tmp_path):
    to_onnx(*DIGITS, tmp_path / "half.onnx", precision="float16")
    graph = onnx.load(tmp_path / "half.onnx").graph
    assert set(types(graph).values()) == {TensorProto.FLOAT}
    found = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "half.onnx"))
    kinds = {x.name: x.type.tensor_type.elem_type for x in found.graph.value_info}
    kinds |= types(graph)
    made = {node.op_type: kinds[node.output[0]] for node in graph.node}
    halves = {"Conv", "Relu", "MaxPool", "Gemm", "Flatten"}
    assert {k for k, v in made.items() if v == TensorProto.FLOAT16} - {"Cast"} == halves
    assert made["LRN"] == made["Softmax"] == TensorProto.FLOAT


def a_model(nodes, constants, shape=(1, 2, 4, 4), outputs=("y",)):
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", floats, shape)],
        [helper.make_tensor_value_info(name, floats, shape) for name in outputs],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


W = np.random.default_rng(0).standard_normal((2, 2, 1, 1)).astype("float32")
X = np.random.default_rng(1).standard_normal((1, 2, 4, 4)).astype("float32")


def node(type, inputs, output, layer="", **attributes):
    names = inputs.split()
    made = helper.make_node(type, names, [output], output, **attributes)
    made.doc_string = layer
    return made


def half_kinds(model):
    """Return the operations of a model that are computed in half precision."""
    made = half(model)
    onnx.checker.check_model(made, full_check=True)
    graph = onnx.shape_inference.infer_shapes(made).graph
    kinds = {x.name: x.type.tensor_type.elem_type for x in graph.value_info}
    names = {x.output[0]: x for x in graph.node}
    return made, {
        x.name
        for out, x in names.items()
        if kinds.get(out) == TensorProto.FLOAT16 and x.op_type != "Cast"
    }


def test_a_weight_beyond_its_range_keeps_a_layer_in_float32():
    nodes = [node("Conv", "x w", "a"), node("Conv", "a big", "y")]
    model = a_model(nodes, {"w": W, "big": W * np.float32(1e6)})
    made, halves = half_kinds(model)
    assert halves == {"a"}
    assert relative_error(answer(made, X), answer(model, X)) < 2e-3


def test_a_layer_goes_together_and_coordinates_stay_exact():
    nodes = [
        node("Conv", "x w", "a", "conv"),
        node("Relu", "a", "b", "relu"),
        node("Mul", "b b", "c", "boxes"),
        node("Exp", "c", "d", "boxes"),
        node("Add", "d b", "y", "boxes"),
        node("Add", "x x", "z", "data"),
    ]
    model = a_model(nodes, {"w": W}, outputs=("y", "z", "b"))
    made, halves = half_kinds(model)
    assert halves == {"a", "b"}
    assert len(made.graph.initializer) == 1
    assert relative_error(answer(made, X), answer(model, X)) < 1e-2


def test_a_tiny_variance_keeps_a_normalization_in_float32():
    ones = np.ones(2, "float32")
    for variance, halves in ((1.0, {"a", "n"}), (1e-7, {"a"})):
        nodes = [
            node("Conv", "x w", "a"),
            node("BatchNormalization", "a s b m v", "n"),
            node("Softmax", "n", "y"),
        ]
        constants = dict(zip("wsbmv", (W, ones, ones, ones, ones), strict=True))
        constants["v"] = ones * np.float32(variance)
        assert half_kinds(a_model(nodes, constants))[1] == halves


@pytest.mark.parametrize("preprocessing", [False, True])
def test_integers_agree_with_floats(tmp_path, digits, folder, preprocessing):
    path = str(tmp_path / "int8.onnx")
    options = {"precision": "int8", "calibration": folder, "mean": 0}
    found = to_onnx(*DIGITS, path, preprocessing=preprocessing, **options)
    assert (found.measured, found.compared, found.held_out) == (30, 10, True)
    assert found.bad == (
        ("broken.png", "no picture, but a file that Pillow does not know"),
    )
    assert found.top1 == 1.0 and 0 < found.difference < 0.05
    assert "measured on 30 pictures" in str(found) and "broken.png" in str(found)
    full = str(tmp_path / "full.onnx")
    to_onnx(*DIGITS, full)
    assert Path(path).stat().st_size < 0.35 * Path(full).stat().st_size
    x = np.moveaxis(digits, -1, 1)
    wanted = answer(full, x).argmax(1)
    got = answer(path, digits.astype("uint8") if preprocessing else x).argmax(1)
    assert (wanted == got).mean() >= 0.95


def test_opencv_and_openvino_compute_the_same_integers(tmp_path, digits, folder):
    path = str(tmp_path / "int8.onnx")
    to_onnx(*DIGITS, path, precision="int8", calibration=folder, mean=0)
    x = np.moveaxis(digits[:20], -1, 1)
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(x)
    assert relative_error(net.forward(), answer(path, x)) < 1e-5
    assert relative_error(by_openvino(path, x), answer(path, x)) < 1e-5


def test_what_does_not_bear_it_stays_in_floats(tmp_path, folder):
    path = tmp_path / "int8.onnx"
    to_onnx(*DIGITS, path, precision="int8", calibration=folder, mean=0)
    graph = onnx.load(path).graph
    made_by = {x.output[0]: x.op_type for x in graph.node}
    of = {x.op_type: made_by.get(x.input[1]) for x in graph.node if x.op_type == "Conv"}
    assert of == {"Conv": "DequantizeLinear"}
    weights = {x.name: x.data_type for x in graph.initializer if len(x.dims) == 4}
    assert set(weights.values()) == {TensorProto.INT8}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"precision": "int4"}, "one of"),
        ({"precision": "int8"}, "together with precision"),
        ({"calibration": "."}, "together with precision"),
        ({"precision": "int8", "calibration": DEMO.parent / "no"}, "No such folder"),
        ({"precision": "int8", "calibration": DEMO.parent.parent / "caffe"}, "0 pict"),
    ],
)
def test_other_arguments_are_refused(tmp_path, options, why):
    with pytest.raises((ValueError, FileNotFoundError), match=why):
        to_onnx(*DIGITS, tmp_path / "net.onnx", mean=0, preprocessing=True, **options)


def test_a_folder_whose_pictures_are_all_damaged_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 picture and 1 that.*a.jpg \(empty file\)"):
        to_onnx(
            *DIGITS, tmp_path / "n.onnx", precision="int8", calibration=tmp_path, mean=0
        )


def test_few_pictures_are_measured_and_compared(tmp_path, digits):
    Image.fromarray(digits[0, ..., 0].astype("uint8")).save(tmp_path / "a.png")
    found = Calibration(tmp_path, (32, 32), 1, recipe_for((32, 32, 1), mean=0), items=2)
    assert not found.held_out and len(found.measured) == len(found.compared) == 1
    (batch,) = found.images(found.measured)
    np.testing.assert_array_equal(batch, np.stack([digits[0]] * 2))


@pytest.mark.slow
def test_openvino_takes_half_the_size(tmp_path, digits):
    to_onnx(*DIGITS, tmp_path / "net.onnx")
    model = openvino.convert_model(tmp_path / "net.onnx")
    openvino.save_model(model, tmp_path / "full.xml", compress_to_fp16=False)
    save_half(model, tmp_path / "half.xml")
    sizes = [(tmp_path / f"{x}.bin").stat().st_size for x in ("full", "half")]
    assert sizes[1] < 0.52 * sizes[0]
    x = np.moveaxis(digits, -1, 1)
    full, found = (
        by_openvino(tmp_path / f"{name}.xml", x) for name in ("full", "half")
    )
    assert relative_error(found, full) < 2e-3


def test_openvino_refuses_weights_beyond_the_range(tmp_path):
    model = a_model([node("Conv", "x w", "y")], {"w": W * np.float32(1e6)})
    onnx.save(model, tmp_path / "big.onnx")
    with pytest.raises(ValueError, match="at most 65,504"):
        save_half(openvino.convert_model(tmp_path / "big.onnx"), tmp_path / "big.xml")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_litert_takes_half_the_size(tmp_path, digits):
    import tensorflow as tf

    load().export(tmp_path / "net", verbose=False)
    files = []
    for prepare in (lambda converter: None, litert_half):
        converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "net"))
        prepare(converter)
        files.append(converter.convert())
    assert len(files[1]) < 0.55 * len(files[0])
    found = []
    for file in files:
        net = tf.lite.Interpreter(model_content=file)
        net.allocate_tensors()
        net.set_tensor(net.get_input_details()[0]["index"], digits[:1])
        net.invoke()
        found.append(net.get_tensor(net.get_output_details()[0]["index"]))
    assert relative_error(found[1], found[0]) < 2e-3


@pytest.mark.slow
def test_openvinos_integers_agree_with_floats(tmp_path, digits, folder):
    pytest.importorskip("nncf")
    to_onnx(*DIGITS, tmp_path / "net.onnx")
    model = openvino.convert_model(tmp_path / "net.onnx")
    pictures = Calibration(folder, (32, 32), 1, recipe_for((32, 32, 1), mean=0))
    made, found = openvino_int8(model, pictures)
    assert found.top1 == 1.0 and found.measured == 30
    openvino.save_model(made, tmp_path / "int8.xml", compress_to_fp16=False)
    full = answer(str(tmp_path / "net.onnx"), np.moveaxis(digits, -1, 1)).argmax(1)
    x = np.moveaxis(digits, -1, 1)
    got = by_openvino(tmp_path / "int8.xml", x).argmax(1)
    assert (full == got).mean() >= 0.95
    assert (tmp_path / "int8.bin").stat().st_size < 70_000
