"""What runs for features is the net's twin of `fold`, if that computes less."""

import keras
import numpy as np
import pytest
import tiny
from support import relative_error

import keras_caffe_zoo as kcz
from keras_caffe_zoo import layers
from keras_caffe_zoo.extraction import worker
from keras_caffe_zoo.extraction.spec import Spec


def normalized():
    inputs = keras.Input((tiny.SIDE, tiny.SIDE, 3))
    x = layers.CaffeConv2D(4, 3, name="conv1", data_format="channels_last")(inputs)
    x = layers.CaffeScale(use_bias=True, name="scale1")(x)
    x = keras.layers.ReLU(name="relu1")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="fc2")(x), name="net")
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.weights])
    return model


@pytest.mark.parametrize("blob", ["conv1", "scale1", "relu1", "fc2"])
def test_features_are_the_models_own(blob):
    model = normalized()
    pictures = [tiny.picture(seed) for seed in range(3)]
    options = {"preprocess": tiny.centre, "progress": False}
    found = kcz.extract_features(model, pictures, blob, **options)
    x = np.stack([tiny.centre(picture) for picture in pictures])
    expected = kcz.feature_extractor(model, blob)(x)
    assert relative_error(found.values[blob], expected) <= 1e-5


@pytest.mark.parametrize(("make", "folded"), [(normalized, True), (tiny.net, None)])
def test_files_tell_whether_it_was_folded(make, folded):
    spec = Spec(make(), ("fc2",), preprocess=tiny.centre)
    assert worker.BlockWorker(spec).identity.get("folded") is folded
