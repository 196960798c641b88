"""Each builder's model as an ONNX file, in ONNX Runtime and OpenVINO."""

import gc

import keras
import numpy as np
import onnxruntime
import pytest
from livened import channels_first, livened
from siblings import SIBLINGS

import keras_caffe_zoo as kcz
from keras_caffe_zoo.conversion.openvino_core import openvino_core
from keras_caffe_zoo.rules import rule_for

TOLERANCE = 1e-5
# Nets that put values where a pooling found them: of two that are all but equal an
# engine may find the other, and the rest of the net makes something else of that.
PUT_BACK = {"segnet": 3e-3, "segnet_pascal": 1e-3, "enet": 1e-4}  # on the average


def difference(found, expected, name):
    assert found.shape == expected.shape
    if expected.shape[-1] == 7 and expected.shape[:2] == (1, 1):
        found = in_order(found[0, 0], expected[0, 0])
    apart = np.abs(found - expected)
    apart = apart.mean() if name in PUT_BACK else apart.max()
    return apart / np.abs(expected).max()


def in_order(rows, expected):
    """Return detections in the order of others: equal scores stand in any."""
    order = np.abs(expected[:, None] - rows).max(-1).argmin(1)
    assert sorted(order) == list(range(len(rows)))
    return rows[order]


def blobs(model, images):
    """Return what a model answers as Caffe's blobs, in the order of its outputs."""
    answers = model(images)
    if isinstance(answers, dict):
        found = [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(answers)]
        if "rois" in answers:  # spare ones are of the item -1, and last
            count = int(np.sum(np.asarray(answers["rois"])[:, 0] >= 0))
            assert count > 20
            found = [array[:count] for array in found]
        return [channels_first(array) for array in found]
    layer = model.output._keras_history.operation
    return [rule_for(layer).blob(layer, keras.ops.convert_to_numpy(answers))]


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in kcz.list_models() if n not in SIBLINGS])
def test_engines_compute_what_the_model_does(name, tmp_path):
    model, images = livened(name)
    kcz.convert(model, tmp_path / "net.onnx")
    expected = blobs(model, images)
    del model
    keras.backend.clear_session()
    gc.collect()
    x = [channels_first(array) for array in keras.tree.flatten(images)]
    tolerance = PUT_BACK.get(name, TOLERANCE)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    names = [value.name for value in session.get_inputs()]
    found = session.run(None, dict(zip(names, x, strict=True)))
    for value, wanted in zip(found, expected, strict=True):
        assert difference(value, wanted, name) <= tolerance
    del session
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    net = openvino_core().compile_model(tmp_path / "net.onnx", "CPU", options)
    found = net(x)
    for i, value in enumerate(expected):
        assert difference(found[i], value, name) <= tolerance
