"""A layer type of one's own, by the public mechanism alone, in one file."""

import keras
import numpy as np
import onnxruntime
from support import gradients, nchw, nhwc

import keras_caffe_zoo as kcz


@keras.saving.register_keras_serializable(package="ours")
class Gain(keras.layers.Layer):  # y = x * gain + shift
    def __init__(self, shift=0.0, **kwargs):
        super().__init__(**kwargs)
        self.shift = shift
        self.gain = self.add_weight((3,), "ones", name="gain")

    def call(self, x):
        return x * self.gain + self.shift

    def get_config(self):
        return {**super().get_config(), "shift": self.shift}


@kcz.register
class GainRule(kcz.Rule):
    types, layers = ("Gain",), (Gain,)
    param = kcz.Param("gain_param", "1 shift float=0; 2 filler FillerParameter", 143)
    codec, fillers = kcz.STORED, ("filler",)
    traits = kcz.Traits(places="kept", channels="kept", order="kept")

    def build(self, node, x):
        node.learns((node.channels(x),))
        return Gain(node.param.shift, name=node.name)(x)

    def onnx(self, node, x):
        node.learns((node.channels(x),))
        y = node.op("Mul", x, node.array(0)[:, None, None])
        return node.op("Add", y, node.param.shift)

    def encode(self, call):
        call.add("Gain", gain_param={"shift": call.layer.shift})


NET = """input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 } layer { name: "gain"
type: "Gain" bottom: "data" top: "y" gain_param { shift: 4 filler { value: 5 } } }"""


def test_it_is_read_computed_moved_and_written(tmp_path):
    a, b, weights = (tmp_path / name for name in ("a.prototxt", "b.prototxt", "b"))
    a.write_text(NET)
    model = kcz.from_caffe(a, input_shape=(None, None, 3))  # filled
    assert kcz.caffe_params(model)["gain"][0].tolist() == [5, 5, 5]
    kcz.set_caffe_params(model, {"gain": [np.array([1.0, 2, 3])]})
    kcz.to_caffe(model, b, weights, input_shape=(8, 8, 3))
    again = kcz.from_caffe(b, weights, input_shape=(None, None, 3))
    model.save(tmp_path / "a.keras")
    x = np.random.default_rng(0).uniform(1, 2, (1, 40, 40, 3)).astype("float32")
    y = x * [1, 2, 3] + 4
    for same in (model, again, keras.models.load_model(tmp_path / "a.keras")):
        np.testing.assert_allclose(same.predict(x, verbose=0), y, rtol=1e-6)
        tiled = kcz.predict_dense(same, x[0], tile=16, progress=False)
        np.testing.assert_allclose(tiled, y[0], rtol=1e-6)
    _, (at_gain,) = gradients(again, x, np.ones_like(x))
    np.testing.assert_allclose(at_gain, x.sum((0, 1, 2)), rtol=1e-5)
    kcz.convert(model, tmp_path / "a.onnx")
    kcz.to_onnx(b, weights, tmp_path / "b.onnx", input_shape=(None, None, 3))
    for name in ("a.onnx", "b.onnx"):
        session = onnxruntime.InferenceSession(tmp_path / name)
        (found,) = session.run(None, {"data": nchw(x)})
        np.testing.assert_allclose(nhwc(found), y, rtol=1e-6)
