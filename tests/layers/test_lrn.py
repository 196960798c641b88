"""CaffeLRN against the formula in NumPy loops, in every form a layer is used in."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from support import examples, gradients, relative_error

from keras_caffe_zoo.layers import CaffeLRN

REGIONS = ("across_channels", "within_channel")
CHECK = examples(2)


def reference(x, local_size, alpha, beta, k, norm_region):
    """Caffe's formula in float64, one window at a time; `x` is (N, H, W, C)."""
    x = x.astype("float64")
    half, sums = local_size // 2, np.zeros(x.shape)
    if norm_region == "across_channels":
        for c in range(x.shape[3]):
            window = x[..., max(0, c - half) : c + half + 1]
            sums[..., c] = (window**2).sum(axis=-1)
        return x * (k + alpha / local_size * sums) ** -beta
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            rows = slice(max(0, row - half), row + half + 1)
            columns = slice(max(0, column - half), column + half + 1)
            sums[:, row, column] = (x[:, rows, columns] ** 2).sum(axis=(1, 2))
    return x * (1 + alpha / local_size**2 * sums) ** -beta


def apply(layer, x):
    """Run a layer on NHWC data, whatever its own format."""
    if layer.data_format == "channels_last":
        return ops.convert_to_numpy(layer(x))
    return np.moveaxis(ops.convert_to_numpy(layer(np.moveaxis(x, -1, 1))), 1, -1)


def images(*shape, scale=3.0, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return (values * scale).astype("float32")


def model_of(**options):
    inputs = keras.Input((5, 6, 8))
    layer = CaffeLRN(3, 0.2, 0.6, 1.5, data_format="channels_last", **options)
    return keras.Model(inputs, layer(inputs))


@CHECK
@given(
    shape=st.tuples(*[st.integers(1, n) for n in (2, 6, 6, 12)]),
    local_size=st.sampled_from([1, 3, 5, 7, 9]),
    alpha=st.floats(1e-4, 2),
    beta=st.sampled_from([0.25, 0.5, 0.75, 1.0, 1.3]),
    k=st.floats(0.5, 3),
    norm_region=st.sampled_from(REGIONS),
    data_format=st.sampled_from(["channels_first", "channels_last"]),
    seed=st.integers(0, 999),
)
def test_equals_the_formula(shape, seed, data_format, **options):
    x = images(*shape, seed=seed)
    actual = apply(CaffeLRN(**options, data_format=data_format), x)
    assert relative_error(actual, reference(x, **options)) <= 2e-6


@pytest.mark.parametrize("channels", [255, 256, 257, 300])
def test_wide_blobs_equal_the_formula_on_both_sides_of_the_band_matrix(channels):
    x = images(1, 2, 3, channels)
    layer = CaffeLRN(5, 0.5, 0.75, 2.0, data_format="channels_last")
    expected = reference(x, 5, 0.5, 0.75, 2.0, "across_channels")
    assert relative_error(apply(layer, x), expected) <= 2e-6


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_float16", 1e-3), ("mixed_bfloat16", 8e-3)]
)
def test_half_precision_survives_squares_beyond_float16(policy, tolerance, region):
    x = images(2, 4, 4, 6, scale=1000).astype("float16").astype("float32")
    layer = CaffeLRN(3, 1e-4, 0.75, 2.0, region, dtype=policy)
    assert np.square(x).max() > np.finfo("float16").max
    output = layer(x)
    assert keras.backend.standardize_dtype(output.dtype) == policy[len("mixed_") :]
    actual = ops.convert_to_numpy(ops.cast(output, "float32"))
    expected = reference(x, 3, 1e-4, 0.75, 2.0, region)
    assert relative_error(actual, expected) <= tolerance


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow",
    reason="JAX, and Keras' matmul on PyTorch, compute in float32",
)
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("region", REGIONS)
def test_float64_computes_in_float64(region, data_format):
    x = images(2, 4, 4, 6).astype("float64")
    options = {"dtype": "float64", "data_format": data_format}
    layer = CaffeLRN(3, 0.3, 0.75, 2.0, region, **options)
    expected = reference(x, 3, 0.3, 0.75, 2.0, region)
    assert apply(layer, x).dtype == "float64"
    assert relative_error(apply(layer, x), expected) <= 1e-12


@pytest.mark.parametrize("region", REGIONS)
def test_gradient_of_a_black_image_is_the_offset_alone(region):
    top = images(1, 4, 4, 6)
    layer = CaffeLRN(3, 0.5, 0.75, 2.0, region, data_format="channels_last")
    layer.build(top.shape)
    at_input, _ = gradients(layer, np.zeros_like(top), top)
    scale = 2.0**-0.75 if region == "across_channels" else 1.0
    assert relative_error(at_input, top * scale) <= 1e-6


@pytest.mark.parametrize("region", REGIONS)
def test_gradient_is_that_of_finite_differences(region):
    x, top = images(1, 3, 3, 4, scale=1), images(1, 3, 3, 4, seed=1)
    layer = CaffeLRN(3, 0.5, 0.75, 2.0, region, data_format="channels_last")
    layer.build(x.shape)
    at_input, _ = gradients(layer, x, top)
    expected, step = np.zeros(x.shape), 1e-5
    for i in np.ndindex(x.shape):
        moved = np.zeros(x.shape)
        moved[i] = step
        ends = [reference(x + m, 3, 0.5, 0.75, 2.0, region) for m in (moved, -moved)]
        expected[i] = ((ends[0] - ends[1]) * top).sum() / (2 * step)
    assert relative_error(at_input, expected) <= 1e-5


@pytest.mark.parametrize("region", REGIONS)
def test_a_saved_model_computes_the_same(tmp_path, region):
    model, x = model_of(norm_region=region), images(2, 5, 6, 8)
    model.save(tmp_path / "lrn.keras")
    loaded = keras.models.load_model(tmp_path / "lrn.keras")
    cloned = keras.models.clone_model(model)
    expected = reference(x, 3, 0.2, 0.6, 1.5, region)
    for copy in (loaded, cloned):
        assert relative_error(copy.predict(x, verbose=0), expected) <= 2e-6


def test_config_holds_every_argument():
    options = {
        "local_size": 7,
        "alpha": 0.1,
        "beta": 0.5,
        "k": 3.0,
        "norm_region": "within_channel",
        "data_format": "channels_first",
        "name": "norm",
    }
    config = CaffeLRN.from_config(CaffeLRN(**options).get_config()).get_config()
    assert {key: config[key] for key in options} == options


def test_shape_is_kept_where_sizes_are_unknown():
    layer = CaffeLRN()
    assert layer.compute_output_shape((None, None, 7, 3)) == (None, None, 7, 3)
    assert layer(keras.Input((None, None, 3))).shape == (None, None, None, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"local_size": 4}, "odd positive integer; received: local_size=4"),
        ({"local_size": -1}, "odd positive integer; received: local_size=-1"),
        ({"local_size": 3.0}, "odd positive integer; received: local_size=3.0"),
        ({"norm_region": "across"}, "one of .*; received: norm_region='across'"),
        ({"data_format": "NHWC"}, "`data_format` .*; received: data_format='NHWC'"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CaffeLRN(**options)


def test_refuses_inputs_that_are_no_images():
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=2"):
        CaffeLRN()(np.zeros((2, 3), "float32"))
    with pytest.raises(ValueError, match="known number of channels for layer 'n'"):
        CaffeLRN(data_format="channels_last", name="n")(keras.Input((4, 4, None)))
