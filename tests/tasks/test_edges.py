"""Edges of pictures in their own size."""

import keras
import numpy as np
import pytest

import keras_caffe_zoo as kcz
from keras_caffe_zoo.preprocessing import resize, resize_float

PIXELS = np.random.default_rng(0).integers(0, 256, (33, 47, 3), "uint8")


def red_net(sides=(None, None), several=False):
    """A net that answers how red a pixel is, 0 to 1, as the last of its outputs."""
    image = keras.Input((*sides, 3), name="data")
    layer = keras.layers.Conv2D(1, 1, use_bias=False, name="sigmoid-fuse")
    fused = layer(image)
    layer.kernel.assign(np.array([0, 0, 1 / 255]).reshape(1, 1, 3, 1))  # BGR
    other = keras.layers.Conv2D(1, 1, name="sigmoid-dsn1")(image)
    outputs = {"sigmoid-dsn1": other, "sigmoid-fuse": fused} if several else fused
    return keras.Model(image, outputs)


@pytest.mark.parametrize("several", [False, True])
def test_edges_have_the_pictures_own_size(several):
    net = red_net(several=several)
    first, second = kcz.find_edges(net, [PIXELS, PIXELS[:20]], mean=0)
    assert (first.dtype, second.shape) == ("float32", (20, 47))
    np.testing.assert_allclose(first, PIXELS[..., 0] / 255, atol=1e-6)


def test_large_pictures_are_shrunk_for_the_net_if_that_is_asked_for():
    found = kcz.find_edges(red_net(), PIXELS, mean=0, longest=24)
    small = resize(PIXELS, (17, 24))[..., :1] / 255
    np.testing.assert_allclose(found, resize_float(small, (33, 47))[..., 0], atol=1e-6)
    assert kcz.find_edges(red_net((16, 16)), PIXELS, mean=0).shape == (33, 47)


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="a net for edges; received: 'caffenet'"):
        kcz.find_edges("caffenet", PIXELS)
    with pytest.raises(ValueError, match="`longest` of 1 or more; received: 0"):
        kcz.find_edges(red_net(), PIXELS, mean=0, longest=0)
    image = keras.Input((None, None, 3))
    net = keras.Model(image, keras.layers.Conv2D(4, 1)(image), name="four")
    with pytest.raises(ValueError, match="a map of its edges.*'four'"):
        kcz.find_edges(net, PIXELS, mean=0)
    two = keras.Model(image, [keras.layers.Conv2D(1, 1)(image) for _ in "ab"])
    with pytest.raises(ValueError, match="one called 'sigmoid-fuse'; received"):
        kcz.find_edges(two, PIXELS, mean=0)


@pytest.mark.slow
def test_hed_answers():
    found = kcz.find_edges("hed", PIXELS, weights=None)
    assert found.shape == (33, 47)
    assert 0 <= found.min() <= found.max() <= 1
