"""Files of other versions of ONNX's operators than the one that rules write."""

import numpy as np
import onnx
import onnxruntime
import pytest
from conversion import test_fork_goldens as forks
from conversion import test_golden_layers_import as layers
from onnx import defs
from support import GOLDENS, relative_error
from test_onnx_goldens import computed

from keras_caffe_zoo import to_onnx
from keras_caffe_zoo.onnx.file import model_proto
from keras_caffe_zoo.onnx.graph import Graph
from keras_caffe_zoo.onnx.opsets import OPSET, OPSETS, REWRITTEN, UNCHANGED
from keras_caffe_zoo.onnx.shapes import _SHAPES

DIGITS = GOLDENS / "format_v2.prototxt", GOLDENS / "format_v2.caffemodel"
OTHERS = [x for x in OPSETS if x != OPSET]


def since(type_, opset):
    try:
        return defs.get_schema(type_, opset).since_version
    except defs.SchemaError:
        return None


def test_what_other_versions_changed_of_our_operations_has_been_read():
    """What is new here: read ONNX's changelog, and put it into one of the two."""
    changed = {
        type_
        for type_ in _SHAPES
        for opset in OPSETS
        if since(type_, opset) not in (None, since(type_, OPSET))
    }
    assert changed <= UNCHANGED | REWRITTEN
    assert not UNCHANGED & REWRITTEN


@pytest.mark.parametrize("opset", OTHERS)
def test_a_net_is_written_in_other_opsets(opset, tmp_path):
    to_onnx(*DIGITS, tmp_path / "net.onnx", opset=opset)
    found = onnx.load(tmp_path / "net.onnx")
    assert [x.version for x in found.opset_import] == [opset]
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    blobs = layers.stored("format_v2")
    data = {x.name: blobs[x.name] for x in session.get_inputs()}
    (name,) = (x.name for x in session.get_outputs())
    assert relative_error(session.run(None, data)[0], blobs[name]) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("opset", [OPSETS[0], 18, OPSETS[-1]])
@pytest.mark.parametrize("case", [*layers.CASES, *forks.CASES])
def test_every_golden_is_the_same_in_other_opsets(case, opset):
    options, folder = {}, GOLDENS
    if case in layers.CASES:
        blobs = layers.stored(case)
    else:
        arrays, folder = forks.golden(case), forks.FORKS
        blobs = forks.under(arrays, "blob/")
        options["python_config"] = forks.python_config(arrays)
    expected = computed(folder, case, blobs, **options)
    try:
        found = computed(folder, case, blobs, opset=opset, **options)
    except ValueError as error:
        assert opset < OPSET and f"received: {opset}" in str(error)
        return
    for name, value in expected.items():
        assert relative_error(found[name], value) <= 1e-6, name


@pytest.mark.parametrize("opset", [12, 22, 0])
def test_an_opset_out_of_range_is_refused_before_any_work(opset, tmp_path):
    with pytest.raises(ValueError, match=f"from 13 to 21; received: {opset}"):
        to_onnx("no.prototxt", None, tmp_path / "net.onnx", opset=opset)


def ended(graph, value):
    graph.outputs["y"] = value
    value.name = "y"
    return graph


def run_at(graph, opset, x):
    proto = model_proto(graph, opset)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("opset", OPSETS)
def test_what_changed_is_rewritten(opset):
    graph = Graph()
    x = graph.input("x", (None, 4, 6))
    first, second = graph.op("Split", x, outputs=2, axis=1)
    y = graph.op("Mul", graph.op("ReduceMax", first, axes=[2], keepdims=1), second)
    x = np.random.default_rng(0).random((2, 4, 6), "float32")
    found = run_at(ended(graph, y), opset, x)
    np.testing.assert_array_equal(found, x[:, :2].max(2, keepdims=True) * x[:, 2:])


@pytest.mark.parametrize("opset", [16, 19, 20, 21])
def test_a_grid_is_sampled_alike(opset):
    graph = Graph()
    x = graph.input("x", (1, 1, 2, 2))
    grid = np.array([[[[0.0, 0.0], [-0.5, 0.5]]]], "float32")
    y = graph.op("GridSample", x, grid, mode="bilinear", align_corners=1)
    x = np.array([[[[0, 1], [2, 3]]]], "float32")
    np.testing.assert_allclose(run_at(ended(graph, y), opset, x).ravel(), [1.5, 1.75])


def sampled(graph):
    x, grid = graph.input("x", (1, 1, 2, 2)), np.zeros((1, 1, 2, 2), "float32")
    return graph.op("GridSample", x, grid, align_corners=1)


def scattered(graph):
    x, places = graph.input("x", (2, 2)), np.zeros((2, 2), "int64")
    return graph.op("ScatterElements", x, places, x, axis=0, reduction="add")


@pytest.mark.parametrize("make", [sampled, scattered])
def test_an_operation_that_an_opset_lacks_is_refused_by_name(make):
    graph = Graph()
    graph.layer = "warp"
    graph = ended(graph, make(graph))
    model_proto(graph, 16)
    type_ = graph.ops[0].type
    with pytest.raises(ValueError, match=f"16 at least, .* {type_} as the layer 'warp"):
        model_proto(graph, 15)
