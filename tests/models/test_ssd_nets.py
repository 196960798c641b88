"""What single-shot detectors share, on nets that are built at once, and their files."""

import functools

import keras
import numpy as np
import pytest
from definition import Definition, formula_params
from ssd_head import head, normalize
from support import nhwc, pattern
from test_other_nets import build, define

import keras_caffe_zoo as kcz
from keras_caffe_zoo.caffe import parse_prototxt, write_caffemodel
from keras_caffe_zoo.models._blocks import conv, max_pool
from keras_caffe_zoo.models._ssd import boxes, detect
from keras_caffe_zoo.models._ssd import normalize as normalized
from keras_caffe_zoo.weights.assign import load_weights

LIMITS = {"top_k": 30, "keep_top_k": 9}


def small(d):
    """A net of two maps, the first of them normalized, and the other without a step."""
    d.conv("conv1", 8, 3, s=4, p=1)
    d.conv("conv2", 8, 3, d.pool("pool1", 2, 2), p=1)
    d.top = "conv1"
    normalize(d, "norm")
    maps = [("norm", "norm"), ("conv2", "conv2")]
    limits = {"least": 0.4, "clip": 1} | LIMITS
    head(d, maps, [8, 20, 40], [[2], [2, 3]], [4, 8], k=3, classes=3, **limits)


def small_model():
    image = keras.Input((40, 60, 3), name="data")
    conv1 = conv(image, 8, 3, "conv1", strides=4, pad=1)
    conv2 = conv(max_pool(conv1, 2, 2, "pool1"), 8, 3, "conv2", pad=1)
    maps = {
        "norm": (normalized(conv1, "norm"), boxes(8, 20, (2,), step=4)),
        "conv2": (conv2, boxes(20, 40, step=8)),
    }
    limits = {"confidence_threshold": 0.4, "clip": True} | LIMITS
    return keras.Model(image, detect(image, maps, classes=3, kernel_size=3, **limits))


def test_a_small_net_detects_what_its_imported_definition_does(tmp_path):
    definition = Definition("small", (40, 60))
    small(definition)
    prototxt, caffemodel = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(definition.prototxt)
    net = parse_prototxt(definition.prototxt)
    write_caffemodel(caffemodel, formula_params(definition), net)
    ours, theirs = small_model(), kcz.from_caffe(prototxt, caffemodel)
    load_weights(ours, caffemodel)
    x = nhwc(pattern((2, 3, 40, 60), 7, 240.0))
    found, expected = (model.predict_on_batch(x) for model in (ours, theirs))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    rows = kcz.detections(found)
    assert set(rows[:, 0]) == {0, 1}
    assert 0 <= rows[:, 3:].min() <= rows[:, 3:].max() <= 1


def test_the_scales_of_normalized_features_start_as_the_nets_did():
    (scale,) = small_model().get_layer("norm").get_weights()
    assert scale.tolist() == [20] * 8


@pytest.mark.slow
def test_weights_of_half_precision_are_read(tmp_path):
    """As OpenCV wrote them: each blob's bytes as they are, with the number of fp16."""
    definition = define("res10_face_fp16")
    params, path = formula_params(definition), tmp_path / "net.caffemodel"
    path.write_bytes(
        b"".join(
            field(100, field(1, name.encode()) + b"".join(map(half_blob, arrays)))
            for name, arrays in params.items()
        )
    )
    loaded = kcz.caffe_params(build("res10_face_fp16", weights=path))
    for name, arrays in params.items():
        for found, array in zip(loaded[name], arrays, strict=True):
            assert np.array_equal(found, array.astype("float16")), name


def half_blob(array):
    dims = b"".join(map(varint, array.shape))
    data = array.astype("<f2").tobytes()
    return field(7, field(7, field(1, dims)) + b"\x50\x02" + field(12, data))


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value):
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, left", [("res10_face", 5), ("face_detection_retail_0044", 1), ("pelee", 0)]
)
def test_normalizations_behind_convolutions_are_folded(name, left, tmp_path):
    definition, path = define(name), tmp_path / "net.caffemodel"
    net = parse_prototxt(definition.prototxt)
    write_caffemodel(path, formula_params(definition), net)
    model = build(name, weights=path)
    folded = kcz.fold(model)
    assert sum("BatchNorm" in type(x).__name__ for x in folded.layers) == left
    x = nhwc(pattern((1, 3, *model.input_shape[1:3]), 7, 240.0))
    loc = [x.name for x in model.layers if x.name.endswith("_mbox_loc_flat")]
    outputs = functools.partial(predicted, names=loc, x=x)
    for found, expected in zip(outputs(folded), outputs(model), strict=True):
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def predicted(model, names, x):
    tensors = [model.get_layer(name).output for name in names]
    return keras.Model(model.input, tensors).predict_on_batch(x)
