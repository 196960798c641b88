"""The full-size nets against what real Caffe computed with the same formula weights."""

import gc

import keras
import numpy as np
import pytest
from support import golden, nchw, nhwc, pattern, relative_error

from keras_caffe_zoo.conversion.params import set_caffe_params
from keras_caffe_zoo.models import caffenet, vgg_cnn_s
from keras_caffe_zoo.weights import model_entry

pytestmark = pytest.mark.usefixtures("zeros")  # until they get the formula's
SIZES = {caffenet: 227, vgg_cnn_s: 224}


@pytest.fixture(
    scope="module",
    params=[caffenet, pytest.param(vgg_cnn_s, marks=pytest.mark.slow)],
    ids=lambda build: build.__name__,
)
def net(request):
    """A builder and its net's weights in Caffe's layout, made by the formula."""
    params = {}
    blobs = model_entry(request.param.__name__).blobs
    for j, (name, (weight, bias)) in enumerate(blobs.items()):
        scale = np.sqrt(24.0 / np.prod(weight[1:])) * 0.9
        params[name] = [pattern(weight, 2 * j, scale), pattern(bias, 2 * j + 1, 0.2)]
    yield request.param, params
    params.clear()
    gc.collect()


def outputs(model, size, names):
    tapped = keras.Model(model.input, {n: model.get_layer(n).output for n in names})
    x = nhwc(pattern((1, 3, size, size), 1000 + size, 240.0))
    return {name: nchw(y) for name, y in tapped(x).items()}


@pytest.mark.slow
def test_the_crop_equals_caffe(net):
    build, params = net
    model = build(weights=None)
    set_caffe_params(model, params)
    blobs = golden(f"full_{build.__name__}")
    names = ("pool5", "fc6", "fc7", "fc8", "prob")
    found = outputs(model, SIZES[build], names)
    for name in names:
        assert relative_error(found[name], blobs[f"blob/{name}"]) <= 1e-5, name
    assert np.argmax(found["fc8"]) == blobs["blob/fc8"].argmax()


def test_the_map_of_451_pixels_equals_caffe_in_every_cell(net):
    build, params = net
    model = build(weights=None, fully_convolutional=True)
    set_caffe_params(model, params)
    expected = golden(f"full_{build.__name__}_dense")["blob/fc8"]
    found = outputs(model, 451, ["fc8-conv"])["fc8-conv"]
    assert relative_error(found, expected) <= 1e-5
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))
