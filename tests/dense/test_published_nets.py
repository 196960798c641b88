"""The maps of the published nets are their classifiers slid over the image."""

import numpy as np
import pytest
from support import nhwc, pattern, relative_error

from keras_caffe_zoo import caffenet, feature_extractor, vgg_cnn_s
from keras_caffe_zoo.dense import output_grid
from keras_caffe_zoo.models._classifier import ClassifierDesign

NETS = {caffenet: 227, vgg_cnn_s: 224}


@pytest.fixture(
    params=[caffenet, pytest.param(vgg_cnn_s, marks=pytest.mark.slow)],
    ids=lambda build: build.__name__,
)
def nets(request, monkeypatch):
    """A classifier and its fully convolutional form with the same weights."""
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 64)
    build = request.param
    classifier, dense = (
        build(weights=None),
        build(weights=None, fully_convolutional=True),
    )
    for j, (a, b) in enumerate(zip(classifier.weights, dense.weights, strict=True)):
        fan_in = np.prod(a.shape[:-1]) if len(a.shape) > 1 else 600
        values = pattern(a.shape, j, (24 / fan_in) ** 0.5)
        a.assign(values)
        b.assign(values.reshape(b.shape))
    return classifier, dense, NETS[build]


def image():
    return nhwc(pattern((1, 3, 451, 451), 1451, 240))[0]


def without_prob(model):
    """Return fc8: the softmax of made-up weights is sure of one class."""
    return feature_extractor(model, "fc8")


def test_one_window_is_the_classifier_itself(nets):
    classifier, dense, size = nets
    crop = image()[None, :size, :size]
    expected = without_prob(classifier).predict(crop, verbose=0)
    found = without_prob(dense).predict(crop, verbose=0)
    assert relative_error(found[:, 0, 0], expected) <= 1e-5


def test_cells_without_border_effect_equal_the_net_on_their_own_pixels(nets):
    """Shown just the pixels that can change a cell, the net answers the same there."""
    _, dense, _ = nets
    grid, page = output_grid(dense, (451, 451)), image()
    net = without_prob(dense)
    found = net.predict(page[None], verbose=0)[0]
    cells, fields = [], []
    for row, column in np.ndindex(*grid.shape):
        top, left, bottom, right = grid.field_box(row, column)
        top, left = (n // s * s for n, s in zip((top, left), grid.stride, strict=True))
        if min(top, left) >= 0 and bottom <= 451 and right <= 451:
            shift = top // grid.stride[0], left // grid.stride[1]
            cells.append((row, column, row - shift[0], column - shift[1]))
            fields.append(page[top:bottom, left:right])
    assert len(cells) >= 4
    maps = net.predict(np.stack(fields), verbose=0)
    for (row, column, i, j), part in zip(cells, maps, strict=True):
        assert relative_error(part[i, j], found[row, column]) <= 1e-4


def test_boxes_are_what_the_classifier_would_be_shown(nets):
    """Up to pool1, before which nothing is padded, both see the same."""
    classifier, dense, size = nets
    grid, page = output_grid(dense, (451, 451)), image()
    top, left, _, _ = grid.box(3, 2)
    shown = feature_extractor(classifier, "pool1").predict_on_batch(
        page[None, top : top + size, left : left + size]
    )[0, :-1, :-1]  # the last windows hang over the crop's end
    whole = feature_extractor(dense, "pool1").predict_on_batch(page[None])[0]
    stride = output_grid(feature_extractor(dense, "pool1"), (451, 451)).stride[0]
    rows, columns = (slice(n // stride, n // stride + len(shown)) for n in (top, left))
    assert relative_error(whole[rows, columns], shown) <= 1e-6
