"""Parameters that layers share are once in the file."""

import numpy as np
import onnxruntime
import pytest

from keras_caffe_zoo.caffe import CaffeFormatError, write_caffemodel
from keras_caffe_zoo.conversion.preparing import prepared_net
from keras_caffe_zoo.onnx.api import net_graph
from keras_caffe_zoo.onnx.file import model_proto

INPUT = (
    'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 6 } } }'
)


def dense(name, bottom, units, more=""):
    return f"""layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}"
        top: "{name}" param {{ name: "w" }}
        inner_product_param {{ num_output: {units} bias_term: false {more} }} }}"""


@pytest.fixture
def proto(tmp_path):
    def make(text, params):
        path = tmp_path / "net.prototxt"
        path.write_text(INPUT + text)
        write_caffemodel(tmp_path / "net.caffemodel", params)
        net = prepared_net(path, tmp_path / "net.caffemodel")
        return model_proto(net_graph(net))

    return make


def computed(proto, x):
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(None, {"x": x})[0]


def stored(proto):
    return [tuple(x.dims) for x in proto.graph.initializer]


@pytest.mark.parametrize("both", [True, False])
def test_layers_that_share_have_one_constant(proto, both):
    weight = np.random.default_rng(0).normal(size=(6, 6)).astype("float32")
    params = {"a": [weight], **({"b": [weight.copy()]} if both else {})}
    made = proto(dense("a", "x", 6) + dense("b", "a", 6), params)
    x = np.ones((2, 6), "float32")
    np.testing.assert_allclose(computed(made, x), x @ weight.T @ weight.T, rtol=1e-5)
    assert stored(made) == [(6, 6)]


@pytest.mark.parametrize("units", [4, 6])
def test_a_transposed_weight_is_shared(proto, units):
    weight = np.random.default_rng(0).normal(size=(units, 6)).astype("float32")
    text = dense("code", "x", units) + dense("back", "code", 6, "transpose: true")
    x = np.ones((2, 6), "float32")
    made = proto(text, {"code": [weight]})
    np.testing.assert_allclose(computed(made, x), x @ weight.T @ weight, rtol=1e-5)


def test_other_shapes_cannot_be_shared(proto):
    weight, other = np.zeros((4, 6), "float32"), np.zeros((5, 4), "float32")
    with pytest.raises(CaffeFormatError, match="shared parameter 'w', .4, 6. in"):
        proto(dense("a", "x", 4) + dense("b", "a", 5), {"a": [weight], "b": [other]})
