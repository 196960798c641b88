"""Layouts against the sums they stand for, index by index."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_caffe_zoo.rules import layout

SIDES = st.tuples(*[st.integers(1, 4)] * 4)


def numbers(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


@given(SIDES)
def test_a_conv_kernel_has_every_weight_at_its_place(shape):
    weight = numbers(*shape)
    kernel = layout.conv_kernel(weight)
    for o, i, row, column in np.ndindex(shape):
        assert kernel[row, column, i, o] == weight[o, i, row, column]
    np.testing.assert_array_equal(layout.conv_weight(kernel), weight)


@pytest.mark.parametrize("shape", [(4, 3, 5), (2, 3, 4, 5, 6)])
def test_convolutions_in_one_and_three_dimensions_come_back(shape):
    weight = numbers(*shape)
    kernel = layout.conv_kernel(weight)
    assert kernel.shape == (*shape[2:], shape[1], shape[0])
    np.testing.assert_array_equal(layout.conv_weight(kernel), weight)


@given(SIDES)
def test_a_dense_kernel_reads_hwc_as_caffe_reads_chw(shape):
    outputs, channels, height, width = shape
    weight = numbers(outputs, channels * height * width)
    blob = np.random.default_rng(0).integers(0, 9, (channels, height, width))
    kernel = layout.dense_kernel(weight, channels)
    np.testing.assert_array_equal(
        np.moveaxis(blob, 0, -1).reshape(-1) @ kernel, weight @ blob.reshape(-1)
    )
    np.testing.assert_array_equal(layout.dense_weight(kernel, channels), weight)


@given(SIDES)
def test_a_dense_kernel_is_the_reshaped_kernel_of_the_same_convolution(shape):
    """Caffe's net surgery reshapes (O, C * H * W) to (O, C, H, W); so may Keras."""
    weight = numbers(*shape)
    dense = layout.dense_kernel(weight.reshape(shape[0], -1), shape[1])
    expected = np.einsum("oihw->hwio", weight)
    np.testing.assert_array_equal(dense.reshape(expected.shape), expected)


@pytest.mark.parametrize(
    ("shape", "target", "fits"),
    [
        ((36, 5), (3, 3, 4, 5), True),
        ((3, 3, 4, 5), (36, 5), True),
        ((36, 5), (36, 5), True),
        ((3, 3, 4, 5), (3, 3, 4, 5), True),
        ((5,), (5,), True),
        ((36, 5), (5, 36), False),
        ((36, 5), (3, 3, 5, 4), False),
        ((35, 5), (3, 3, 4, 5), False),
        ((3, 4, 3, 5), (3, 3, 4, 5), False),
        ((180,), (36, 5), False),
        ((1, 5), (5,), False),
    ],
)
def test_only_a_dense_kernel_and_its_convolution_fit_by_reshape(shape, target, fits):
    assert layout.fits_by_reshape(shape, target) is fits
