"""What the tests share: Caffe's answers and how to hold ours against them."""

import pathlib

import numpy as np
from golden_pattern import pattern  # noqa: F401  the goldens' formula arrays

GOLDENS = pathlib.Path(__file__).parent / "goldens"


def golden(name):
    """Return the arrays that real Caffe computed for a case."""
    with np.load(GOLDENS / f"{name}.npz") as arrays:
        return dict(arrays)


def golden_names(*prefixes):
    """Return the cases whose names start with one of the prefixes."""
    return sorted(
        p.stem for p in GOLDENS.glob("*.npz") if p.stem.startswith(tuple(prefixes))
    )


def nhwc(array):
    """Return a Caffe blob channels last; blobs that are not 4-D as they are."""
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def nchw(array):
    """Return a channels-last array as a Caffe blob."""
    return np.moveaxis(np.asarray(array), -1, 1) if np.ndim(array) == 4 else array


def relative_error(actual, expected):
    """Return the largest difference as a fraction of the largest expected value.

    Shapes must agree, and NaN only stand where NaN is expected.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    difference = np.nanmax(np.abs(actual - expected), initial=0.0)
    return float(difference / max(np.nanmax(np.abs(expected), initial=0.0), 1e-30))
