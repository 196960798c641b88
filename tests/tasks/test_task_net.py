"""The net of a task: whose it is, what it does to pixels, what it returns."""

import keras
import numpy as np
import pytest

from keras_caffe_zoo import mtcnn_o, preprocess_input
from keras_caffe_zoo.preprocessing import resize
from keras_caffe_zoo.tasks.net import TaskNet

FACES = ["face_detection"]
PIXELS = np.random.default_rng(0).integers(0, 256, (37, 61, 3), "uint8")


def test_a_net_of_the_zoo_is_given_pictures_by_its_own_rule():
    net = TaskNet("mtcnn_o", FACES, weights=None)
    assert (net.size, net.batch_size) == ((48, 48), 8)
    expected = preprocess_input(resize(PIXELS, (48, 48)), "mtcnn_o", "channels_last")
    np.testing.assert_allclose(net.prepare(PIXELS), expected, atol=1e-6)
    assert expected[..., 0].mean() == pytest.approx(  # red comes first
        (PIXELS[..., 0].mean() - 127.5) / 128, abs=0.05
    )


def test_it_returns_what_the_model_does():
    net = TaskNet("mtcnn_o", FACES, weights=None)
    inputs = [net.prepare(PIXELS), net.prepare(PIXELS[::-1])]
    found, expected = net(inputs), net.model.predict_on_batch(np.stack(inputs))
    assert found.keys() == expected.keys() == {"prob1", "conv6-2", "conv6-3"}
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6)


def test_a_net_of_any_size_takes_pictures_as_they_are_one_by_one():
    net = TaskNet("mtcnn_p", FACES, weights=None)
    assert (net.size, net.batch_size) == (None, 1)
    assert net.prepare(PIXELS).shape == PIXELS.shape
    net = TaskNet("mtcnn_p", FACES, weights=None, size=(24, 32))
    assert (net.size, net.batch_size) == ((24, 32), 8)
    assert net.prepare(PIXELS).shape == (24, 32, 3)


def test_a_model_of_ones_own_is_told_what_becomes_of_pixels():
    model = mtcnn_o(weights=None)
    net = TaskNet(model, FACES, mean=[1, 2, 3], scale=0.5)
    expected = (resize(PIXELS, (48, 48))[..., ::-1].astype("float32") - [1, 2, 3]) / 2
    np.testing.assert_allclose(net.prepare(PIXELS), expected, atol=1e-5)
    like = TaskNet(model, FACES, preprocessing="mtcnn_r")
    zoo = TaskNet("mtcnn_o", FACES, weights=None)
    np.testing.assert_array_equal(like.prepare(PIXELS), zoo.prepare(PIXELS))


def test_a_net_of_grey_pictures_is_given_grey():
    image = keras.Input((5, 7, 1))
    model = keras.Model(image, keras.layers.Flatten()(image))
    net = TaskNet(model, FACES, mean=0)
    assert net.prepare(PIXELS).shape == (5, 7, 1)
    pixels = PIXELS[:5, :7]
    luma = pixels @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(net.prepare(pixels)[..., 0], luma, atol=0.6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "caffenet"}, "for face_detection; received: 'caffenet', which is"),
        ({"model": "mtcnn"}, "no net 'mtcnn'. Did you mean 'mtcnn_"),
        ({}, "Expected `mean=…` for a model of one's own"),
        ({"model": "mtcnn_o", "preprocessing": "mtcnn_r"}, "Expected no `preproc"),
        ({"mean": [1, 2]}, "Expected a mean of 3 numbers"),
        ({"mean": 0, "weights": "net.h5"}, "which has its own; received: weights='net"),
        ({"mean": 0, "runtime": "caffe"}, "runtime"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message):
    model = options.pop("model", None) or mtcnn_o(weights=None, name="mine")
    with pytest.raises(ValueError, match=message):
        TaskNet(model, FACES, **{"weights": None} | options)


def test_a_model_of_something_else_than_images_is_refused():
    x = keras.Input((7,))
    model = keras.Model(x, keras.layers.Dense(2)(x))
    with pytest.raises(ValueError, match=r"images \(N, H, W, 3\); received"):
        TaskNet(model, FACES, mean=0)


def test_what_is_no_number_is_no_answer():
    model = mtcnn_o(weights=None)
    for layer in model.layers:
        layer.set_weights([np.full_like(w, np.nan) for w in layer.get_weights()])
    net = TaskNet(model, FACES, mean=0)
    with pytest.raises(ValueError, match="Expected numbers of 'mtcnn_o'; received NaN"):
        net([net.prepare(PIXELS)])
