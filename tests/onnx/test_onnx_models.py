"""Keras models as ONNX files: what is open stays so, and outputs keep their names."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from support import GOLDENS, nchw, relative_error

import keras_caffe_zoo as kcz
from keras_caffe_zoo.conversion.exporter import open_net
from keras_caffe_zoo.onnx.api import model_graph


def shape_of(value):
    sizes = value.type.tensor_type.shape.dim
    return [size.dim_param or size.dim_value for size in sizes]


def written(model, path):
    """Write a model; return a session, and the shapes of inputs and outputs."""
    kcz.convert(model, path)
    graph = onnx.load(path).graph
    shapes = {x.name: shape_of(x) for x in (*graph.input, *graph.output)}
    return onnxruntime.InferenceSession(path), shapes


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape, "float32")


def answers(session, *inputs):
    names = [x.name for x in session.get_inputs()]
    data = dict(zip(names, inputs, strict=True))
    outputs = [x.name for x in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, data), strict=True))


@pytest.mark.parametrize("size", [(None, None), (12, None), (12, 10)])
def test_items_and_sizes_stay_open(size, tmp_path):
    x = keras.Input((*size, 3), name="data")
    y = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
    model = keras.Model(x, kcz.CaffePool2D("max", 3, 2, name="pool")(y))
    session, shapes = written(model, tmp_path / "net.onnx")
    open_ = [x or name for x, name in zip(size, ["data_2", "data_3"], strict=True)]
    assert shapes["data"] == ["N", 3, *open_]
    assert shapes["pool"][:2] == ["N", 4]
    for items in 1, 3:
        data = random(items, 12, 10, 3)
        (found,) = answers(session, nchw(data)).values()
        assert relative_error(found, nchw(model(data))) <= 1e-5


def test_a_batch_that_is_fixed_stays_so(tmp_path):
    x = keras.Input(batch_shape=(2, 5), name="data")
    model = keras.Model(x, keras.layers.Dense(3, name="fc")(x))
    _, shapes = written(model, tmp_path / "net.onnx")
    assert shapes == {"data": [2, 5], "fc": [2, 3]}


def outputs():
    x = keras.Input((6,), name="data")
    y = keras.layers.Dense(5, name="fc")(x)
    z = keras.layers.ReLU(name="relu")(y)
    return x, y, z, keras.layers.Softmax(name="prob")(z)


@pytest.mark.parametrize(
    ("choose", "names"),
    [
        (lambda x, y, z, p: p, ["prob"]),
        (lambda x, y, z, p: [p, z], ["prob", "relu"]),
        (lambda x, y, z, p: [y, z, p], ["fc", "relu", "prob"]),
        (lambda x, y, z, p: {"b": z, "a": p}, ["a", "b"]),
        (lambda x, y, z, p: {"a": z, "b": z}, ["a", "b"]),
        (lambda x, y, z, p: [z, z], ["relu", "relu_1"]),
        (lambda x, y, z, p: [p, x], ["prob", "data_1"]),
    ],
)
def test_outputs_keep_their_names_and_order(choose, names, tmp_path):
    tensors = outputs()
    model = keras.Model(tensors[0], choose(*tensors))
    session, _ = written(model, tmp_path / "net.onnx")
    data = random(2, 6)
    found = answers(session, data)
    assert list(found) == names
    expected = keras.tree.flatten(model(data))
    for value, wanted in zip(found.values(), expected, strict=True):
        assert relative_error(value, keras.ops.convert_to_numpy(wanted)) <= 1e-6


def test_a_layer_that_is_called_twice_has_one_set_of_weights(tmp_path):
    x = keras.Input((4,), name="data")
    layer = keras.layers.Dense(4, name="fc")
    model = keras.Model(x, layer(layer(x)))
    session, _ = written(model, tmp_path / "net.onnx")
    assert len(onnx.load(tmp_path / "net.onnx").graph.initializer) == 2
    (found,) = answers(session, random(3, 4)).values()
    assert relative_error(found, keras.ops.convert_to_numpy(model(random(3, 4)))) < 1e-6
    rows = model_graph(model).layers
    assert sum(layer.parameters for layer in rows) == 20


def test_several_inputs_have_sizes_of_their_own(tmp_path):
    x, y = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    model = keras.Model([x, y], keras.layers.Add(name="sum")([x, y]))
    _, shapes = written(model, tmp_path / "net.onnx")
    assert (shapes["left"], shapes["right"]) == (["left_0", 4], ["right_0", 4])


def test_what_no_file_of_caffes_tells_is_passed_on():
    case = GOLDENS / "forks" / "net_faster_rcnn_mini"
    config = {"RPN_POST_NMS_TOP_N": 7, "RPN_MIN_SIZE": 3}
    files = case.with_suffix(".prototxt"), case.with_suffix(".caffemodel")
    net = open_net(kcz.from_caffe(*files, python_config=config))
    (told,) = (x for x in net.unwritten.values() if x)
    assert config.items() <= told["python_config"].items()
    types = {layer.type for layer in net.net.layers}
    assert "rpn.proposal_layer.ProposalLayer" in types
