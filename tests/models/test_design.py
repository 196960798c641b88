"""What every argument of a builder does to every net, and which ones are refused."""

import inspect
import re

import keras
import numpy as np
import pytest
from definitions import NETS, define, formula_params
from families import (
    CONTRACT,
    CONVOLUTIONAL,
    LOOKING_AT_ALL,
    POOLED,
    answer,
    assert_same_weights,
    each_net,
    few,
    image,
)

from keras_caffe_zoo import models
from keras_caffe_zoo.caffe import parse_prototxt, write_caffemodel
from keras_caffe_zoo.models import caffenet, vgg_cnn_s
from keras_caffe_zoo.rules.names import caffe_name, keras_name
from keras_caffe_zoo.weights import dump_caffe_weights

pytestmark = pytest.mark.usefixtures("narrow")
each_builder = pytest.mark.parametrize(
    "build", [caffenet, vgg_cnn_s], ids=lambda b: b.__name__
)
CONVS = ["conv1", "conv2", "conv3", "conv4", "conv5"]
REFUSED = [
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
    (
        {"include_top": False, "input_shape": (99, 99, 1)},
        r"\(height, width, 3\), .*; received: \(99, 99, 1\)",
    ),
    (
        {"include_top": False, "input_shape": (99, 99)},
        r"\(height, width, 3\), .*; received: \(99, 99\)",
    ),
]
REFUSED_FOR_ITS_SIZE = [
    ({"input_shape": (64, 64, 3)}, r"include_top=True; received: \(64, 64, 3\)"),
    ({"input_shape": (96, 112, 3)}, r"include_top=True; received: \(96, 112, 3\)"),
    (
        {"input_tensor": keras.KerasTensor((None, 64, 64, 3))},
        r"include_top=True; received: \(64, 64, 3\)",
    ),
    ({"input_shape": (None, None, 3)}, "pass fully_convolutional=True"),
]
REFUSED_AS_A_MAP = [
    (
        {"fully_convolutional": True, "input_shape": (64, 64, 3)},
        "at least (22[47]|112 and 96) or",
    ),
]
REFUSED_FOR_LOOKING_AT_ALL = [
    (
        {"fully_convolutional": True},
        "fully_convolutional=False for se_.* means over the whole image",
    ),
]


@each_net
def test_arguments_that_do_not_go_together_are_refused(name):
    size, least, *_ = CONTRACT[name]
    refused = REFUSED + (REFUSED_FOR_ITS_SIZE if size else [])
    if name in LOOKING_AT_ALL:
        refused = refused + REFUSED_FOR_LOOKING_AT_ALL
    elif size:
        refused = refused + REFUSED_AS_A_MAP
    if least > 1:
        shape = (least - 1, least, 3)
        message = f"each side at least {least} or None"
        refused = [*refused, ({"include_top": False, "input_shape": shape}, message)]
    for options, message in refused:
        with pytest.raises(ValueError, match=message):
            getattr(models, name)(**{"weights": None, **options})
    with pytest.raises(TypeError, match="wieghts"):
        getattr(models, name)(wieghts=None)


def test_the_errors_name_every_kind_of_weights():
    with pytest.raises(ValueError, match=re.escape("a Keras .weights.h5")) as caught:
        caffenet(weights="nowhere")
    for word in ("'caffe'", "None", ".caffemodel", "keras-caffe-zoo dump"):
        assert word in str(caught.value)


@each_builder
def test_the_layers_have_caffes_names_and_sizes(build):
    model = build(weights=None)
    size, _, _, channels, *_ = CONTRACT[build.__name__]
    assert model.name == build.__name__
    assert model.input_shape == (None, size, size, 3)
    assert model.output_shape == (None, 1000)
    assert model.get_layer("pool5").output.shape == (None, 6, 6, channels)
    assert [layer.name for layer in model.layers if layer.weights][:5] == CONVS
    assert model.layers[-1].name == "prob"


@each_builder
def test_the_activation_can_go_or_be_another(build):
    model = build(weights=None, classifier_activation=None)
    assert model.layers[-1].name == "fc8"
    model = build(weights=None, classes=3, classifier_activation="sigmoid")
    assert model.output_shape == (None, 3)
    assert model.layers[-1].activation is keras.activations.sigmoid


@each_builder
def test_sizes_from_the_least_on_can_be_asked_for(build):
    size, least, *_ = CONTRACT[build.__name__]
    shape = (least, least + 50, 3)
    model = build(include_top=False, weights=None, input_shape=shape)
    assert model.input_shape == (None, *shape)
    shape = (size + 5, None, 3)
    model = build(weights=None, fully_convolutional=True, input_shape=shape)
    assert model.input_shape == (None, *shape)
    with pytest.raises(ValueError, match=f"each side at least {size} or None"):
        shape = (size - 1, size, 3)
        build(weights=None, fully_convolutional=True, input_shape=shape)


@each_builder
def test_an_input_tensor_becomes_part_of_the_model(build):
    size = CONTRACT[build.__name__].size
    inputs = keras.Input((size, size, 3), name="photo")
    model = build(weights=None, input_tensor=inputs * 0.5)
    assert model.inputs[0] is inputs
    plain = build(weights=None)
    plain.set_weights(model.get_weights())
    x = image(size)
    np.testing.assert_allclose(answer(model, x), answer(plain, x * 0.5), 1e-5)


@each_builder
def test_a_saved_model_computes_the_same(build, tmp_path):
    model, x = build(weights=None, name="mine"), image(CONTRACT[build.__name__].size)
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert loaded.name == "mine"
    np.testing.assert_array_equal(answer(loaded, x), answer(model, x))


