"""`caffe_params` and `set_caffe_params` on models whose answers NumPy knows."""

import re

import keras
import numpy as np
import pytest
from keras.layers import Concatenate, Dense, Flatten, GlobalAveragePooling2D
from support import relative_error

from keras_caffe_zoo.conversion.params import caffe_params, set_caffe_params
from keras_caffe_zoo.layers import CaffeConv2D, CaffeDropout, CaffeFlatten, CaffePower
from keras_caffe_zoo.rules.order import flat_channels

LAST = {"data_format": "channels_last"}


def little_net(convolutional=False):
    """conv (3x3, two groups) -> ReLU -> fc over 4x5 pixels -> dropout -> fc2."""
    inputs = keras.Input((6, 7, 4))
    x = CaffeConv2D(6, 3, groups=2, activation="relu", name="a>conv", **LAST)(inputs)
    if convolutional:
        x = CaffeConv2D(5, (4, 5), name="fc-conv", **LAST)(x)
        x = keras.layers.Dropout(0.5)(x)
        x = CaffeConv2D(3, 1, name="fc2-conv", **LAST)(x)
    else:
        x = keras.layers.Flatten(**LAST)(x)
        x = keras.layers.Dense(5, name="fc")(x)
        x = keras.layers.Dropout(0.5)(x)
        x = keras.layers.Dense(3, name="fc2")(x)
    return keras.Model(inputs, x)


SHAPES = {
    "a/conv": [(6, 2, 3, 3), (6,)],
    "fc": [(5, 6 * 4 * 5), (5,)],
    "fc2": [(3, 5), (3,)],
}


def params(shapes=SHAPES):
    rng = np.random.default_rng(0)
    return {
        name: [rng.standard_normal(shape).astype("float32") for shape in pair]
        for name, pair in shapes.items()
    }


def caffe_forward(x, arrays):
    """What Caffe computes of (N, C, H, W): grouped convolution, C, H, W order."""
    weight, bias = arrays["a/conv"]
    y = np.zeros((x.shape[0], 6, 4, 5))
    for o, i, j in np.ndindex(6, 4, 5):
        channels = slice(0, 2) if o < 3 else slice(2, 4)
        patch = x[:, channels, i : i + 3, j : j + 3]
        y[:, o, i, j] = (patch * weight[o]).sum(axis=(1, 2, 3)) + bias[o]
    y = np.maximum(y, 0).reshape(x.shape[0], -1)
    for name in ("fc", "fc2"):
        y = y @ arrays[name][0].T + arrays[name][1]
    return y


@pytest.mark.parametrize("convolutional", [False, True])
def test_the_model_computes_what_caffe_does_with_the_same_arrays(convolutional):
    arrays, model = params(), little_net(convolutional)
    set_caffe_params(model, arrays)
    x = np.random.default_rng(1).standard_normal((2, 4, 6, 7)).astype("float32")
    y = model.predict(np.moveaxis(x, 1, -1), verbose=0).reshape(2, 3)
    assert relative_error(y, caffe_forward(x, arrays)) <= 2e-6


def test_what_was_set_is_given_back_by_caffes_names():
    arrays, model = params(), little_net()
    set_caffe_params(model, arrays)
    found = caffe_params(model)
    assert list(found) == ["a/conv", "fc", "fc2"]
    for name, blobs in arrays.items():
        for ours, blob in zip(found[name], blobs, strict=True):
            np.testing.assert_array_equal(ours, blob)


def test_convolutional_twins_give_four_axes_and_take_them_back():
    arrays, model = params(), little_net(convolutional=True)
    set_caffe_params(model, arrays)
    found = caffe_params(model)
    np.testing.assert_array_equal(
        found["fc-conv"][0], arrays["fc"][0].reshape(5, 6, 4, 5)
    )
    dense = little_net()
    set_caffe_params(dense, found)
    np.testing.assert_array_equal(caffe_params(dense)["fc"][0], arrays["fc"][0])


