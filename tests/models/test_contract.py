"""The whole contract of the builders, held by every one of them."""

import inspect
import re

import keras
import numpy as np
import pytest
from definitions import NETS, define, formula_params

from keras_caffe_zoo import models
from keras_caffe_zoo.caffe import parse_prototxt, write_caffemodel
from keras_caffe_zoo.convert.names import caffe_name, keras_name
from keras_caffe_zoo.models._design import Design
from keras_caffe_zoo.weights import dump_caffe_weights
from keras_caffe_zoo.weights.manifest import load_manifest

# name: training size, least size without the top, last layer without the top and its
# channels, stride of the windows in a fully convolutional net, layers with one output
# for each class
CONTRACT = {
    "alexnet": (227, 39, "pool5", 256, 32, ["fc8"]),
    "caffenet": (227, 39, "pool5", 256, 32, ["fc8"]),
    "rcnn_ilsvrc13": (227, 39, "pool5", 256, 32, ["fc-rcnn"]),
    "flickr_style": (227, 39, "pool5", 256, 32, ["fc8_flickr"]),
    "places205_alexnet": (227, 39, "pool5", 256, 32, ["fc8"]),
    "hybrid_cnn": (227, 39, "pool5", 256, 32, ["fc8"]),
    "vgg_cnn_f": (224, 39, "pool5", 256, 32, ["fc8"]),
    "vgg_cnn_m": (224, 41, "pool5", 512, 32, ["fc8"]),
    "vgg_cnn_s": (224, 31, "pool5", 512, 36, ["fc8"]),
    "vgg_cnn_m_128": (224, 41, "pool5", 512, 32, ["fc8"]),
    "vgg_cnn_m_1024": (224, 41, "pool5", 512, 32, ["fc8"]),
    "vgg_cnn_m_2048": (224, 41, "pool5", 512, 32, ["fc8"]),
    "vgg16": (224, 1, "pool5", 512, 32, ["fc8"]),
    "vgg19": (224, 1, "pool5", 512, 32, ["fc8"]),
    "googlenet": (224, 31, "inception_5b/output", 1024, 32, ["loss3/classifier"]),
    "nin": (224, 39, "cccp7-1024", 1024, 32, ["cccp8-1024"]),
    "squeezenet_v1_0": (227, 21, "fire9/concat", 512, 16, ["conv10"]),
    "squeezenet_v1_1": (227, 17, "fire9/concat", 512, 16, ["conv10"]),
    "resnet50": (224, 3, "res5c_relu", 2048, 32, ["fc1000"]),
    "resnet101": (224, 3, "res5c_relu", 2048, 32, ["fc1000"]),
    "resnet152": (224, 3, "res5c_relu", 2048, 32, ["fc1000"]),
    "fcn_alexnet": (None, 1, "fc7", 16, None, ["score_fr", "upscore"]),
    "fcn32s": (None, 1, "fc7", 16, None, ["score_fr", "upscore"]),
    "fcn16s": (
        *(None, 1, "fc7", 16, None),
        ["score_fr", "upscore2", "score_pool4", "upscore16"],
    ),
    "fcn8s": (
        *(None, 1, "fc7", 16, None),
        ["score_fr", "upscore2", "score_pool4", "upscore_pool4"]
        + ["score_pool3", "upscore8"],
    ),
}
RAW = {"rcnn_ilsvrc13", "fcn_alexnet", "fcn32s", "fcn16s", "fcn8s"}
POOLED = {"nin", "squeezenet_v1_0", "squeezenet_v1_1"}  # their head is before a pooling
HEAVY = {"resnet101", "resnet152", "vgg19", "fcn16s", "fcn32s"}
# Siblings that differ from another net only in a layer's name or width.
ALIKE = {"flickr_style", "places205_alexnet", "hybrid_cnn"}
ALIKE |= {"vgg_cnn_m_1024", "vgg_cnn_m_2048"}

