"""Dropout's random state travels with the weights."""

import keras
import numpy as np
import pytest

from keras_caffe_zoo import from_caffe, to_caffe
from keras_caffe_zoo.layers import CaffeDropout

X = np.ones((40, 50), "float32")


# PyTorch draws from a generator of its own where there is no seed.
SEED = 7 if keras.config.backend() == "torch" else None


def model(kind=CaffeDropout):
    return keras.Sequential([keras.Input((50,)), kind(0.4, seed=SEED, name="drop")])


def drawn(net):
    return keras.ops.convert_to_numpy(net(X, training=True))


def test_it_drops_and_scales_as_caffe_does():
    y = drawn(model())
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.6)}
    assert 0.35 < (y == 0).mean() < 0.45
    net = model()
    np.testing.assert_array_equal(net.predict(X, verbose=0), X)


def test_a_loaded_model_draws_what_the_saved_one_would(tmp_path):
    net = model()
    drawn(net)
    net.save_weights(tmp_path / "w.weights.h5")
    net.save(tmp_path / "m.keras")
    twin = model()
    twin.load_weights(tmp_path / "w.weights.h5")
    again = keras.models.load_model(tmp_path / "m.keras")
    expected = drawn(net)
    np.testing.assert_array_equal(drawn(twin), expected)
    np.testing.assert_array_equal(drawn(again), expected)
    assert (drawn(net) != expected).any()


def test_weights_of_keras_own_dropout_are_loaded_too(tmp_path):
    model(keras.layers.Dropout).save_weights(tmp_path / "w.weights.h5")
    net = model()
    state = keras.ops.convert_to_numpy(net.layers[-1].seed_generator.state)
    net.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(net.layers[-1].seed_generator.state, state)


def test_a_rate_of_zero_has_no_state(tmp_path):
    net = keras.Sequential([keras.Input((50,)), CaffeDropout(0.0)])
    net.save_weights(tmp_path / "w.weights.h5")
    net.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(drawn(net), X)
    net.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(drawn(again), X)
    np.testing.assert_array_equal(drawn(keras.models.clone_model(net)), X)


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_a_ratio_of_zero_in_a_prototxt_is_the_identity(tmp_path, phase):
    """Caffe takes it; it goes there and back."""
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 '
        'dim: 50 } } } layer { name: "y" type: "Dropout" bottom: "data" top: "y" '
        "dropout_param { dropout_ratio: 0 } }"
    )
    net = from_caffe(prototxt, phase=phase)
    np.testing.assert_array_equal(drawn(net), X)
    to_caffe(net, tmp_path / "again.prototxt", tmp_path / "again.caffemodel")
    np.testing.assert_array_equal(drawn(from_caffe(tmp_path / "again.prototxt")), X)
