"""Which files of weights a builder takes and which it refuses, on two of the nets."""

import re

import keras
import numpy as np
import pytest
from families import answer
from support import GOLDENS, every

from keras_caffe_zoo.caffe import parse_prototxt, write_caffemodel
from keras_caffe_zoo.models import caffenet, vgg_cnn_s
from keras_caffe_zoo.models._classifier import ClassifierDesign
from keras_caffe_zoo.weights import assign, dump_caffe_weights

SIZES = {caffenet: 227, vgg_cnn_s: 224}
each_builder = pytest.mark.parametrize("build", SIZES, ids=lambda b: b.__name__)
mostly_slow = pytest.mark.parametrize(
    "build", every(len(SIZES), SIZES), ids=lambda b: b.__name__
)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 64)


def structure(golden, classes=1000):
    """A golden net of an eighth of the width, at the width of the builders."""
    text = (GOLDENS / f"net_{golden}_eighth.prototxt").read_text()
    head, top = text.split('layer { name: "fc6"')
    head = re.sub(r"num_output: (\d+)", lambda m: f"num_output: {8 * int(m[1])}", head)
    top = top.replace("num_output: 20", f"num_output: {classes}")
    return head + 'layer { name: "fc6"' + top


def arrays_of(model):
    """The model's weights as Caffe's arrays, turned by hand."""
    arrays = {}
    for name in (f"conv{i}" for i in range(1, 6)):
        kernel, bias = model.get_layer(name).get_weights()
        arrays[name] = [kernel.transpose(3, 2, 0, 1), bias]
    channels = arrays["conv5"][0].shape[0]
    for name in ("fc6", "fc7", "fc8"):
        kernel, bias = model.get_layer(name).get_weights()
        arrays[name] = [np.ascontiguousarray(kernel.T), bias]
    kernel = model.get_layer("fc6").get_weights()[0].reshape(6, 6, channels, -1)
    arrays["fc6"][0] = kernel.transpose(3, 2, 0, 1).reshape(kernel.shape[3], -1)
    return arrays


def random_net(build, **options):
    """A net whose biases are not zero either."""
    model = build(weights=None, **options)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.get_weights() and hasattr(layer, "bias"):
            kernel = layer.get_weights()[0]
            layer.set_weights([kernel, rng.normal(0, 0.1, kernel.shape[-1])])
    return model


def image(build):
    size = SIZES[build]
    values = np.random.default_rng(0).uniform(-120, 120, (1, size, size, 3))
    return values.astype("float32")