each_net = pytest.mark.parametrize("name", CONTRACT)
each_net_some_slow = pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow) if n in HEAVY | ALIKE else n
        for n in CONTRACT
    ],
)
REFUSED = [
    ({"weights": "imagenet"}, "'imagenet', where there is no file"),
    ({"weights": 3}, "received: weights=3"),
    ({"pooling": "mean"}, "None, 'avg' or 'max'; received: pooling='mean'"),
    ({"classes": 0}, "positive integer; received: classes=0"),
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
]
REFUSED_FOR_ITS_SIZE = [
    ({"input_shape": (64, 64, 3)}, r"include_top=True; received: \(64, 64, 3\)"),
    ({"input_shape": (None, None, 3)}, "pass fully_convolutional=True"),
    ({"fully_convolutional": True, "input_shape": (64, 64, 3)}, "at least 22[47] or"),
]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(Design, "FC_UNITS", 16)


def image(height, width=None, batch=1):
    shape = (batch, height, width or height, 3)
    values = np.random.default_rng(0).uniform(-120, 120, shape)
    return values.astype("float32")


def answer(model, x):
    return keras.ops.convert_to_numpy(
        model(x)
    )  # one pass costs less than to compile it


def assert_same_weights(model, source, but=()):
    layers = [layer for layer in model.layers if layer.count_params()]
    compared = [layer for layer in layers if caffe_name(layer.name) not in but]
    assert len(layers) - len(compared) == len(but)
    for layer in compared:
        theirs = source.get_layer(layer.name).get_weights()
        for ours, other in zip(layer.get_weights(), theirs, strict=True):
            np.testing.assert_array_equal(ours, other)


def test_the_list_has_every_net_of_the_manifest_in_its_order():
    assert models.list_models() == list(load_manifest()) == list(CONTRACT)
    assert {*models.list_models(), "list_models", "model_info"} == set(models.__all__)


def test_facts_of_a_net_are_frozen_and_errors_name_the_known_ones():
    info = models.model_info("resnet50")
    assert (info.name, info.input_size, info.file.size) == ("resnet50", 224, 102462397)
    with pytest.raises(AttributeError):
        info.name = "mine"
    with pytest.raises(ValueError, match="alexnet.*; received: 'resnet51'"):
        models.model_info("resnet51")


@each_net
def test_the_signature_is_that_of_keras_applications(name):
    ours = dict(inspect.signature(getattr(models, name)).parameters)
    theirs = inspect.signature(keras.applications.VGG16).parameters
    options = {n: p.default for n, p in ours.items() if p.kind is p.KEYWORD_ONLY}
    assert options == {
        "fully_convolutional": False,
        **({"auxiliary_heads": False} if name == "googlenet" else {}),
    }
    shared = {n: p.default for n, p in ours.items() if n not in options}
    assert list(shared) == list(theirs)
    own = {"weights": "caffe", "classes": NETS[name][2], "name": name}
    own["classifier_activation"] = None if name in RAW else "softmax"
    assert shared == {**{n: p.default for n, p in theirs.items()}, **own}


@each_net
def test_the_docstring_tells_facts_sizes_and_names(name):
    size, least, features, *_ = CONTRACT[name]
    text = inspect.getdoc(getattr(models, name))
    info = models.model_info(name)
    assert (
        f"ends with `{features}`" in text and f"from {least} x {least} pixels" in text
    )
    assert f"(N, {size or 'H'}, {size or 'W'}, 3)" in text
    assert info.file.name in text and f"Licence: {info.licence.text or 'unkn'}" in text
    assert "by nature" in text or size and name not in POOLED
    assert max(map(len, text.split("\nFacts:")[0].splitlines())) <= 88


@each_net
def test_arguments_that_do_not_go_together_are_refused(name):
    size, least, *_ = CONTRACT[name]
    refused = REFUSED + (REFUSED_FOR_ITS_SIZE if size else [])
    if least > 1:
        shape = (least - 1, least, 3)
        message = f"each side at least {least} or None"
        refused = [*refused, ({"include_top": False, "input_shape": shape}, message)]
    for options, message in refused:
        with pytest.raises(ValueError, match=message):
            getattr(models, name)(**{"weights": None, **options})
    with pytest.raises(TypeError, match="wieghts"):
        getattr(models, name)(wieghts=None)