@each_builder
def test_the_data_format_setting_makes_no_difference(build):
    keras.config.set_image_data_format("channels_first")
    try:
        assert build(weights=None).get_layer("pool5").output.shape[1:3] == (6, 6)
    finally:
        keras.config.set_image_data_format("channels_last")


@few("caffenet", "vgg_cnn_s", "nin", "squeezenet_v1_1", "fcn_alexnet")
def test_without_top_it_takes_any_image_and_pools(name):
    _, least, features, channels, *_ = CONTRACT[name]
    build = getattr(models, name)
    model = build(include_top=False, weights=None)
    assert model.input_shape == (None, None, None, 3)
    assert model.layers[-1].name == keras_name(features)
    assert answer(model, image(least)).shape == (1, 1, 1, channels)
    if CONTRACT[name].more != (70, 40):  # its branches agree on few sizes
        with pytest.raises(Exception, match="(?i)dimensions|shape"):  # the engine's
            answer(model, image(least - 1))
    elif least > 1:
        with pytest.raises(ValueError, match="received"):
            model.compute_output_shape((1, least - 1, least, 3))
    x = image(*(least + more for more in CONTRACT[name].more))
    expected = answer(model, x)
    assert expected.shape[0] == 1 and min(expected.shape[1:3]) > 1
    for pooling, reduce in (("avg", np.mean), ("max", np.max)):
        pooled = build(include_top=False, weights=None, pooling=pooling)
        pooled.set_weights(model.get_weights())
        found = answer(pooled, x)
        np.testing.assert_allclose(found, reduce(expected, (1, 2)), 1e-5, 1e-5)


@few("caffenet")
def test_files_of_weights_fit_every_form_of_the_net(name, tmp_path, capsys):
    size, _, _, _, stride, heads, _ = CONTRACT[name]
    height, width = CONTRACT[name].sides
    build, definition = getattr(models, name), define(name, fc=16)
    caffemodel = tmp_path / "net.caffemodel"
    net = parse_prototxt(definition.prototxt)
    write_caffemodel(caffemodel, formula_params(definition), net)
    dumped = dump_caffe_weights(caffemodel, tmp_path / "net.h5", progress=False)
    model = build(weights=caffemodel, classifier_activation=None)
    assert model.input_shape == (None, height, width, 3)
    x = image(height or 33, width or 47)
    expected = answer(model, x)
    assert expected.shape == ((1, NETS[name][2]) if size else (1, 33, 47, 21))
    assert np.abs(expected).max() > 0.1

    assert_same_weights(build(weights=dumped), model)
    assert_same_weights(build(weights=str(dumped), include_top=False), model)
    assert "new" not in capsys.readouterr().out
    other = build(weights=dumped, classes=3)
    assert other.output_shape[-1] == 3
    assert_same_weights(other, model, but=heads)
    said = re.findall("Layer '(.*?)' is new.* 3 classes", capsys.readouterr().out)
    assert list(map(caffe_name, said)) == heads
    caffemodel.unlink()

    if name in LOOKING_AT_ALL:
        return
    dense = build(weights=dumped, fully_convolutional=True, classifier_activation=None)
    dumped.unlink()
    assert dense.input_shape == (None, None, None, 3)
    found = answer(dense, x)
    assert found.shape == ((1, 1, 1, NETS[name][2]) if size else expected.shape)
    error = np.abs(found.reshape(expected.shape) - expected).max()
    assert error <= 1e-5 * np.abs(expected).max()
    if size:
        wide = np.pad(x, ((0, 0), (0, 0), (0, stride), (0, 0)))
        assert answer(dense, wide).shape == (1, 1, 2, NETS[name][2])
        last = keras_name(heads[0]) if name in CONVOLUTIONAL else "-conv"
        assert dense.layers[-1].name.endswith(last) or name in POOLED
        assert_the_map_is_the_documented_one(dense, name)
    dense.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    (tmp_path / "net.keras").unlink()
    np.testing.assert_array_equal(answer(loaded, x), found)


def assert_the_map_is_the_documented_one(dense, name):
    text = " ".join(inspect.getdoc(getattr(models, name)).split())
    assert f"a stride of {CONTRACT[name].stride} pixels" in text
    for map_, side in re.findall(r"a map of (\d+) x \1 for an image of (\d+) x", text):
        shape = dense.compute_output_shape((1, int(side), int(side), 3))
        assert shape[1:3] == (int(map_), int(map_))


@few("caffenet", "squeezenet_v1_1")
def test_it_trains_with_another_number_of_classes(name):
    size, (height, width) = CONTRACT[name].size, CONTRACT[name].sides
    model = getattr(models, name)(
        weights=None, classes=3, classifier_activation="softmax", name="mine"
    )
    assert (model.name, model.layers[-1].name) == ("mine", "prob")
    x = image(height or 9, width or 12, batch=2)
    labels = np.array([1, 2])
    if not size:
        labels = np.broadcast_to(labels[:, None, None], x.shape[:3])
    untrained = answer(model, x[:1])
    np.testing.assert_allclose(untrained.sum(-1), 1, 1e-5)
    before = list(map(keras.ops.convert_to_numpy, model.trainable_variables))
    model.compile(
        keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy", run_eagerly=True
    )
    history = model.fit(x, labels, batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    after = list(map(keras.ops.convert_to_numpy, model.trainable_variables))
    moved = [np.any(a != b) for a, b in zip(before, after, strict=True)]
    assert moved[0] and moved[-1] and np.mean(moved) > 0.9
    assert all(np.isfinite(value).all() for value in after)
