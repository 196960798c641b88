"""Each builder's model as an ONNX file, in ONNX Runtime and OpenVINO."""

import keras
import numpy as np
import onnxruntime
import openvino
import pytest
from livened import channels_first, livened

import keras_caffe_zoo as kcz

TOLERANCE = 1e-5


def difference(found, expected):
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("name", kcz.list_models())
def test_engines_compute_what_the_model_does(name, tmp_path):
    model, images = livened(name)
    kcz.convert(model, tmp_path / "net.onnx")
    expected = channels_first(keras.ops.convert_to_numpy(model(images)))
    del model
    keras.backend.clear_session()
    x = channels_first(images)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (blob,) = (value.name for value in session.get_inputs())
    assert difference(session.run(None, {blob: x})[0], expected) <= TOLERANCE
    del session
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    net = openvino.Core().compile_model(tmp_path / "net.onnx", "CPU", options)
    assert difference(net([x])[0], expected) <= TOLERANCE
