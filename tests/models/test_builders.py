"""The contract of every builder, on nets with narrow fc6 and fc7."""

import inspect
import re

import keras
import numpy as np
import pytest

from keras_caffe_zoo.models import caffenet, vgg_cnn_s
from keras_caffe_zoo.models._design import Design

BUILDERS = {
    # builder: training size, least size without top, channels of pool5, stride, map
    caffenet: (227, 39, 256, 32, 8),
    vgg_cnn_s: (224, 31, 512, 36, 7),
}
each_builder = pytest.mark.parametrize("build", BUILDERS, ids=lambda b: b.__name__)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(Design, "FC_UNITS", 16)


def image(size, seed=0):
    values = np.random.default_rng(seed).uniform(-120, 120, (1, size, size, 3))
    return values.astype("float32")


@each_builder
def test_the_signature_is_that_of_keras_applications(build):
    ours = list(inspect.signature(build).parameters.values())
    theirs = list(inspect.signature(keras.applications.VGG16).parameters.values())
    assert [p.name for p in ours[:-1]] == [p.name for p in theirs]
    for mine, other in zip(ours, theirs, strict=False):
        if mine.name not in ("weights", "name"):
            assert mine.default == other.default, mine.name
    assert (ours[-1].name, ours[-1].default) == ("fully_convolutional", False)
    assert ours[-1].kind == inspect.Parameter.KEYWORD_ONLY
    defaults = inspect.signature(build).parameters
    assert defaults["weights"].default == "caffe"
    assert defaults["name"].default == build.__name__


@each_builder
def test_the_layers_have_caffes_names_and_sizes(build):
    model = build(weights=None)
    size, _, channels, *_ = BUILDERS[build]
    assert model.name == build.__name__
    assert model.input_shape == (None, size, size, 3)
    assert model.output_shape == (None, 1000)
    assert model.get_layer("pool5").output.shape == (None, 6, 6, channels)
    assert [layer.name for layer in model.layers if layer.weights][:5] == (
        ["conv1", "conv2", "conv3", "conv4", "conv5"]
    )
    assert model.layers[-1].name == "prob"


@each_builder
def test_probabilities_sum_to_one_and_the_activation_can_go(build):
    x = image(BUILDERS[build][0])
    assert np.isclose(build(weights=None).predict(x, verbose=0).sum(), 1)
    model = build(weights=None, classifier_activation=None)
    assert model.layers[-1].name == "fc8"
    model = build(weights=None, classes=3, classifier_activation="sigmoid")
    assert model.output_shape == (None, 3)
    assert model.layers[-1].activation is keras.activations.sigmoid


@each_builder
def test_without_top_any_image_from_the_least_size_on_fits(build):
    _, least, channels, *_ = BUILDERS[build]
    model = build(include_top=False, weights=None)
    assert model.input_shape == (None, None, None, 3)
    assert model.layers[-1].name == "pool5"
    assert model.predict(image(least), verbose=0).shape == (1, 1, 1, channels)
    build(include_top=False, weights=None, input_shape=(least, least + 50, 3))
    with pytest.raises(ValueError, match=f"each side at least {least} or None"):
        build(include_top=False, weights=None, input_shape=(least - 1, least, 3))


