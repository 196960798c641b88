"""sRGB and Lab against others who compute them."""

import cv2
import numpy as np
import pytest

from keras_caffe_zoo.arithmetic.colours import lab_of, lightness_of, rgb_of

RGB = np.random.default_rng(0).integers(0, 256, (60, 70, 3), "uint8")
DARK = RGB // 12  # where both curves are straight


@pytest.mark.parametrize("rgb", [RGB, DARK], ids=["all", "dark"])
def test_lab_is_opencvs(rgb):
    expected = cv2.cvtColor(rgb.astype("float32") / 255, cv2.COLOR_RGB2Lab)
    np.testing.assert_allclose(lab_of(rgb), expected, atol=0.4)  # it reads a table
    np.testing.assert_allclose(lightness_of(rgb), lab_of(rgb)[..., 0], atol=1e-4)


# Bruce Lindbloom's calculator and colour.science, sRGB of D65, to two places.
@pytest.mark.parametrize(
    "rgb, lab",
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0, 0)),
    ],
)
def test_lab_is_what_was_published(rgb, lab):
    found = lab_of(np.array(rgb, "uint8"))
    np.testing.assert_allclose(found, lab, atol=0.03)


def test_colours_go_there_and_back():
    every = np.stack(np.meshgrid(*[np.arange(0, 256, 5)] * 3), -1).astype("uint8")
    np.testing.assert_array_equal(rgb_of(lab_of(every)), every)


def test_colours_that_srgb_has_not_are_at_its_border():
    found = rgb_of([[50, 120, 120], [100, -90, 90], [0, 30, -30], [110, 0, 0]])
    assert found.dtype == "uint8"
    assert (found[0] == [229, 0, 0]).sum() >= 2
    np.testing.assert_array_equal(found[3], [255, 255, 255])
