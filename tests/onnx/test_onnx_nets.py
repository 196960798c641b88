"""Whole ONNX graphs, and cases that the tests of single layers do not have."""

import caffe_reference as caffe
import numpy as np
import onnxruntime
import pytest
from one_layer import normal

from keras_caffe_zoo.caffe import CaffeFormatError, write_caffemodel
from keras_caffe_zoo.conversion.preparing import prepared_net
from keras_caffe_zoo.onnx.api import net_graph, to_onnx
from keras_caffe_zoo.onnx.file import model_proto

IMAGE = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 4 dim: 6 } } }
"""
X = normal(np.random.default_rng(0), 2, 3, 4, 6)


@pytest.fixture
def compute(tmp_path):
    """Return what a net computes of data: its graph, and its outputs by name."""

    def compute(text, params=None, input_shape=None, **data):
        path, weights = tmp_path / "net.prototxt", None
        path.write_text(text)
        if params:
            weights = tmp_path / "net.caffemodel"
            write_caffemodel(weights, params, net=path)
        graph = net_graph(prepared_net(path, weights), input_shape)
        session = onnxruntime.InferenceSession(model_proto(graph).SerializeToString())
        names = [x.name for x in session.get_outputs()]
        return graph, dict(zip(names, session.run(names, data), strict=True))

    return compute


def layer(name, kind, bottoms, top, param=""):
    ends = "".join(f'bottom: "{bottom}" ' for bottom in bottoms.split())
    ends += f'top: "{top}" ' if top else ""
    return f'layer {{ name: "{name}" type: "{kind}" {ends}{param} }}\n'


def test_one_blob_is_given_by_its_name(tmp_path):
    (tmp_path / "net.prototxt").write_text(
        IMAGE + layer("a", "ReLU", "data", "one") + layer("b", "AbsVal", "one", "two")
    )
    path = tmp_path / "net.onnx"
    to_onnx(tmp_path / "net.prototxt", None, path, outputs="one")
    (output,) = onnxruntime.InferenceSession(path).get_outputs()
    assert output.name == "one"


def test_other_formats_are_not_written_under_their_names(tmp_path):
    with pytest.raises(ValueError, match="ends in .onnx; received: net.xml"):
        to_onnx(tmp_path / "net.prototxt", None, "net.xml")


def test_a_layer_in_place_on_an_input_gives_another_tensor(compute):
    text = IMAGE + layer("twice", "Power", "data", "data", "power_param { scale: 2 }")
    graph, found = compute(text, data=X)
    (output,) = graph.outputs
    assert output == "data"
    np.testing.assert_array_equal(found["data_1"], 2 * X)


def test_what_is_silenced_is_not_computed(compute):
    text = IMAGE + layer("a", "AbsVal", "data", "a") + layer("b", "TanH", "data", "b")
    graph, found = compute(text + layer("s", "Silence", "b", ""), data=X)
    assert [op.type for op in graph.ops] == ["Abs"]
    np.testing.assert_array_equal(found["a"], abs(X))


def test_a_constant_beside_data(compute):
    shape = "shape { dim: 2 dim: 3 dim: 4 dim: 6 }"
    text = f"dummy_data_param {{ {shape} data_filler {{ value: 2.5 }} }}"
    text = IMAGE + layer("c", "DummyData", "", "c", text)
    _, found = compute(text + layer("y", "Eltwise", "data c", "y"), data=X)
    np.testing.assert_allclose(found["y"], X + 2.5, rtol=1e-6)


def test_a_learned_blob(compute):
    text = "parameter_param { shape { dim: 2 dim: 3 dim: 4 dim: 6 } }"
    text = IMAGE + layer("p", "Parameter", "", "p", text)
    text += layer("y", "Eltwise", "data p", "y")
    _, found = compute(text, {"p": [3 * X]}, data=X)
    np.testing.assert_allclose(found["y"], X + 3 * X, rtol=1e-6)


def test_a_crop_to_a_size_that_is_known_when_it_runs(compute):
    pool = "pooling_param { pool: MAX kernel_size: 3 stride: 1 }"
    text = (
        IMAGE + layer("p", "Pooling", "data", "p", pool) + layer("r", "ReLU", "p", "r")
    )
    text += layer("y", "Crop", "data p", "y", "crop_param { offset: 1 }")
    graph, found = compute(text, input_shape=(None, None, 3), data=X)
    assert graph.outputs["y"].shape == (None, 3, None, None)
    np.testing.assert_array_equal(found["y"], X[:, :, 1:3, 1:5])


def test_bounds_the_wrong_way_round(run):
    y = run("Clip", {"x": X}, "clip_param { min: 1 max: -1 }")
    np.testing.assert_array_equal(y, np.ones_like(X))  # Caffe takes the maximum last


@pytest.mark.parametrize("kind", ["MAX", "AVE", "STOCHASTIC"])
@pytest.mark.parametrize("size", [(7, 8), (8, 7), (9, 9)])
def test_windows_beyond_the_image(run, kind, size):
    x = normal(np.random.default_rng(1), 2, 3, *size)
    for kernel, stride in ((1, 2), (2, 4), (1, 3)):
        text = (
            f"pooling_param {{ pool: {kind} kernel_size: {kernel} stride: {stride} }}"
        )
        pairs = [(n, n) for n in (kernel, stride, 0)]
        expected, mask = caffe.pool(x, kind, *pairs)
        y = run("Pooling", {"x": x}, text)
        np.testing.assert_allclose(y, expected, 1e-5, 1e-6)
        if kind == "MAX":
            found = run("Pooling", {"x": x}, text, tops=("y", "mask"))
            np.testing.assert_array_equal(found, [y, mask])


@pytest.mark.parametrize(
    ("kind", "param", "said"),
    [
        ("Exp", "exp_param { base: -2 }", "a positive base, or -1"),
        ("Log", "log_param { base: 1 }", "a positive base other than 1"),
        ("Clip", "", "min and max"),
        ("ArgMax", "argmax_param { top_k: 99 }", "no more than the 72 values"),
        ("ArgMax", "argmax_param { top_k: 7 axis: 3 }", "no more than the 6 values"),
        ("SPP", "spp_param { pyramid_height: 4 }", "that 8 x 8 bins divide"),
        (
            "Pooling",
            "pooling_param { pool: STOCHASTIC kernel_size: 2 pad: 1 }",
            "pad 0",
        ),
        ("Im2col", "convolution_param { kernel_size: 4000 }", "at most 1024 rows"),
        ("Reshape", "reshape_param { shape { dim: -1 dim: -1 } }", "at most one -1"),
        ("Flatten", "flatten_param { axis: 2 end_axis: 1 }", "not to come before"),
        ("Parameter", "parameter_param { shape { dim: 0 } }", ""),
    ],
)
def test_what_keras_layers_refuse_is_refused(refused, kind, param, said):
    refused(kind, {"x": X}, param, said)


def test_an_image_of_any_size_has_no_windows_beyond_it(run):
    text = "pooling_param { pool: MAX kernel_size: 1 stride: 2 }"
    with pytest.raises(CaffeFormatError, match="an image of known size to pool"):
        run.model("Pooling", {"x": X}, text, shapes={"x": (None, None, 3)})
