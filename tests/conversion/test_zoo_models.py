"""Models answer to Caffe's names, are exported at once, and open where we are known."""

import subprocess
import sys

import keras
import numpy as np
import onnxruntime
import pytest

import keras_caffe_zoo as kcz
from keras_caffe_zoo import layers
from keras_caffe_zoo.conversion.model import CaffeModel, ZooModel, call_once

PROTOTXT = """
name: "small"
input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }
layer { name: "a/conv" type: "Convolution" bottom: "data" top: "a/conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "a/relu" type: "ReLU" bottom: "a/conv" top: "a/conv" }
layer { name: "a/pool" type: "Pooling" bottom: "a/conv" top: "a/pool"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "b/fc" type: "InnerProduct" bottom: "a/pool" top: "b/fc"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "b/fc" top: "prob" }
"""


@pytest.fixture
def imported(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(PROTOTXT)
    return kcz.from_caffe(path)


def of_layers(kind=ZooModel, pooling=layers.CaffePool2D):
    """Return a net as a builder makes one, with a pooling of Caffe's or of Keras'."""
    x = keras.Input((8, 8, 3), name="data")
    y = keras.layers.Conv2D(4, 3, activation="relu", name="a>conv")(x)
    y = pooling(name="a>pool")(y)
    y = keras.layers.Flatten(name="flat")(y)
    return kind(x, keras.layers.Dense(5, "softmax", name="b>fc")(y), name="small")


def caffe_pool(name):
    return layers.CaffePool2D("max", kernel_size=2, strides=2, name=name)


DERIVED = {
    "itself": lambda model: model,
    "features": lambda model: kcz.feature_extractor(model, "a/pool"),
    "several features": lambda model: kcz.feature_extractor(model, ["a/pool", "b/fc"]),
    "fully convolutional": kcz.to_fully_convolutional,
    "folded": kcz.fold,
    "tuned": lambda model: kcz.finetune(model, 3),
    "a copy": lambda model: type(model).from_config(model.get_config()),
}


@pytest.mark.parametrize("make", DERIVED.values(), ids=DERIVED)
@pytest.mark.parametrize("start", ["imported", "a zoo's", "with our layers"])
def test_what_is_made_of_a_model_of_caffes_is_of_our_kind(make, start, imported):
    starts = {
        "imported": lambda: imported,
        "a zoo's": lambda: of_layers(pooling=caffe_pool),
        "with our layers": lambda: of_layers(keras.Model, pooling=caffe_pool),
    }
    found = make(starts[start]())
    assert isinstance(found, ZooModel) or found._called or make is DERIVED["itself"]
    assert (start == "with our layers") or isinstance(found, ZooModel)


@pytest.mark.parametrize("make", list(DERIVED.values())[1:], ids=list(DERIVED)[1:])
def test_what_is_made_of_a_model_of_keras_own_layers_needs_nothing_of_ours(make):
    model = of_layers(keras.Model, keras.layers.MaxPool2D)
    found = make(model)
    assert found._called  # and Keras asks for no more to export it
    if make is not DERIVED["folded"]:  # which knows what became of names
        assert not isinstance(found, ZooModel)


@pytest.mark.parametrize("loaded", [False, True])
def test_a_model_that_was_never_called_becomes_an_onnx_file(loaded, tmp_path):
    model = of_layers(pooling=caffe_pool)
    if loaded:
        model.save(tmp_path / "net.keras")
        model = keras.saving.load_model(tmp_path / "net.keras")
    model.export(tmp_path / "net.onnx", format="onnx", verbose=False)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-6)
