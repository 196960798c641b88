"""Caffe's rules around the solvers, against NumPy."""

import keras
import numpy as np
import pytest
from support import every

from keras_caffe_zoo.training import (
    CaffeAdaDelta,
    CaffeAdaGrad,
    CaffeAdam,
    CaffeRMSProp,
    CaffeSGD,
    LearningRatePolicy,
)

RNG = np.random.default_rng(7)
X = RNG.standard_normal((24, 5)).astype("float32")
Y = RNG.standard_normal((24, 3)).astype("float32")
START = [
    RNG.standard_normal((5, 3)).astype("float32"),
    RNG.standard_normal(3).astype("float32"),
]


def linear_model(optimizer):
    """y = x w + b with a loss of sum((y - t) ^ 2) / (2 N)."""
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, name="fc")])
    model.set_weights(START)

    def half_squares(target, y):
        return keras.ops.sum(keras.ops.square(y - target), axis=-1) / 2

    model.compile(optimizer, half_squares)
    return model


def gradients(weights, x, y):
    w, b = weights
    error = (x @ w + b - y) / len(x)
    return [x.T @ error, error.sum(0)]


def caffe_sgd(passes, iterations, rate, *, clip=None, decay=0.0, l1=False, **options):
    """Caffe's SGD in float64: clip the sum, divide, decay, multiply, keep momentum."""
    momentum = options.get("momentum", 0.0)
    lr_mult = options.get("lr_mult", (1, 1))
    decay_mult = options.get("decay_mult", (1, 1))
    weights = [w.astype("float64") for w in START]
    history = [np.zeros_like(w) for w in weights]
    batch = len(X) // passes
    for t in range(iterations):
        sums = [np.zeros_like(w) for w in weights]
        for i in range(passes):
            rows = slice(i * batch, (i + 1) * batch)
            found = gradients(weights, X[rows], Y[rows])
            for total, g in zip(sums, found, strict=True):
                total += g
        for total, mult in zip(sums, lr_mult, strict=True):
            total *= mult != 0
        norm = np.sqrt(sum((g**2).sum() for g in sums))
        if clip is not None and norm > clip:
            sums = [g * clip / norm for g in sums]
        for i, (w, g) in enumerate(zip(weights, sums, strict=True)):
            g = g / passes
            g = g + decay * decay_mult[i] * (np.sign(w) if l1 else w)
            history[i] = momentum * history[i] + rate(t) * lr_mult[i] * g
            w -= history[i]
    return weights


def train(optimizer, passes, iterations):
    model = linear_model(optimizer)
    batch = len(X) // passes
    for _ in range(iterations):
        for i in range(passes):
            rows = slice(i * batch, (i + 1) * batch)
            model.train_on_batch(X[rows], Y[rows])
    return model


def assert_weights(model, expected):
    for actual, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_iter_size_clips_the_sum_and_averages(passes, clip):
    policy = LearningRatePolicy("step", 0.1, gamma=0.5, stepsize=2)
    options = {}
    if passes > 1:
        options["gradient_accumulation_steps"] = passes
    if clip:
        options["global_clipnorm"] = clip / passes
    optimizer = CaffeSGD(policy, momentum=0.9, weight_decay=0.01, **options)
    model = train(optimizer, passes, 7)
    expected = caffe_sgd(
        passes,
        7,
        lambda t: 0.1 * 0.5 ** (t // 2),
        clip=clip,
        decay=0.01,
        momentum=0.9,
    )
    assert_weights(model, expected)
    assert int(model.optimizer.iterations) == 7
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 * 0.5**3)


@pytest.mark.parametrize("regularization", ["L2", "L1"])
def test_multipliers_reach_rate_and_decay(regularization):
    optimizer = CaffeSGD(
        0.05,
        momentum=0.5,
        weight_decay=0.02,
        regularization=regularization,
        multipliers={"fc/kernel": (0.5, 3), "fc/bias": (2, 0)},
    )
    model = train(optimizer, 1, 6)
    expected = caffe_sgd(
        1,
        6,
        lambda t: 0.05,
        decay=0.02,
        l1=regularization == "L1",
        momentum=0.5,
        lr_mult=(0.5, 2),
        decay_mult=(3, 0),
    )
    assert_weights(model, expected)


def test_a_frozen_parameter_stays_and_is_not_counted_in_clipping():
    optimizer = CaffeSGD(
        0.05,
        global_clipnorm=0.2,
        weight_decay=0.1,
        multipliers={"fc/kernel": (0, 1)},
    )
    model = train(optimizer, 1, 4)
    expected = caffe_sgd(1, 4, lambda t: 0.05, clip=0.2, decay=0.1, lr_mult=(0, 1))
    np.testing.assert_array_equal(model.get_weights()[0], START[0])
    assert_weights(model, expected)


OPTIMIZERS = {
    "sgd": lambda **o: CaffeSGD(0.1, momentum=0.9, **o),
    "nesterov": lambda **o: CaffeSGD(0.1, momentum=0.9, nesterov=True, **o),
    "adagrad": lambda **o: CaffeAdaGrad(0.1, **o),
    "rmsprop": lambda **o: CaffeRMSProp(0.01, **o),
    "adadelta": lambda **o: CaffeAdaDelta(1.0, rho=0.9, epsilon=1e-4, **o),
    "adam": lambda **o: CaffeAdam(0.05, **o),
}


@pytest.mark.parametrize("kind", every(2, OPTIMIZERS))
def test_a_saved_model_goes_on_where_it_was(kind, tmp_path):
    rules = {"multipliers": {"fc/bias": (2, 0)}, "weight_decay": 0.01}
    model = train(OPTIMIZERS[kind](**rules), 1, 3)
    model.compile(model.optimizer, "mse")
    model.save(tmp_path / "m.keras")
    twin = keras.models.load_model(tmp_path / "m.keras")
    assert twin.optimizer.multipliers == {"fc/bias": (2.0, 0.0)}
    assert int(twin.optimizer.iterations) == 3
    for net in (model, twin):
        for _ in range(3):
            net.train_on_batch(X, Y)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_rate_that_is_a_number_can_be_set():
    model = train(CaffeSGD(0.1), 1, 1)
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.train_on_batch(X, Y)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_multipliers_of_no_parameter_are_refused():
    with pytest.raises(ValueError, match="fc/kernal"):
        train(CaffeSGD(0.1, multipliers={"fc/kernal": (1, 1)}), 1, 1)


def test_an_unknown_regularization_is_refused():
    with pytest.raises(ValueError, match="L3"):
        CaffeSGD(0.1, regularization="L3")


def test_rmsprop_knows_no_momentum():
    with pytest.raises(ValueError, match="momentum"):
        CaffeRMSProp(0.1, momentum=0.9)
