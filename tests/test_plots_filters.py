"""Pictures of filters and activations: each pixel is the number it stands for."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo import demo, feature_extractor
from keras_caffe_zoo.layers import CaffeConv2D
from keras_caffe_zoo.plots import show_activations, show_filters


@pytest.fixture(scope="module")
def model():
    return demo.load()


@pytest.fixture(scope="module")
def windows():
    return demo.windows(demo.held_out_digits()[0][:2])


def drawn(figure):
    """Return the one picture of a figure, 0 for black and 1 for white."""
    (image,) = figure.axes[0].images
    assert image.get_clim() == (0, 1)
    return np.asarray(image.get_array())


def convolution(channels, filters, size=2, name="conv"):
    """Return a net of one convolution with known filters."""
    inputs = keras.Input((8, 9, channels))
    layer = CaffeConv2D(filters, size, name=name, data_format="channels_last")
    model = keras.Model(inputs, layer(inputs))
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal(layer.kernel.shape).astype("float32")
    layer.kernel.assign(kernel)
    return model, kernel


def scaled(values):
    return (values - values.min()) / (values.max() - values.min())


def test_filters_of_three_channels_are_drawn_in_rgb():
    model, kernel = convolution(3, 5)
    picture = drawn(show_filters(model, "conv"))
    expected = scaled(kernel)
    assert picture.shape == (5, 8, 3)  # 2 rows of 3 filters of 2 x 2, lines between
    for index in range(5):
        row, column = divmod(index, 3)
        tile = picture[3 * row : 3 * row + 2, 3 * column : 3 * column + 2]
        bgr = expected[..., index]
        np.testing.assert_allclose(tile[..., 0], bgr[..., 2], atol=1e-6)
        np.testing.assert_allclose(tile[..., 1], bgr[..., 1], atol=1e-6)
        np.testing.assert_allclose(tile[..., 2], bgr[..., 0], atol=1e-6)
    np.testing.assert_array_equal(picture[2], 1)  # a white line
    np.testing.assert_array_equal(picture[3:, 6:], 1)  # where there is no filter


def test_filters_of_many_channels_are_columns_up_to_a_limit():
    model, kernel = convolution(7, 6, size=3)
    figure = show_filters(model, "conv", limit=4)
    expected, picture = scaled(kernel[:, :, :4, :4]), drawn(figure)
    assert picture.shape == (15, 15)
    for channel, index in np.ndindex(4, 4):
        tile = picture[4 * channel : 4 * channel + 3, 4 * index : 4 * index + 3]
        np.testing.assert_allclose(tile, expected[:, :, channel, index], atol=1e-6)
    title = figure.axes[0].get_title()
    assert "first 4 of 6 filters" in title and "first 4 of 7 input channels" in title


def test_each_filter_may_have_a_scale_of_its_own():
    model, kernel = convolution(1, 3)
    weak = kernel * np.array([1, 1e-3, 0], "float32")
    model.get_layer("conv").kernel.assign(weak)
    together = drawn(show_filters(model, "conv"))
    apart = drawn(show_filters(model, "conv", share_scale=False))
    assert together.shape == apart.shape == (2, 8)
    assert np.ptp(together[:, 3:5]) < 0.01
    np.testing.assert_allclose(apart[:, 3:5], scaled(kernel[:, :, 0, 1]), atol=1e-4)
    np.testing.assert_array_equal(apart[:, 6:], 0.5)  # all zeros: grey, no division


def test_filters_of_the_demo_and_of_its_convolutional_form(model):
    assert drawn(show_filters(model, "conv1")).shape == (5 * 6 - 1, 5 * 6 - 1)
    dense = demo.load(fully_convolutional=True)
    twin = drawn(show_filters(dense, "fc4"))  # drawn is fc4-conv
    assert twin.shape == (48 * 4 - 1, 48 * 4 - 1)


def test_names_with_a_slash_are_caffes():
    model, _ = convolution(1, 2, name="inception>1x1")
    assert "inception/1x1" in show_filters(model, "inception/1x1").axes[0].get_title()
    show_activations(model, np.zeros((8, 9, 1)), "inception/1x1")


@pytest.mark.parametrize("name", ["conv9", "fc4", "relu1"])
def test_what_is_no_convolution_is_refused(model, name):
    with pytest.raises(ValueError, match=f"has no convolution '{name}'"):
        show_filters(model, name)


def test_activations_are_caffes_blob_after_its_relu(model, windows):
    picture = drawn(show_activations(model, windows, "conv1"))
    blob = feature_extractor(model, "conv1").predict(windows[:1], verbose=0)[0]
    assert blob.min() == 0  # not the convolution's own output
    assert picture.shape == (5 * 29 - 1, 5 * 29 - 1)
    tile = picture[29 : 29 + 28, :28]
    np.testing.assert_allclose(tile, blob[..., 5] / blob.max(), atol=1e-6)


def test_one_image_and_the_first_of_a_batch_are_the_same(model, windows):
    one = drawn(show_activations(model, windows[0], "pool3", limit=9))
    batch = drawn(show_activations(model, windows, "pool3", limit=9))
    np.testing.assert_array_equal(one, batch)
    assert one.shape == (11, 11)


def test_a_vector_is_plotted_with_its_distribution(model, windows):
    figure = show_activations(model, windows, "fc4")
    values = feature_extractor(model, "fc4").predict(windows[:1], verbose=0)[0]
    above, below = figure.axes
    np.testing.assert_array_equal(above.lines[0].get_ydata(), values)
    counted = sum(bar.get_height() for bar in below.patches)
    assert counted == (values > 0).sum()


def test_unknown_blobs_and_other_shapes_are_refused(model, windows):
    with pytest.raises(
        ValueError, match="no blob or layer 'pool9'. Did you mean 'pool3'"
    ):
        show_activations(model, windows, "pool9")
    inputs = keras.Input((4, 4, 2))
    rows = keras.Model(inputs, keras.layers.Reshape((8, 4), name="rows")(inputs))
    with pytest.raises(ValueError, match="map .* or a vector .*'rows'.*8, 4"):
        show_activations(rows, np.zeros((4, 4, 2)), "rows")


def test_pictures_are_saved(model, windows, tmp_path):
    show_filters(model, "conv2", output=tmp_path / "filters.png")
    show_activations(model, windows, "fc4", output=str(tmp_path / "fc4.png"))
    for name in ("filters.png", "fc4.png"):
        picture = np.asarray(Image.open(tmp_path / name).convert("L"))
        assert min(picture.shape) > 100 and picture.std() > 10