def assert_same_weights(model, source, names):
    for name in names:
        found = model.get_layer(name).get_weights()
        for ours, theirs in zip(
            found, source.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


CONVS = [f"conv{i}" for i in range(1, 6)]


@mostly_slow
@pytest.mark.parametrize("kind", ["caffemodel", "dumped", "keras"])
def test_every_kind_of_file_loads(build, kind, tmp_path):
    source = random_net(build)
    path = tmp_path / "net.caffemodel"
    net = parse_prototxt(structure(build.__name__))
    write_caffemodel(path, arrays_of(source), net)
    if kind == "dumped":
        path = dump_caffe_weights(path, tmp_path / "net.h5", progress=False)
    if kind == "keras":
        path = tmp_path / "net.weights.h5"
        source.save_weights(path)
    model, x = build(weights=str(path)), image(build)
    assert_same_weights(model, source, [*CONVS, "fc6", "fc7", "fc8"])
    expected = answer(source, x)
    np.testing.assert_array_equal(answer(model, x), expected)
    if kind != "keras":
        dense = build(weights=path, fully_convolutional=True)
        found = answer(dense, x)[0, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
        bottom = build(weights=path, include_top=False)
        assert_same_weights(bottom, source, CONVS)


@each_builder
def test_a_fully_convolutional_file_loads_into_both_forms(build, tmp_path):
    """As the net surgery example saves it: four axes, layers named fc6-conv."""
    source, path = random_net(build), tmp_path / "net.caffemodel"
    arrays = arrays_of(source)
    for name, window in (("fc6", 6), ("fc7", 1), ("fc8", 1)):
        weight, bias = arrays.pop(name)
        shape = (len(bias), -1, window, window)
        arrays[f"{name}-conv"] = [weight.reshape(shape), bias]
    write_caffemodel(path, arrays)
    model = build(weights=path)
    assert_same_weights(model, source, [*CONVS, "fc6", "fc7", "fc8"])
    dense = build(weights=path, fully_convolutional=True)
    kernel = dense.get_layer("fc6-conv").get_weights()[0]
    expected = source.get_layer("fc6").get_weights()[0].reshape(kernel.shape)
    np.testing.assert_array_equal(kernel, expected)


@mostly_slow
@pytest.mark.parametrize("fully_convolutional", [False, True])
@pytest.mark.parametrize("dumped", [False, True])
def test_other_classes_get_a_new_head_and_a_message(
    build, fully_convolutional, dumped, tmp_path, capsys
):
    source, path = random_net(build), tmp_path / "net.caffemodel"
    write_caffemodel(path, arrays_of(source))
    if dumped:
        path = dump_caffe_weights(path, tmp_path / "net.h5", progress=False)
    options = {"fully_convolutional": fully_convolutional}
    model = build(weights=path, classes=20, **options)
    message = capsys.readouterr().out
    assert re.search("Layer 'fc8(-conv)?' is new, .* 20 classes .* 1000", message)
    assert model.output_shape[-1] == 20
    assert_same_weights(model, source, CONVS)
    twin = "-conv" if fully_convolutional else ""
    bias = model.get_layer("fc7" + twin).get_weights()[1]
    np.testing.assert_array_equal(bias, source.get_layer("fc7").get_weights()[1])


def test_a_file_with_the_very_classes_is_loaded_whole(tmp_path, capsys):
    source, path = random_net(caffenet, classes=20), tmp_path / "net.caffemodel"
    write_caffemodel(path, arrays_of(source))
    model = caffenet(weights=path, classes=20)
    assert_same_weights(model, source, ["fc8"])
    assert "new" not in capsys.readouterr().out
    with pytest.raises(ValueError, match="layer 'fc8'") as caught:
        caffenet(weights=path)
    assert "(64, 1000)" in str(caught.value) and "(64, 20)" in str(caught.value)


def test_a_missing_layer_is_named(tmp_path):
    arrays = arrays_of(random_net(caffenet))
    del arrays["fc7"]
    write_caffemodel(tmp_path / "net.caffemodel", arrays)
    with pytest.raises(ValueError, match=re.escape("'fc7' [(64, 64), (64,)]")):
        caffenet(weights=tmp_path / "net.caffemodel")


def test_another_nets_shapes_are_refused_by_layer_and_both_shapes(tmp_path):
    write_caffemodel(tmp_path / "s.caffemodel", arrays_of(random_net(vgg_cnn_s)))
    with pytest.raises(ValueError, match="layer 'conv1'") as caught:
        caffenet(weights=tmp_path / "s.caffemodel")
    assert "(11, 11, 3, 96)" in str(caught.value)
    assert "(96, 3, 7, 7)" in str(caught.value)


def like_vgg_cnn_m():
    """VGG-CNN-M: the same shapes, other strides, pads and pooling."""
    text = structure("vgg_cnn_s")
    for old, new in [
        ("pool: MAX kernel_size: 3 stride: 3", "pool: MAX kernel_size: 3 stride: 2"),
        ("kernel_size: 5 }", "kernel_size: 5 stride: 2 pad: 1 }"),
        ("pool: MAX kernel_size: 2 stride: 2", "pool: MAX kernel_size: 3 stride: 2"),
    ]:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize("dumped", [False, True])
@pytest.mark.parametrize(
    ("build", "text", "message"),
    [
        (caffenet, structure("alexnet"), "'norm1' reads 'conv1' in the file, 'pool1'"),
        (vgg_cnn_s, like_vgg_cnn_m(), "'pool1' has strides (2, 2) in the file, (3, 3)"),
    ],
    ids=["alexnet", "vgg_cnn_m"],
)
def test_a_net_with_the_same_shapes_but_another_structure_is_refused(
    build, text, message, dumped, tmp_path
):
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, arrays_of(random_net(build)), parse_prototxt(text))
    if dumped:
        path = dump_caffe_weights(path, tmp_path / "net.h5", progress=False)
    with pytest.raises(ValueError, match=re.escape(message)):
        build(weights=path)


@pytest.mark.parametrize("damaged", [False, True])
def test_published_weights_come_from_the_cache(monkeypatch, tmp_path, capsys, damaged):
    """And a cached file that has rotted is converted again."""
    source, path = random_net(caffenet), tmp_path / "net.caffemodel"
    write_caffemodel(path, arrays_of(source))
    cached = dump_caffe_weights(path, tmp_path / "net.h5", progress=False)
    if damaged:
        data = bytearray(cached.read_bytes())
        data[-len(data) // 2] ^= 1
        cached.write_bytes(data)
    asked = []

    def converted_weights(name):
        asked.append(name)
        if not cached.exists():
            dump_caffe_weights(path, cached, progress=False)
        return cached

    monkeypatch.setattr(assign, "converted_weights", converted_weights)
    assert_same_weights(caffenet(name="mine"), source, [*CONVS, "fc6", "fc7", "fc8"])
    assert asked == ["caffenet"] * (2 if damaged else 1)
    assert ("is damaged" in capsys.readouterr().out) is damaged


def test_fine_tuning_moves_every_layer():
    model = random_net(caffenet, classes=4)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    model.fit(np.repeat(image(caffenet), 2, 0), np.array([1, 3]), verbose=0)
    pairs = zip(before, model.get_weights(), strict=True)
    assert all(np.any(old != new) and np.isfinite(new).all() for old, new in pairs)
