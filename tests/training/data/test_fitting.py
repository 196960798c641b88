"""SSD's `resize_param` against OpenCV's own functions."""

import cv2
import numpy as np
import pytest

from keras_caffe_zoo.training.data import Fitting
from keras_caffe_zoo.training.data.boxes import object_rows
from keras_caffe_zoo.training.data.order import Draws

WIDE, TALL = (18, 31), (40, 17)
BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "mirrored": cv2.BORDER_REFLECT101,
    "repeat_nearest": cv2.BORDER_REPLICATE,
}


def image_of(size):
    rng = np.random.default_rng(size[0])
    return rng.integers(0, 256, (*size, 3), dtype="uint8")


def padded(image, size, border, value):
    """Return what the fork makes of a picture that is to fit: by OpenCV."""
    height, width = size
    shape = np.float32(image.shape[1]) / np.float32(image.shape[0])
    if shape > np.float32(width) / np.float32(height):
        inner = int(np.float32(width) / shape), width
    else:
        inner = height, int(shape * np.float32(height))
    out = cv2.resize(image, inner[::-1])
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    bottom, right = height - inner[0] - top, width - inner[1] - left
    return cv2.copyMakeBorder(
        out, top, bottom, left, right, BORDERS[border], value=value
    )


@pytest.mark.parametrize("size", [WIDE, TALL])
@pytest.mark.parametrize("border", list(BORDERS))
def test_a_picture_that_fits_is_padded_as_by_opencv(size, border):
    fitting = Fitting(
        (24, 20),
        "fit_large_size_and_pad",
        pad_mode=border,
        pad_value=(104, 117, 123),
    )
    image = image_of(size)
    wanted = padded(image, (24, 20), border, (104, 117, 123))
    np.testing.assert_array_equal(fitting(image, "linear"), wanted)


@pytest.mark.parametrize("size", [WIDE, TALL])
def test_objects_of_a_padded_picture_lie_where_it_does(size):
    fitting = Fitting((24, 20), "fit_large_size_and_pad")
    rows = fitting.objects(object_rows([1, 2], [[0, 0, 1, 1], [0.5, 0, 1, 0.5]]), size)
    scale = min(24 / size[0], 20 / size[1])
    height, width = scale * size[0], scale * size[1]
    top, left = (24 - height) / 2, (20 - width) / 2
    whole = np.array([left / 20, top / 24, (left + width) / 20, (top + height) / 24])
    np.testing.assert_allclose(rows[0, 3:7], whole, atol=1e-6)
    middle = (whole[:2] + whole[2:]) / 2
    wanted = [middle[0], whole[1], whole[2], middle[1]]
    np.testing.assert_allclose(rows[1, 3:7], wanted, atol=1e-6)


@pytest.mark.parametrize(("size", "wanted"), [(WIDE, (24, 41)), (TALL, (47, 20))])
def test_a_picture_that_covers_the_size_keeps_its_shape(size, wanted):
    fitting = Fitting((24, 20), "fit_small_size")
    image = image_of(size)
    out = cv2.resize(image, wanted[::-1])
    np.testing.assert_array_equal(fitting(image, "linear"), out)
    rows = object_rows([1], [[0.1, 0.2, 0.3, 0.4]])
    np.testing.assert_array_equal(fitting.objects(rows, size), rows)


def test_each_interpolation_is_drawn():
    names = ("linear", "area", "nearest", "cubic", "lanczos4")
    fitting = Fitting((9, 8), interpolations=names)
    drawn = {fitting.draw(Draws(0, position)) for position in range(60)}
    assert drawn == set(names)
    grey = image_of(WIDE)[..., :1]
    assert fitting(grey, "area").shape == (9, 8, 1)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"size": (0, 3)}, "0 x 3"),
        ({"size": (1 << 20, 1 << 20)}, "67,108,864 pixels"),
        ({"mode": "squeeze"}, "squeeze"),
        ({"pad_mode": "wrap"}, "wrap"),
        ({"interpolations": ("best",)}, "best"),
        ({"interpolations": ()}, "interpolations"),
    ],
)
def test_what_cannot_be_made_is_refused(told, said):
    with pytest.raises(ValueError, match=said):
        Fitting(**{"size": (4, 4), **told})


def test_a_picture_that_would_be_too_large_is_refused():
    ribbon = np.zeros((1, 4000, 1), "uint8")
    with pytest.raises(ValueError, match="300 x 1200000"):
        Fitting((300, 300), "fit_small_size")(ribbon, "linear")
    with pytest.raises(ValueError, match="pad_value|channels"):
        Fitting((9, 9), "fit_large_size_and_pad", pad_value=(1, 2))(
            np.zeros((3, 9, 3), "uint8"), "linear"
        )
