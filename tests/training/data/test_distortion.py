"""SSD's distortion of colours against OpenCV, in the arithmetic of its scalar code."""

import annotated_reference as reference
import cv2
import numpy as np
import pytest
from annotated_files import DISTORT

from keras_caffe_zoo.training.data import Distortion
from keras_caffe_zoo.training.data.distortion import (
    bgr_to_hsv,
    distorted,
    hsv_to_bgr,
    rescaled,
)
from keras_caffe_zoo.training.data.order import Draws

SSD = {**DISTORT, "random_order_prob": 0.3}


def colours(step, first=0):
    """Return colours of a grid in all three channels, `(N, 1, 3)`."""
    levels = np.arange(first, 256, step, dtype="uint8")
    return np.stack(np.meshgrid(*[levels] * 3, indexing="ij"), -1).reshape(-1, 1, 3)


def check_colours(all_):
    hsv = bgr_to_hsv(all_)
    np.testing.assert_array_equal(hsv, cv2.cvtColor(all_, cv2.COLOR_BGR2HSV))
    np.testing.assert_array_equal(hsv_to_bgr(all_), reference.to_bgr(all_))


@pytest.mark.parametrize(("step", "first"), [(5, 0), (7, 3)])
def test_colours_go_to_hsv_and_back_as_opencvs(step, first):
    check_colours(colours(step, first))


@pytest.mark.slow
def test_every_colour_goes_to_hsv_and_back_as_opencvs():
    check_colours(colours(1))


def test_levels_are_rescaled_as_opencvs():
    levels = np.arange(256, dtype="uint8")[None]
    rng = np.random.default_rng(0)
    for factor, offset in zip(
        rng.uniform(0, 2, 50), rng.uniform(0, 40, 50), strict=True
    ):
        wanted = cv2.convertScaleAbs(levels, alpha=factor, beta=offset)
        np.testing.assert_array_equal(rescaled(levels, factor, offset), wanted)
    np.testing.assert_array_equal(rescaled(levels, 1, -32)[0, :33], np.zeros(33))


def test_pictures_are_distorted_as_by_opencv():
    distortion = Distortion(**SSD)
    rng = np.random.default_rng(0)
    seen = set()
    for position in range(60):
        image = rng.integers(0, 256, (5, 7, 3), dtype="uint8")
        steps = distortion.draw(Draws(2, position))
        wanted = reference.distorted(image, SSD, reference.Chance(2, position))
        np.testing.assert_array_equal(distorted(image, steps), wanted)
        seen.add(tuple(name for name, _ in steps))
    assert len(seen) > 20
    assert ("brightness", "hue", "contrast") in seen
    assert any(names[:2] == ("brightness", "contrast") for names in seen)


def test_without_a_chance_nothing_is_distorted():
    assert Distortion().draw(Draws(0, 0)) == ()
    image = np.zeros((2, 2, 1), "uint8")
    assert distorted(image, ()) is image
    assert distorted(image, (("brightness", 9.0),)).max() == 9


def test_what_cannot_be_distorted_is_refused():
    with pytest.raises(ValueError, match="colour picture"):
        distorted(np.zeros((2, 2, 1), "uint8"), (("hue", 4.0),))
    with pytest.raises(ValueError, match="float32"):
        distorted(np.zeros((2, 2, 3), "float32"), ())
    with pytest.raises(ValueError, match="hue_delta"):
        Distortion(hue_delta=-1)
    with pytest.raises(ValueError, match="contrast_lower"):
        Distortion(contrast_lower=2, contrast_upper=1)
