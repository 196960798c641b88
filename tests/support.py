"""What the tests share: Caffe's answers and how to hold ours against them."""

import pathlib

import keras
import numpy as np
import pytest
from golden_pattern import pattern  # noqa: F401  the goldens' formula arrays
from hypothesis import settings

GOLDENS = pathlib.Path(__file__).parent / "goldens"


def examples(times):
    """Return settings for so many times the examples of the profile in use."""
    return settings(max_examples=times * settings.default.max_examples)


def seeds(few, many):
    """Return numbers for a test's random cases; all after the first few are slow."""
    slow = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(few, many)]
    return [*range(few), *slow]


def every(step, cases):
    """Return cases, all but each `step`-th marked as slow."""
    slow = pytest.mark.slow
    return [
        x if i % step == 0 else pytest.param(x, marks=slow) for i, x in enumerate(cases)
    ]


def golden(name):
    """Return the arrays that real Caffe computed for a case."""
    with np.load(GOLDENS / f"{name}.npz") as arrays:
        return dict(arrays)


def golden_names(*prefixes):
    """Return the cases whose names start with one of the prefixes."""
    return sorted(
        p.stem for p in GOLDENS.glob("*.npz") if p.stem.startswith(tuple(prefixes))
    )


def goldens_with_gradients():
    """Return every case that Caffe's gradients are stored of."""
    return [
        c for c in golden_names("") if any(k.startswith("diff/") for k in golden(c))
    ]


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


def gradients(layer, x, top_diff):
    """Return a layer's or model's gradients, computed by whichever engine runs.

    Args:
        layer: A built layer or model of one input and one output.
        x: The input.
        top_diff: The gradient at the output.

    Returns:
        The gradient at the input, and a list of those at the trainable weights.
    """
    engine = {
        "tensorflow": _tensorflow_gradients,
        "jax": _jax_gradients,
        "torch": _torch_gradients,
    }[keras.config.backend()]
    at_input, at_weights = engine(layer, x, top_diff)
    array = keras.ops.convert_to_numpy
    return array(at_input), [array(gradient) for gradient in at_weights]


def _tensorflow_gradients(layer, x, top_diff):
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    weights = [w.value for w in layer.trainable_weights]
    return tape.gradient(y, [x, weights], tf.constant(top_diff))


def _jax_gradients(layer, x, top_diff):
    import jax

    state = [w.value for w in layer.non_trainable_variables]

    def forward(x, weights):
        return layer.stateless_call(weights, state, x)[0]

    _, pull_back = jax.vjp(forward, x, [w.value for w in layer.trainable_variables])
    return pull_back(top_diff)


def _torch_gradients(layer, x, top_diff):
    import torch

    x = keras.ops.convert_to_tensor(x).requires_grad_()  # where weights are, too
    weights = [w.value for w in layer.trainable_weights]
    at_input, *at_weights = torch.autograd.grad(
        layer(x), [x, *weights], keras.ops.convert_to_tensor(top_diff)
    )
    return at_input, at_weights