def test_layers_that_are_not_named_keep_their_values():
    arrays, model = params(), little_net()
    set_caffe_params(model, arrays)
    set_caffe_params(model, {"fc2": [np.ones((3, 5)), np.ones(3)]})
    found = caffe_params(model)
    np.testing.assert_array_equal(found["fc"][0], arrays["fc"][0])
    np.testing.assert_array_equal(found["fc2"][0], np.ones((3, 5)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc9": [np.ones((3, 5))]}, "no layer 'fc9' with parameters"),
        ({"fc": [np.ones((5, 119)), np.ones(5)]}, "layer 'fc'"),
        ({"fc2": [np.ones((3, 5))]}, "[(5, 3), (3,)] (Keras layout) for layer 'fc2'"),
        ({"fc2": [np.ones((5, 3)), np.ones(3)]}, "which are [(5, 3), (3,)]"),
        ({"a/conv": [np.ones((6, 4, 3, 3)), np.ones(6)]}, "layer 'a/conv'"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_set(change, message):
    arrays, model = params(), little_net()
    set_caffe_params(model, arrays)
    others = {name: [b + 1 for b in blobs] for name, blobs in arrays.items()}
    with pytest.raises(ValueError, match=re.escape(message)):
        set_caffe_params(model, {**others, **change})
    np.testing.assert_array_equal(caffe_params(model)["a/conv"][0], arrays["a/conv"][0])


@pytest.mark.parametrize(
    "layer",
    [keras.layers.BatchNormalization(), keras.layers.DepthwiseConv2D(3)],
    ids=lambda layer: type(layer).__name__,
)
def test_weights_that_are_no_blobs_of_one_layer_are_refused(layer):
    inputs = keras.Input((4, 4, 3))
    layer = type(layer).from_config(layer.get_config())
    with pytest.raises(ValueError, match=f"'{layer.name}' has weights, and no rule"):
        caffe_params(keras.Model(inputs, layer(inputs)))


def test_a_layer_that_caffe_does_not_have_is_refused_by_name():
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, keras.layers.GRU(2, name="memory")(inputs))
    with pytest.raises(
        ValueError, match="Layer 'memory' has weights, and no rule .* GRU"
    ):
        caffe_params(model)


@pytest.mark.parametrize(
    ("between", "channels"),
    [
        ([keras.layers.Flatten(**LAST)], 4),
        ([keras.layers.Flatten(data_format="channels_first")], 6),
        ([keras.layers.ReLU(), keras.layers.Flatten(**LAST)], 4),
        ([keras.layers.Flatten(**LAST), keras.layers.Dropout(0.5)], 4),
        ([keras.layers.Reshape((-1,))], 4),
        ([keras.layers.Permute((3, 1, 2)), keras.layers.Flatten(**LAST)], 1),
        ([keras.layers.GlobalMaxPooling2D(**LAST)], 1),
    ],
)
def test_a_dense_layer_knows_the_channels_that_were_flattened(between, channels):
    x = inputs = keras.Input((6, 7, 4))
    for layer in between:
        x = layer.from_config(layer.get_config())(x)
    dense = keras.layers.Dense(2)
    model = keras.Model(inputs, dense(x))
    assert flat_channels(model.layers[-1]) == channels


class Odd(keras.layers.Layer):
    """A layer that no rule knows."""

    def call(self, inputs):
        return inputs


def behind_flatten(*between):
    """Return a net of one dense layer behind Flatten and some layers."""
    x = inputs = keras.Input((4, 5, 3))
    x = Flatten(**LAST)(x)
    for layer in between:
        x = layer(x)
    return keras.Model(inputs, Dense(2, name="fc")(x))


def assert_caffes_numbers(model, input_factor=1.0):
    """Hold a net with one dense layer against Caffe's product, in C, H, W order."""
    rng = np.random.default_rng(3)
    weight, bias = rng.standard_normal((2, 60)), rng.standard_normal(2)
    set_caffe_params(model, {"fc": [weight, bias]})
    x = rng.standard_normal((3, 4, 5, 3)).astype("float32")
    flat = np.moveaxis(x, -1, 1).reshape(3, -1) * input_factor
    expected = flat @ weight.T + bias
    assert relative_error(model.predict(x, verbose=0), expected) <= 1e-5
    found, _ = caffe_params(model)["fc"]
    np.testing.assert_allclose(found, weight, rtol=1e-6)


@pytest.mark.parametrize(
    ("between", "factor"),
    [
        ([keras.layers.Identity()], 1),
        ([keras.layers.Rescaling(2.0)], 2),
        ([keras.layers.GaussianNoise(0.1)], 1),
        ([keras.layers.ActivityRegularization(0.1)], 1),
        ([keras.layers.GaussianDropout(0.1), keras.layers.Identity()], 1),
        ([CaffePower(1, 3)], 3),
        ([CaffeDropout(0.5), CaffePower(1, -1)], -1),
        ([keras.layers.Reshape((60,))], 1),
        ([keras.layers.Reshape((20, 3)), Flatten(**LAST)], 1),
    ],
)
def test_the_order_of_a_flattened_map_is_followed_through(between, factor):
    assert_caffes_numbers(behind_flatten(*between), factor)


def test_a_map_flattened_in_caffes_order_is_followed_through():
    x = inputs = keras.Input((4, 5, 3))
    x = keras.layers.Identity()(CaffeFlatten()(x))
    assert_caffes_numbers(keras.Model(inputs, Dense(2, name="fc")(x)))


def test_a_map_through_an_undeclared_layer_before_flatten_is_no_matter():
    x = inputs = keras.Input((4, 5, 3))
    x = Flatten(**LAST)(Odd()(x))
    assert_caffes_numbers(keras.Model(inputs, Dense(2, name="fc")(x)))


def two_flattened():
    inputs = keras.Input((4, 5, 3))
    half = keras.layers.MaxPooling2D(2)(inputs)
    x = Concatenate()([Flatten(**LAST)(inputs), Flatten(**LAST)(half)])
    return keras.Model(inputs, Dense(2, name="fc")(x))


def shuffled(layer):
    inputs = keras.Input((4, 5, 3))
    return keras.Model(inputs, Dense(2, name="fc")(Flatten(**LAST)(layer(inputs))))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: behind_flatten(Odd(name="odd")), "'odd' (Odd)"),
        (lambda: behind_flatten(keras.layers.LayerNormalization(name="n")), "'n'"),
        (two_flattened, "(Concatenate)"),
        (lambda: shuffled(keras.layers.Permute((2, 1, 3))), "(Permute)"),
        (lambda: shuffled(keras.layers.Reshape((5, 4, 3))), "(Reshape)"),
    ],
)
def test_what_may_have_changed_the_order_is_refused_by_name(make, named):
    model = make()
    size = model.get_layer("fc").kernel.shape[0]
    with pytest.raises(ValueError, match=re.escape(named)):
        set_caffe_params(model, {"fc": [np.ones((2, size)), np.ones(2)]})
    with pytest.raises(ValueError, match="(?i)register"):
        caffe_params(model)


def test_vectors_of_pooled_maps_may_be_joined():
    inputs = keras.Input((4, 5, 3))
    x = Concatenate()([GlobalAveragePooling2D()(inputs), Dense(4)(Flatten()(inputs))])
    model = keras.Model(inputs, Dense(2, name="fc")(x))
    weight = np.random.default_rng(0).standard_normal((2, 7))
    set_caffe_params(model, {"fc": [weight, np.zeros(2)]})
    np.testing.assert_allclose(
        np.asarray(model.get_layer("fc").kernel), weight.T, rtol=1e-6
    )
