"""Photographs in colours that a net says."""

import cv2
import keras
import numpy as np
import pytest

import keras_caffe_zoo as kcz
from keras_caffe_zoo.arithmetic.colours import lab_of
from keras_caffe_zoo.preprocessing import resize_float
from keras_caffe_zoo.tasks.colorization import Colorizer, coloured

PIXELS = np.random.default_rng(0).integers(0, 256, (33, 47, 3), "uint8")
PIXELS = cv2.GaussianBlur(PIXELS, (9, 9), 3)


def linear_net(weights=((0.2, -0.3),), sides=(16, 24), name="class8_ab"):
    """A net whose a and b are multiples of L - 50."""
    image = keras.Input((*sides, 1), name="data_l")
    layer = keras.layers.Conv2D(2, 1, use_bias=False, name=name)
    outputs = layer(image)
    layer.kernel.assign(np.reshape(weights, (1, 1, 1, 2)))
    return keras.Model(image, outputs)


def test_lightness_stays_and_colours_are_the_nets():
    found = kcz.colorize(linear_net(), PIXELS)
    assert (found.shape, found.dtype) == (PIXELS.shape, "uint8")
    lab = cv2.cvtColor(PIXELS.astype("float32") / 255, cv2.COLOR_RGB2Lab)
    small = cv2.resize(lab[..., 0], (24, 16)) - 50
    ab = cv2.resize(np.stack([0.2 * small, -0.3 * small], -1), (47, 33))
    joined = np.concatenate([lab[..., :1], ab], -1).astype("float32")
    expected = cv2.cvtColor(joined, cv2.COLOR_Lab2RGB) * 255
    np.testing.assert_allclose(found, expected, atol=1.01)
    np.testing.assert_allclose(lab_of(found)[..., 0], lab[..., 0], atol=1)


def test_a_photograph_in_its_own_colours_is_itself():
    lab = lab_of(PIXELS)
    np.testing.assert_array_equal(coloured(lab[..., 0], lab[..., 1:]), PIXELS)
    grey = coloured(lab[..., 0], np.zeros((5, 5, 2), "float32"))
    assert np.ptp(grey.astype(int), axis=-1).max() <= 1


def test_pictures_of_several_sizes_go_through_together():
    task = Colorizer(linear_net(), batch_size=4)
    assert task.batch_size == 4
    prepared = [task.prepare(one) for one in (PIXELS, PIXELS[:9], PIXELS[:, :7])]
    assert [x.shape for x, _ in prepared] == [(16, 24, 1)] * 3
    shapes = [one.shape for one in task.answer(prepared)]
    assert shapes == [(33, 47, 3), (9, 47, 3), (33, 7, 3)]


def test_a_net_of_any_size_sees_224_pixels():
    task = Colorizer(linear_net(sides=(None, None)))
    x, _ = task.prepare(PIXELS)
    assert x.shape == (224, 224, 1)
    lightness = lab_of(PIXELS)[..., :1]
    np.testing.assert_allclose(x, resize_float(lightness, (224, 224)) - 50, atol=1e-4)


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="received: zeros. Its file has none"):
        kcz.colorize(linear_net(((0, 0),)), PIXELS)
    with pytest.raises(ValueError, match="for colorization; received: 'hed'"):
        kcz.colorize("hed", PIXELS)
    image = keras.Input((8, 8, 3))
    net = keras.Model(image, keras.layers.Conv2D(2, 1)(image))
    with pytest.raises(ValueError, match="from lightness, .* from .None, 8, 8, 3"):
        kcz.colorize(net, PIXELS)


@pytest.mark.slow
def test_the_net_of_the_zoo_answers():
    found = kcz.colorize("colorization", [PIXELS, PIXELS[:20]], weights=None)
    assert [one.shape for one in found] == [(33, 47, 3), (20, 47, 3)]