@each_builder
@pytest.mark.parametrize(("pooling", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_pooling_reduces_pool5(build, pooling, reduce):
    x = image(BUILDERS[build][0])
    model = build(include_top=False, weights=None, pooling=pooling)
    pool5 = keras.Model(model.input, model.get_layer("pool5").output)
    expected = reduce(pool5.predict(x, verbose=0), axis=(1, 2))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, 1e-5, 1e-6)


@each_builder
def test_fully_convolutional_gives_the_same_answer_and_maps_beyond(build):
    size, _, _, stride, side = BUILDERS[build]
    dense = build(weights=None, classifier_activation=None)
    model = build(weights=None, classifier_activation=None, fully_convolutional=True)
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        model.get_layer(name).set_weights(dense.get_layer(name).get_weights())
    for name in ("fc6", "fc7", "fc8"):
        conv = model.get_layer(f"{name}-conv")
        kernel, bias = dense.get_layer(name).get_weights()
        conv.set_weights([kernel.reshape(conv.kernel.shape), bias])
    assert model.input_shape == (None, None, None, 3)
    assert model.compute_output_shape((2, 451, 451, 3)) == (2, side, side, 1000)
    x = image(size)
    expected = dense.predict(x, verbose=0)
    found = model.predict(x, verbose=0)
    assert found.shape == (1, 1, 1, 1000)
    np.testing.assert_allclose(found[0, 0], expected, rtol=0, atol=1e-4)
    assert np.abs(expected).max() > 0.1
    wide = np.pad(x, ((0, 0), (0, 0), (0, stride), (0, 0)))
    assert model.predict(wide, verbose=0).shape == (1, 1, 2, 1000)


@each_builder
def test_fully_convolutional_takes_sizes_from_the_training_size_on(build):
    size = BUILDERS[build][0]
    shape = (size + 5, None, 3)
    model = build(weights=None, fully_convolutional=True, input_shape=shape)
    assert model.input_shape == (None, *shape)
    with pytest.raises(ValueError, match=f"each side at least {size} or None"):
        shape = (size - 1, size, 3)
        build(weights=None, fully_convolutional=True, input_shape=shape)


@each_builder
def test_an_input_tensor_becomes_part_of_the_model(build):
    size = BUILDERS[build][0]
    inputs = keras.Input((size, size, 3), name="photo")
    model = build(weights=None, input_tensor=inputs * 0.5)
    assert model.inputs[0] is inputs
    plain = build(weights=None)
    plain.set_weights(model.get_weights())
    x = image(size)
    expected = plain.predict(x * 0.5, verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, 1e-5)
    with pytest.raises(ValueError, match=r"received: \(64, 64, 3\)"):
        build(weights=None, input_tensor=keras.Input((64, 64, 3)))


@each_builder
def test_a_saved_model_computes_the_same(build, tmp_path):
    model, x = build(weights=None, name="mine"), image(BUILDERS[build][0])
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert loaded.name == "mine"
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )


@each_builder
def test_the_data_format_setting_makes_no_difference(build):
    keras.config.set_image_data_format("channels_first")
    try:
        assert build(weights=None).get_layer("pool5").output.shape[1:3] == (6, 6)
    finally:
        keras.config.set_image_data_format("channels_last")


@each_builder
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "imagenet"}, "'imagenet', where there is no file"),
        ({"weights": "no/such.caffemodel"}, "'no/such.caffemodel', where there is no"),
        ({"weights": 3}, "received: weights=3"),
        ({"pooling": "mean"}, "None, 'avg' or 'max'; received: pooling='mean'"),
        ({"classes": 0}, "positive integer; received: classes=0"),
        ({"classes": "1000"}, "positive integer; received: classes='1000'"),
        (
            {"weights": "caffe", "classifier_activation": "sigmoid"},
            "None or 'softmax' with pretrained weights; received: .*'sigmoid'",
        ),
        (
            {"include_top": False, "fully_convolutional": True},
            "Expected include_top=True with fully_convolutional=True",
        ),
        ({"input_shape": (64, 64, 3)}, r"include_top=True; received: \(64, 64, 3\)"),
        ({"input_shape": (None, None, 3)}, "pass fully_convolutional=True"),
        (
            {"include_top": False, "input_shape": (99, 99, 1)},
            r"\(height, width, 3\), .*; received: \(99, 99, 1\)",
        ),
        (
            {"include_top": False, "input_shape": (99, 99)},
            r"\(height, width, 3\), .*; received: \(99, 99\)",
        ),
    ],
)
def test_refuses(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**{"weights": None, **options})


def test_the_errors_name_every_kind_of_weights():
    with pytest.raises(ValueError, match=re.escape("a Keras .weights.h5")) as caught:
        caffenet(weights="nowhere")
    for word in ("'caffe'", "None", ".caffemodel", "keras-caffe-zoo dump"):
        assert word in str(caught.value)
