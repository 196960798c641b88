"""OpenCV's arithmetic of resizing, held against OpenCV itself."""

import cv2
import numpy as np
import pytest

from keras_caffe_zoo.preprocessing.opencv import INTERPOLATIONS, opencv_resize

FLAGS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos4": cv2.INTER_LANCZOS4,
}


@pytest.fixture
def without_ipp():
    """OpenCV's own arithmetic, which is not that of Intel's library."""
    used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    yield
    cv2.ipp.setUseIPP(used)


def cases(count, seed, longest):
    """Yield images and sizes: any, multiples of each other, and halves."""
    rng = np.random.default_rng(seed)
    for case in range(count):
        old, new = rng.integers(1, longest + 1, 2), rng.integers(1, longest + 1, 2)
        if case % 7 == 0:
            old = new * rng.integers(1, 5, 2)
        if case % 11 == 0:
            old = 2 * new
        image = rng.integers(0, 256, (*old, (1, 3, 4)[case % 3]), dtype="uint8")
        yield image, tuple(map(int, new))


def with_opencv(image, size, interpolation):
    found = cv2.resize(image, size[::-1], interpolation=FLAGS[interpolation])
    return found.reshape(*size, image.shape[2])


def differing(count, seed, longest, interpolation="linear") -> int:
    """Return how many of some images are not OpenCV's, byte by byte."""
    return sum(
        not np.array_equal(
            opencv_resize(image, size, interpolation),
            with_opencv(image, size, interpolation),
        )
        for image, size in cases(count, seed, longest)
    )


def test_bilinear_bytes_are_opencvs():
    assert differing(300, 0, 90) == 0


@pytest.mark.slow
def test_bilinear_bytes_are_opencvs_at_ten_thousand_sizes():
    assert differing(10_000, 1, 400) == 0


@pytest.mark.slow
@pytest.mark.parametrize("optimized", [True, False])
def test_opencvs_vectors_compute_what_its_scalars_do(optimized):
    used = cv2.useOptimized()
    cv2.setUseOptimized(optimized)
    try:
        assert differing(1000, 2, 300) == 0
    finally:
        cv2.setUseOptimized(used)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_bytes_of_every_interpolation_are_opencvs(without_ipp, interpolation):
    assert differing(60, 3, 70, interpolation) == 0


@pytest.mark.slow
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_bytes_of_every_interpolation_are_opencvs_at_many_sizes(
    without_ipp, interpolation
):
    assert differing(2000, 4, 300, interpolation) == 0


def test_cubic_of_intels_library_is_within_a_level():
    for image, size in cases(60, 5, 70):
        found = opencv_resize(image, size, "cubic").astype(int)
        assert np.abs(found - with_opencv(image, size, "cubic")).max() <= 1


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_floats_are_opencvs_to_rounding(without_ipp, interpolation):
    for image, size in cases(30, 6, 70):
        image = image.astype("float32") - 128
        found = opencv_resize(image, size, interpolation)
        assert found.dtype == np.float32
        wanted = with_opencv(image, size, interpolation)
        np.testing.assert_allclose(found, wanted, atol=2e-4)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(40, 24), (9, 80), (60, 48), (120, 96)])
def test_a_box_is_cut_out_of_the_whole(interpolation, size):
    image = np.random.default_rng(7).integers(0, 256, (120, 96, 3), dtype="uint8")
    box = np.s_[3:9, 5:22]
    np.testing.assert_array_equal(
        opencv_resize(image, size, interpolation, box=box),
        opencv_resize(image, size, interpolation)[box],
    )


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_plane_has_no_axis_of_channels(interpolation):
    image = np.random.default_rng(8).integers(0, 256, (20, 30), dtype="uint8")
    np.testing.assert_array_equal(
        opencv_resize(image, (31, 11), interpolation),
        opencv_resize(image[..., None], (31, 11), interpolation)[..., 0],
    )


def test_an_image_of_the_size_is_the_image_itself():
    image = np.zeros((4, 5, 3), "uint8")
    assert opencv_resize(image, (4, 5)) is image


def test_rows_are_computed_in_parts():
    image = np.random.default_rng(9).integers(0, 256, (3, 9000, 3), dtype="uint8")
    for size in ((40, 9001), (2, 30_000)):
        np.testing.assert_array_equal(
            opencv_resize(image, size), with_opencv(image, size, "linear")
        )


@pytest.mark.parametrize(
    ("image", "size", "interpolation", "message"),
    [
        (np.zeros((2, 2), "int32"), (1, 1), "linear", "uint8 or float32; .*int32"),
        (np.zeros(4, "uint8"), (1, 1), "linear", r"shape \(4,\)"),
        (np.zeros((0, 4), "uint8"), (1, 1), "linear", "with pixels"),
        (np.zeros((4, 4), "uint8"), (0, 1), "linear", r"size \(0, 1\)"),
        (np.zeros((4, 4), "uint8"), (1, 1), "sinc", "nearest, linear, .*'sinc'"),
    ],
)
def test_what_cannot_be_resized_is_refused(image, size, interpolation, message):
    with pytest.raises(ValueError, match=message):
        opencv_resize(image, size, interpolation)
