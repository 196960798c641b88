"""Keras to Caffe: every golden net there and back, and plain Keras models."""

import keras
import numpy as np
import pytest
from google.protobuf import text_format
from keras import layers
from support import GOLDENS, golden, golden_names, nhwc, relative_error

from keras_caffe_zoo.caffe import read_caffemodel, read_prototxt, schema
from keras_caffe_zoo.convert import caffe_params, from_caffe, to_caffe
from keras_caffe_zoo.convert.walk import calls
from keras_caffe_zoo.layers import CaffePool2D

WITH_NET = [
    name
    for name in golden_names("")
    if (GOLDENS / f"{name}.prototxt").exists() and not name.startswith("full_")
]


def load(name):
    caffemodel = GOLDENS / f"{name}.caffemodel"
    prototxt = GOLDENS / f"{name}.prototxt"
    return from_caffe(prototxt, caffemodel if caffemodel.exists() else None)


def inputs_of(model, name):
    """Return the golden's own inputs, or made-up ones where it has a formula."""
    blobs = golden(name)
    arrays = []
    for tensor in model.inputs:
        blob = blobs.get(f"blob/{tensor.name}")
        if blob is None:
            shape = [n or 1 for n in tensor.shape]
            blob = np.random.default_rng(0).normal(size=shape).astype("float32") * 60
            arrays.append(blob)
        else:
            arrays.append(nhwc(blob))
    return arrays[0] if len(arrays) == 1 else arrays


def outputs(model, inputs):
    found = model(inputs)
    named = found if isinstance(found, dict) else {"": found}
    return {k: keras.ops.convert_to_numpy(v) for k, v in named.items()}


def there_and_back(model, folder, **options):
    to_caffe(model, folder / "x.prototxt", folder / "x.caffemodel", **options)
    return from_caffe(folder / "x.prototxt", folder / "x.caffemodel")


@pytest.mark.parametrize("name", WITH_NET)
def test_golden_nets_survive_the_way_to_caffe_and_back(name, tmp_path):
    model = load(name)
    again = there_and_back(model, tmp_path)
    x = inputs_of(model, name)
    before, after = outputs(model, x), outputs(again, x)
    assert before.keys() == after.keys()
    for key in before:
        assert relative_error(after[key], before[key]) <= 1e-6, key
    ours, theirs = caffe_params(model), caffe_params(again)
    assert ours.keys() == theirs.keys()
    for key in ours:
        for a, b in zip(ours[key], theirs[key], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", WITH_NET)
def test_written_definition_says_what_the_golden_says(name, tmp_path):
    """Layer by layer, type and wiring are those of the net that Caffe ran."""
    to_caffe(load(name), tmp_path / "x.prototxt", tmp_path / "x.caffemodel")
    written = text_format.Parse(
        (tmp_path / "x.prototxt").read_text(), schema.NetParameter()
    )
    given = read_prototxt(GOLDENS / f"{name}.prototxt")
    assert {(x.name, x.type) for x in given.layers if x.type in PARAMETRIC} == {
        (x.name, x.type) for x in written.layer if x.type in PARAMETRIC
    }
    blobs = {top for layer in written.layer for top in layer.top}
    read = {b for layer in given.layers for b in layer.bottoms}
    ends = {t for layer in given.layers for t in layer.tops} - read
    assert ends <= blobs


PARAMETRIC = {
    "Convolution",
    "Deconvolution",
    "InnerProduct",
    "BatchNorm",
    "Scale",
    "Bias",
    "PReLU",
    "Embed",
    "LSTM",
    "RNN",
}


def test_plain_keras_classifier_becomes_a_caffe_net(tmp_path):
    model = keras.Sequential(
        [
            layers.Input((13, 11, 3)),
            layers.Rescaling(1 / 255, offset=-0.5),
            layers.Conv2D(6, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.1),
            layers.Conv2D(8, 3, groups=2, activation="relu"),
            CaffePool2D("max", 3, 2),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(7, activation="tanh"),
            layers.Dense(4, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights([abs(rng.normal(size=w.shape)) for w in model.get_weights()])
    again = there_and_back(model, tmp_path)
    x = rng.uniform(0, 255, (2, 13, 11, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    assert relative_error(again.predict(x, verbose=0), expected) <= 1e-5
    assert np.ptp(expected) > 0.01


def test_branches_and_merges(tmp_path):
    x = keras.Input((8, 8, 4), name="data")
    left = layers.Conv2D(4, 1, name="left")(x)
    total = layers.Average()([left, layers.Subtract()([x, left])])
    joined = layers.Concatenate()([total, layers.Multiply()([x, left])])
    model = keras.Model(x, layers.GlobalAveragePooling2D()(joined))
    again = there_and_back(model, tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype("float32")
    assert relative_error(again(x), keras.ops.convert_to_numpy(model(x))) <= 1e-6


def test_layer_called_twice_shares_its_parameters_in_caffe_too(tmp_path):
    shared = layers.Dense(3, name="shared")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    model = keras.Model([a, b], {"ya": shared(a), "yb": shared(b)})
    to_caffe(model, tmp_path / "x.prototxt", tmp_path / "x.caffemodel")
    net = read_prototxt(tmp_path / "x.prototxt")
    names = [
        [spec.name for spec in layer.message.param]
        for layer in net.layers
        if layer.type == "InnerProduct"
    ]
    assert names[0] == names[1]
    assert len(set(names[0])) == 2
    first, second = read_caffemodel(tmp_path / "x.caffemodel").values()
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_fully_convolutional_nets_want_a_size(tmp_path):
    x = keras.Input((None, None, 3), name="data")
    model = keras.Model(x, layers.Conv2D(2, 3, name="conv")(x))
    paths = tmp_path / "x.prototxt", tmp_path / "x.caffemodel"
    with pytest.raises(ValueError, match="Pass input_shape"):
        to_caffe(model, *paths)
    to_caffe(model, *paths, input_shape=(9, 7, 3))
    assert read_prototxt(paths[0]).inputs == {"data": (1, 3, 9, 7)}


def test_all_layers_that_caffe_does_not_have_are_named_and_nothing_is_written(tmp_path):
    model = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same", name="uneven"),
            layers.LayerNormalization(name="modern"),
            layers.MaxPooling2D(2, padding="same", name="rounded"),
            layers.Flatten(),
            layers.Dense(3, activation="gelu", name="smooth"),
        ]
    )
    with pytest.raises(ValueError, match="uneven") as raised:
        to_caffe(model, tmp_path / "x.prototxt", tmp_path / "x.caffemodel")
    for name in ("modern", "rounded", "smooth"):
        assert f"'{name}'" in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_calls_come_in_execution_order():
    x = keras.Input((4,))
    y = layers.Dense(2, name="one")(x)
    model = keras.Model(x, layers.Add(name="sum")([y, layers.ReLU(name="two")(y)]))
    assert [call.layer.name for call in calls(model)][1:] == ["one", "two", "sum"]
