"""MTCNN's cascade against a reference in loops, and what finds faces at one look."""

import keras
import mtcnn_reference
import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo import find_faces, mtcnn_o, mtcnn_p, mtcnn_r
from keras_caffe_zoo.tasks import mtcnn

OUTPUTS = ("prob1", "conv4-2"), ("prob1", "conv5-2"), ("prob1", "conv6-2", "conv6-3")
RNG = np.random.default_rng


def of_caffe(model, names):
    """A model as a function of Caffe's arrays: chances of faces, and the rest."""

    def run(batch):
        answer = model.predict_on_batch(np.moveaxis(batch, 1, -1))
        chances, *rest = (np.asarray(answer[name]) for name in names)
        return chances[..., 1], *(np.moveaxis(x, -1, 1) for x in rest)

    return run


@pytest.fixture(scope="module")
def nets():
    """MTCNN's nets with random weights, sure enough to find something."""
    models = [build(weights=None) for build in (mtcnn_p, mtcnn_r, mtcnn_o)]
    for i, model in enumerate(models):
        rng = RNG(i)
        for weight in model.weights:
            fan = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 100
            weight.assign(rng.normal(0, np.sqrt(2 / fan), weight.shape))
    return models


def picture(seed=0, sides=(61, 83)):
    """Blobs of all sizes."""
    rng = RNG(seed)
    small = rng.integers(0, 256, (sides[0] // 9, sides[1] // 9, 3), "uint8")
    coarse = Image.fromarray(small).resize(sides[::-1], Image.Resampling.BICUBIC)
    return np.asarray(coarse) // 2 + rng.integers(0, 128, (*sides, 3), "uint8")


@pytest.mark.parametrize("thresholds", [(0.6, 0.5, 0.4), (0.5, 0.3, 0.3)])
def test_the_cascade_is_that_of_the_reference(nets, thresholds):
    pixels = picture()
    found = find_faces(nets, pixels, threshold=thresholds, smallest=14)
    functions = [of_caffe(*pair) for pair in zip(nets, OUTPUTS, strict=True)]
    wanted = mtcnn_reference.find(pixels, functions, 14, thresholds)
    assert len(found) == len(wanted) > 3
    np.testing.assert_allclose(found.boxes, wanted[:, :4], atol=2e-3)
    np.testing.assert_allclose(found.scores, wanted[:, 4], atol=1e-5)
    np.testing.assert_allclose(found.points, wanted[:, 5:].reshape(-1, 5, 2), atol=2e-3)
    # Windows beyond the edges were among them.
    assert found.boxes.min() < 0 or found.boxes[:, 2].max() > pixels.shape[1]


def test_a_pyramid_ends_where_a_face_no_longer_fits():
    assert mtcnn.scales((100, 300, 3), 20) == [0.6 * 0.709**i for i in range(5)]
    assert 100 * 0.6 * 0.709**4 >= 12 > 100 * 0.6 * 0.709**5
    assert mtcnn.scales((12, 12, 3), 12) == [1]
    assert mtcnn.scales((19, 300, 3), 20) == []
    pixels = picture(sides=(50, 70))
    levels = list(mtcnn.pyramid(pixels, 20))
    assert [x.shape for _, x in levels] == [(42, 30, 3), (30, 22, 3), (22, 16, 3)]
    for (_, level), (height, width) in zip(
        levels, [(30, 42), (22, 30), (16, 22)], strict=True
    ):
        wanted = mtcnn_reference.bilinear(pixels, height, width)
        np.testing.assert_allclose(level.swapaxes(0, 1), wanted, atol=1e-3)


def test_windows_are_black_outside_of_the_picture():
    pixels = picture(1, (31, 44))
    boxes = [
        *((3, 4, 20, 21), (-7, -5, 6, 8), (40, 25, 60, 45), (1, 1, 44, 44)),
        *((9, 9, 9, 9), (50, 2, 60, 12), (-30, -30, 90, 90), (44, 31, 44, 31)),
    ]
    found = mtcnn.windows(pixels, np.array(boxes, float), 24)
    assert found.shape == (8, 24, 24, 3)
    for box, window in zip(boxes, found, strict=True):
        wanted = mtcnn_reference.cut(pixels, box, 24)
        np.testing.assert_allclose(window.swapaxes(0, 1), wanted, atol=1e-3)


def test_squares_are_of_whole_pixels_dropped_towards_zero():
    boxes = RNG(3).uniform(-40, 60, (200, 2))
    boxes = np.concatenate([boxes, boxes + RNG(4).uniform(0.5, 50, (200, 2))], axis=1)
    wanted = [mtcnn_reference.square(*box) for box in boxes]
    np.testing.assert_array_equal(mtcnn.squares(boxes), wanted)
    without = np.array([[5.0, 5, 1, 2], [0, 0, 3, 1]])  # the first has no pixel
    np.testing.assert_array_equal(mtcnn.squares(without), [[0, -1, 3, 2]])


@pytest.mark.parametrize(("mode", "least"), [("union", False), ("min", True)])
def test_what_stays_is_what_the_reference_keeps(mode, least):
    rng = RNG(5)
    boxes = np.trunc(rng.uniform(0, 60, (300, 2)))
    boxes = np.concatenate([boxes, boxes + np.trunc(rng.uniform(5, 40, (300, 2)))], 1)
    scores = np.round(rng.random(300), 2)  # many are equal
    rows = np.column_stack([boxes, scores, np.arange(300)])
    stay = mtcnn.suppressed(boxes, scores, 0.5, mode)
    wanted = [int(row[5]) for row in mtcnn_reference.kept(rows.tolist(), 0.5, least)]
    assert stay.tolist() == wanted
    assert 10 < len(wanted) < 250


def template(model, first, last):
    """Make a net answer where it is bright in the middle and dark around.

    All its layers hand the mean brightness on, but for one that looks at 3 x 3 cells:
    a convolution over 5 x 5 of them in P-Net, an inner product in the others.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.PReLU):
            layer.set_weights([np.ones_like(w) for w in layer.get_weights()])
        elif layer.weights:
            kernel, bias = (np.zeros_like(w) for w in layer.get_weights())
            kernel[..., 0, 0] = 1 / np.prod(kernel.shape[:-2])
            layer.set_weights([kernel, bias])
    layer = model.get_layer(first)
    kernel, bias = layer.get_weights()
    cells = kernel[..., 0, 0] if kernel.ndim == 4 else kernel[:, 0].reshape(3, 3, -1)
    cells = cells if cells.ndim == 2 else cells[..., 0]
    cells[:] = -1 / 8
    cells[1, 1] = 1
    layer.set_weights([kernel, bias])
    kernel, bias = model.get_layer(last).get_weights()
    kernel[..., 0, 1] = 12
    bias[:] = 0, -12
    model.get_layer(last).set_weights([kernel, bias])


@pytest.fixture(scope="module")
def finders():
    """MTCNN's nets, made to find bright squares: the points are at fixed places."""
    models = [build(weights=None) for build in (mtcnn_p, mtcnn_r, mtcnn_o)]
    places = ("conv3", "conv4-1"), ("conv4", "conv5-1"), ("conv5", "conv6-1")
    for model, names in zip(models, places, strict=True):
        template(model, *names)
    for model, name, values in (
        (models[0], "conv4-2", [0] * 4),
        (models[1], "conv5-2", [0] * 4),
        (models[2], "conv6-2", [0.25, 0.25, -0.25, -0.25]),
        (models[2], "conv6-3", [0.4, 0.6, 0.5, 0.4, 0.6, 0.3, 0.3, 0.5, 0.7, 0.7]),
    ):
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        layer.set_weights([np.zeros_like(kernel), np.float32(values)])
    return models


def squares_on_black(places, sides=(120, 160)):
    pixels = np.zeros((*sides, 3), "uint8")
    for x, y, side in places:
        pixels[y : y + side, x : x + side] = 255
    return pixels
