"""Caffe's fillers as Keras initializers: their distributions, seeds and files."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_caffe_zoo.layers.initializers import (
    MSRA,
    Bilinear,
    Gaussian,
    PositiveUnitball,
    Xavier,
)

KERNEL = (5, 5, 8, 40)  # 200 weights an output, 1000 an input
DENSE = (300, 50)


def drawn(initializer, shape):
    values = ops.convert_to_numpy(initializer(shape, dtype="float32"))
    assert values.shape == tuple(shape) and values.dtype == "float32"
    return values


def assert_uniform(values, limit):
    assert np.abs(values).max() <= limit
    assert np.abs(values).max() > 0.99 * limit
    assert values.std() == pytest.approx(limit / math.sqrt(3), rel=0.05)
    assert abs(values.mean()) < 0.05 * limit


def assert_normal(values, std, mean=0.0):
    assert values.std() == pytest.approx(std, rel=0.05)
    assert values.mean() == pytest.approx(mean, abs=0.05 * std)
    # Not cut off at two standard deviations, outside of which 4.6 % lie.
    outside = np.mean(np.abs(values - mean) > 2 * std)
    assert 0.03 < outside < 0.06


@pytest.mark.parametrize(
    "shape, norm, n",
    [
        (KERNEL, "fan_in", 200),
        (KERNEL, "fan_out", 1000),
        (KERNEL, "average", 600),
        (DENSE, "fan_in", 300),
        (DENSE, "fan_out", 50),
        (DENSE, "average", 175),
        ((5000,), "fan_in", 1),
        ((5000,), "fan_out", 5000),
        ((5000,), "average", 2500.5),
    ],
)
def test_xavier_and_msra_have_caffes_variance(shape, norm, n):
    assert_uniform(drawn(Xavier(norm, seed=1), shape), math.sqrt(3 / n))
    assert_normal(drawn(MSRA(norm, seed=1), shape), math.sqrt(2 / n))


def test_a_scalar_is_one_weight():
    for initializer in (Xavier(), MSRA(), Gaussian(), PositiveUnitball()):
        assert np.isfinite(drawn(initializer, ()))


def test_gaussian_is_not_truncated():
    assert_normal(drawn(Gaussian(3.0, 0.5, seed=1), KERNEL), 0.5, 3.0)


@pytest.mark.parametrize("seed", [1, "generator"])
def test_sparse_gaussian_keeps_weights_by_the_number_of_outputs(seed):
    seed = keras.random.SeedGenerator(1) if seed == "generator" else seed
    values = drawn(Gaussian(0, 0.5, sparse=10, seed=seed), (400, 50))
    kept = values[values != 0]
    assert kept.size / values.size == pytest.approx(10 / 50, rel=0.05)
    assert_normal(kept, 0.5)  # what is kept does not depend on the value
    assert not drawn(Gaussian(sparse=0), (40, 5)).any()
    assert drawn(Gaussian(sparse=5), (40, 5)).all()


def test_unitball_weights_of_an_output_sum_to_one():
    for shape in (KERNEL, DENSE):
        values = drawn(PositiveUnitball(seed=1), shape)
        np.testing.assert_allclose(values.reshape(-1, shape[-1]).sum(0), 1, rtol=1e-5)
        assert values.min() > 0
        uniform = values / values.reshape(-1, shape[-1]).max(0)
        assert uniform.mean() == pytest.approx(0.5, rel=0.03)
        assert uniform.std() == pytest.approx(12**-0.5, rel=0.03)
    np.testing.assert_array_equal(drawn(PositiveUnitball(), (3,)), 1)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 16])
def test_bilinear_is_caffes_formula_from_every_channel_to_every_other(size):
    factor = math.ceil(size / 2)
    center = (size - 1) / (2 * factor)
    expected = np.zeros((size, size))
    for y, x in np.ndindex(size, size):
        expected[y, x] = (1 - abs(x / factor - center)) * (1 - abs(y / factor - center))
    values = drawn(Bilinear(), (size, size, 2, 3))
    for pair in np.ndindex(2, 3):
        np.testing.assert_allclose(values[(..., *pair)], expected, rtol=1e-6)


INITIALIZERS = [
    Gaussian(1.0, 2.0, 3, seed=4),
    Gaussian(),
    PositiveUnitball(seed=4),
    Xavier("average", seed=4),
    MSRA("fan_out", seed=4),
    Bilinear(),
]


@pytest.mark.parametrize("initializer", INITIALIZERS, ids=lambda x: type(x).__name__)
def test_an_integer_seed_repeats_and_is_saved_with_the_rest(initializer):
    shape = (4, 4, 3, 6)
    config = keras.saving.serialize_keras_object(initializer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(initializer)
    assert again.get_config() == initializer.get_config()
    first = drawn(initializer, shape)
    np.testing.assert_array_equal(first, drawn(initializer, shape))
    if config["config"].get("seed", 4) is not None:
        np.testing.assert_array_equal(first, drawn(again, shape))


@pytest.mark.parametrize("kind", [Gaussian, PositiveUnitball, Xavier, MSRA])
def test_a_seed_generator_gives_other_values_each_time(kind):
    first, second = (keras.random.SeedGenerator(3) for _ in range(2))
    initializer = kind(seed=first)
    values = [drawn(initializer, (4, 4)) for _ in range(2)]
    assert (values[0] != values[1]).all()
    np.testing.assert_array_equal(values[0], drawn(kind(seed=second), (4, 4)))


def test_layers_take_them_and_models_keep_them(tmp_path):
    layer = keras.layers.Conv2D(6, 3, kernel_initializer=MSRA("average", seed=2))
    model = keras.Sequential([keras.Input((5, 5, 2)), layer])
    std = math.sqrt(2 / ((18 + 54) / 2))
    expected = drawn(MSRA("average", seed=2), (3, 3, 2, 6))
    assert expected.std() == pytest.approx(std, rel=0.3)
    np.testing.assert_array_equal(layer.get_weights()[0], expected)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras").layers[0]
    assert again.kernel_initializer.variance_norm == "average"


def test_what_suits_no_filler_is_refused():
    with pytest.raises(ValueError, match="'fan_avg'"):
        Xavier("fan_avg")
    with pytest.raises(ValueError, match="Expected `std`"):
        Gaussian(std=-1.0)
    with pytest.raises(ValueError, match="Expected `std`.*-2"):
        Gaussian(sparse=-2)
    with pytest.raises(ValueError, match="at most 5 outputs.*received: 6"):
        Gaussian(sparse=6)((40, 5))
    for shape in ((3, 5), (3, 4, 1, 1), (3, 3, 3, 1, 1)):
        with pytest.raises(ValueError, match="square window"):
            Bilinear()(shape)
