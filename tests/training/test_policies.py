"""Learning rate policies against Caffe's formulas in NumPy.

Caffe's fields are float32, and `poly` takes 1 - t / max_iter in float32.
"""

import math

import keras
import numpy as np
import pytest

from keras_caffe_zoo.training import LearningRatePolicy

F = np.float32
FORMULAS = {
    "fixed": ({}, lambda t: 1.0),
    "step": ({"gamma": 0.1, "stepsize": 30}, lambda t: 0.1 ** (t // 30)),
    "exp": ({"gamma": 0.999}, lambda t: float(F(0.999)) ** t),
    "inv": ({"gamma": 1e-4, "power": 0.75}, lambda t: (1 + 1e-4 * t) ** -0.75),
    "multistep": (
        {"gamma": 0.5, "stepvalue": [10, 25, 1000]},
        lambda t: 0.5 ** sum(t >= v for v in (10, 25, 1000)),
    ),
    "poly": (
        {"power": 0.5, "max_iter": 5000},
        lambda t: (F(1) - F(t) / F(5000)) ** 0.5,
    ),
    "sigmoid": (
        {"gamma": -0.01, "stepsize": 500},
        lambda t: 1 / (1 + math.exp(0.01 * (t - 500))),
    ),
}
STEPS = (0, 1, 9, 10, 11, 29, 30, 59, 60, 499, 1000, 4999)


@pytest.mark.parametrize("policy", FORMULAS)
def test_rates_are_caffes(policy):
    options, formula = FORMULAS[policy]
    schedule = LearningRatePolicy(policy, 0.01, **options)
    rates = [float(schedule(t)) for t in STEPS]
    np.testing.assert_allclose(
        rates, [0.01 * formula(t) for t in STEPS], rtol=1e-5, atol=1e-38
    )


@pytest.mark.parametrize("policy", FORMULAS)
def test_a_policy_saves_and_loads(policy):
    options, _ = FORMULAS[policy]
    schedule = LearningRatePolicy(policy, 0.01, **options)
    config = keras.optimizers.schedules.serialize(schedule)
    twin = keras.optimizers.schedules.deserialize(config)
    assert isinstance(twin, LearningRatePolicy)
    assert twin.get_config() == schedule.get_config()
    assert float(twin(29)) == float(schedule(29))


def test_poly_ends_at_zero():
    schedule = LearningRatePolicy("poly", 1.0, power=2, max_iter=10)
    assert [float(schedule(t)) for t in (10, 11, 100)] == [0, 0, 0]


def caffes_steps(values, iterations):
    """Take steps as Caffe's solver does: at most one an iteration, in order."""
    taken, done = [], 0
    for t in range(iterations):
        if done < len(values) and t >= values[done]:
            done += 1
        taken.append(done)
    return taken


@pytest.mark.parametrize("values", [[], [20, 10], [3, 3, 4], [0, -1, 5], [7, 2, 30, 9]])
def test_steps_are_taken_in_order_and_one_at_a_time(values):
    schedule = LearningRatePolicy("multistep", 1.0, gamma=0.5, stepvalue=values)
    rates = [float(schedule(t)) for t in range(35)]
    assert rates == [0.5**done for done in caffes_steps(values, 35)]


@pytest.mark.parametrize(
    ("policy", "options", "rates"),
    [
        ("step", {"stepsize": 2}, [0.1, 0.1, 0, 0]),
        ("exp", {}, [0.1, 0, 0, 0]),
        ("inv", {"gamma": 0.5}, [0.1] * 4),
        ("inv", {"power": 2}, [0.1] * 4),
        ("multistep", {"stepvalue": [1]}, [0.1, 0, 0, 0]),
        ("multistep", {"gamma": 0.5}, [0.1] * 4),
        ("poly", {"max_iter": 4}, [0.1] * 4),
        ("sigmoid", {}, [0.05] * 4),
    ],
)
def test_what_nobody_gives_is_0_as_in_caffe(policy, options, rates):
    schedule = LearningRatePolicy(policy, 0.1, **options)
    found = [float(schedule(t)) for t in range(4)]
    np.testing.assert_allclose(found, rates, rtol=1e-6)


def test_a_rate_of_zero_stays_so():
    schedule = LearningRatePolicy("step", 0.0, gamma=0.1, stepsize=2)
    assert [float(schedule(t)) for t in (0, 1, 5)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("policy", "options", "words"),
    [
        ("plateau", {}, "plateau"),
        ("step", {"gamma": 0.1}, "stepsize above 0"),
        ("step", {"gamma": 0.1, "stepsize": 0}, "stepsize above 0"),
        ("poly", {"power": 1, "max_iter": 0}, "max_iter above 0"),
        ("exp", {"gamma": math.nan}, "finite gamma"),
    ],
)
def test_what_a_policy_needs_is_asked_for(policy, options, words):
    with pytest.raises(ValueError, match=words):
        LearningRatePolicy(policy, 0.01, **options)
