"""Each builder's model as an ONNX file, in ONNX Runtime and OpenVINO."""

import keras
import numpy as np
import onnxruntime
import openvino
import pytest
from livened import channels_first, livened

import keras_caffe_zoo as kcz

TOLERANCE = 1e-5
# Nets that put values where a pooling found them: of two that are all but equal an
# engine may find the other, and the rest of the net makes something else of that.
PUT_BACK = {"segnet": 3e-3, "segnet_pascal": 1e-3, "enet": 1e-4}  # on the average


def difference(found, expected, name):
    assert found.shape == expected.shape
    apart = np.abs(found - expected)
    apart = apart.mean() if name in PUT_BACK else apart.max()
    return apart / np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("name", kcz.list_models())
def test_engines_compute_what_the_model_does(name, tmp_path):
    model, images = livened(name)
    kcz.convert(model, tmp_path / "net.onnx")
    expected = channels_first(keras.ops.convert_to_numpy(model(images)))
    del model
    keras.backend.clear_session()
    x = channels_first(images)
    tolerance = PUT_BACK.get(name, TOLERANCE)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (blob,) = (value.name for value in session.get_inputs())
    assert difference(session.run(None, {blob: x})[0], expected, name) <= tolerance
    del session
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    net = openvino.Core().compile_model(tmp_path / "net.onnx", "CPU", options)
    assert difference(net([x])[0], expected, name) <= tolerance
