"""Which pixels a map's cells look at, proved by changing pixels."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_caffe_zoo import caffenet, vgg_cnn_s
from keras_caffe_zoo.dense import output_grid
from keras_caffe_zoo.layers import CaffeConv2D, CaffeLRN, CaffePool2D
from keras_caffe_zoo.models._classifier import ClassifierDesign


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 8)


@pytest.mark.parametrize(
    ("build", "window", "stride", "map_shape"),
    [(caffenet, 227, 32, (8, 8)), (vgg_cnn_s, 224, 36, (7, 7))],
)
def test_published_nets_have_the_boxes_of_their_crops(build, window, stride, map_shape):
    model = build(weights=None, fully_convolutional=True)
    grid = output_grid(model, (451, 451))
    assert grid.shape == map_shape
    assert grid.stride == (stride, stride)
    assert grid.box(0, 0)[:2] == (0, 0)
    # The last pooling of VGG-CNN-S hangs over the crop's end by some pixels.
    assert window <= grid.window[0] <= window + stride
    if build is caffenet:
        assert grid.box(2, 3) == (64, 96, 64 + 227, 96 + 227)
    assert output_grid(model, (window, window)).shape == (1, 1)


def positive(model):
    """Give a net positive weights, so that no change cancels or is cut by a ReLU."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1, w.shape) for w in model.get_weights()])
    return model


def averaging_net():
    """Every kind of window; averages, so that each pixel of a field counts."""
    options = {"data_format": "channels_last"}
    x = inputs = keras.Input((None, None, 2))
    x = CaffeConv2D(3, (3, 5), strides=(2, 1), pad=(1, 0), **options)(x)
    x = CaffePool2D("ave", 3, 2, **options)(x)
    left = CaffeConv2D(3, 3, pad=2, dilation_rate=2, **options)(x)
    right = CaffePool2D("ave", 3, 1, pad=1, **options)(x)
    x = layers.Add()([left, right])
    x = CaffeLRN(3, norm_region="within_channel", **options)(x)
    x = layers.Conv2D(2, 2, padding="same")(x)
    return positive(keras.Model(inputs, x))


def changed_cells(model, image, pixel):
    """Return which cells of the map differ when one pixel does."""
    other = image.copy()
    other[pixel] += 50
    maps = model.predict(np.stack([image, other]), verbose=0)
    return np.abs(maps[0] - maps[1]).max(-1) > 0


@pytest.mark.parametrize("pixel", [(0, 0), (20, 17), (33, 40), (46, 52), (12, 30)])
def test_a_pixel_changes_exactly_the_cells_whose_field_it_is_in(pixel):
    model = averaging_net()
    image = np.random.default_rng(1).uniform(1, 2, (47, 53, 2)).astype("float32")
    grid = output_grid(model, image.shape)
    changed = changed_cells(model, image, pixel)
    assert changed.shape == grid.shape
    for row, column in np.ndindex(*grid.shape):
        top, left, bottom, right = grid.field_box(row, column)
        inside = top <= pixel[0] < bottom and left <= pixel[1] < right
        assert changed[row, column] == inside, (row, column)


def test_without_padding_box_and_field_are_the_same():
    x = inputs = keras.Input((None, None, 1))
    x = layers.Conv2D(2, 5, strides=2)(x)
    x = layers.MaxPooling2D(2)(x)
    grid = output_grid(keras.Model(inputs, x), (40, 40))
    assert grid.window == grid.field == (7, 7)
    assert grid.stride == (4, 4)
    assert grid.box(1, 2) == grid.field_box(1, 2) == (4, 8, 11, 15)


def test_windows_of_rectangles_are_followed_along_each_axis():
    x = inputs = keras.Input((5, 40, 1))
    x = layers.Conv2D(1, (3, 9), strides=(1, 3))(x)
    grid = output_grid(keras.Model(inputs, x), (5, 40))
    assert (grid.shape, grid.window, grid.stride) == ((3, 11), (3, 9), (1, 3))


@pytest.mark.parametrize("size", [20, 21, 22, 23])
def test_uneven_padding_of_keras_is_followed(size):
    x = inputs = keras.Input((size, size, 1))
    x = layers.Conv2D(1, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.AveragePooling2D(3, 3, padding="same")(x)
    model = positive(keras.Model(inputs, x))
    image = np.ones((size, size, 1), "float32")
    grid = output_grid(model, image.shape)
    for pixel in [(0, 0), (size // 2, size // 2), (size - 1, 3)]:
        changed = changed_cells(model, image, pixel)
        for row, column in np.ndindex(*grid.shape):
            top, left, bottom, right = grid.field_box(row, column)
            inside = top <= pixel[0] < bottom and left <= pixel[1] < right
            assert changed[row, column] == inside


def test_nets_without_a_map_are_refused():
    with pytest.raises(ValueError, match="ayer 'fc6_flatten'"):
        output_grid(caffenet(weights=None), (227, 227))


def test_unknown_layers_are_refused():
    x = inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, layers.UpSampling2D(name="upwards")(x))
    with pytest.raises(ValueError, match="'upwards'"):
        output_grid(model, (8, 8))


def test_joined_maps_look_at_the_union_of_their_fields():
    x = inputs = keras.Input((16, 16, 1))
    a = layers.Conv2D(1, 3, strides=2, padding="same")(x)
    b = layers.MaxPooling2D(2)(layers.Conv2D(1, 3, padding="same")(x))
    grid = output_grid(keras.Model(inputs, layers.Add()([a, b])), (16, 16))
    assert grid.field == (4, 4)
    assert grid.field_offset == (-1, -1)


def test_maps_of_different_strides_cannot_be_joined():
    x = inputs = keras.Input((16, 16, 1))
    a, b = layers.MaxPooling2D(2)(x), layers.Conv2D(1, 9)(x)
    model = keras.Model(inputs, layers.Add(name="sum")([a, b]))
    with pytest.raises(ValueError, match="same size and stride for layer 'sum'"):
        output_grid(model, (16, 16))