@each_net_some_slow
def test_without_top_it_takes_any_image_and_pools(name):
    _, least, features, channels, *_ = CONTRACT[name]
    build = getattr(models, name)
    model = build(include_top=False, weights=None)
    assert model.input_shape == (None, None, None, 3)
    assert model.layers[-1].name == keras_name(features)
    assert answer(model, image(least)).shape == (1, 1, 1, channels)
    if least > 1:
        with pytest.raises(ValueError, match="received"):
            model.compute_output_shape((1, least - 1, least, 3))
    x = image(least + 70, least + 40)
    expected = answer(model, x)
    assert expected.shape[0] == 1 and min(expected.shape[1:3]) > 1
    for pooling, reduce in (("avg", np.mean), ("max", np.max)):
        pooled = build(include_top=False, weights=None, pooling=pooling)
        pooled.set_weights(model.get_weights())
        found = answer(pooled, x)
        np.testing.assert_allclose(found, reduce(expected, (1, 2)), 1e-5, 1e-5)


@each_net_some_slow
def test_files_of_weights_fit_every_form_of_the_net(name, tmp_path, capsys):
    size, _, features, _, stride, heads = CONTRACT[name]
    build, definition = getattr(models, name), define(name, fc=16)
    caffemodel = tmp_path / "net.caffemodel"
    net = parse_prototxt(definition.prototxt)
    write_caffemodel(caffemodel, formula_params(definition), net)
    dumped = dump_caffe_weights(caffemodel, tmp_path / "net.h5", progress=False)
    model = build(weights=caffemodel, classifier_activation=None)
    x = image(size or 33, size or 47)
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
        assert dense.layers[-1].name.endswith("-conv") or name in POOLED
    dense.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    (tmp_path / "net.keras").unlink()
    np.testing.assert_array_equal(answer(loaded, x), found)


@each_net_some_slow
def test_it_trains_with_another_number_of_classes(name):
    size, *_ = CONTRACT[name]
    model = getattr(models, name)(
        weights=None, classes=3, classifier_activation="softmax", name="mine"
    )
    assert (model.name, model.layers[-1].name) == ("mine", "prob")
    x = image(size or 9, size or 12, batch=2)
    labels = np.array([1, 2])
    if not size:
        labels = np.broadcast_to(labels[:, None, None], x.shape[:3])
    untrained = answer(model, x)
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


def test_googlenets_auxiliary_heads_come_after_its_own_answer():
    model = models.googlenet(weights=None, classes=5, auxiliary_heads=True)
    assert model.output_shape == [(None, 5)] * 3
    names = [y._keras_history.operation.name for y in model.outputs]
    assert names == ["prob", "loss1>prob", "loss2>prob"]
    maps = models.googlenet(
        weights=None, auxiliary_heads=True, fully_convolutional=True
    )
    assert [y.shape for y in maps(image(224))] == [(1, 1, 1, 1000)] * 3
    with pytest.raises(ValueError, match="include_top=True with auxiliary_heads=True"):
        models.googlenet(include_top=False, weights=None, auxiliary_heads=True)


def test_upscoring_starts_as_bilinear_interpolation_and_is_not_trained():
    model = models.fcn32s(weights=None, classes=2)
    kernel = model.get_layer("upscore").get_weights()[0]
    hat = 1 - np.abs(np.arange(64) - 31.5) / 32
    np.testing.assert_allclose(kernel[:, :, 0, 0], np.outer(hat, hat), 1e-6)
    np.testing.assert_array_equal(kernel[:, :, 0, 0], kernel[:, :, 1, 1])
    assert not kernel[:, :, 0, 1].any() and not kernel[:, :, 1, 0].any()
    assert not model.get_layer("upscore").trainable_variables
    flat = np.ones((1, 3, 3, 2), "float32")
    inside = answer(model.get_layer("upscore"), flat)[:, 32:-32, 32:-32]
    np.testing.assert_allclose(inside, 1, 1e-5)  # interpolation of a constant
