"""CaffePool2D against Caffe's rule in NumPy loops, in every form it is used in."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from support import examples, gradients, relative_error

from keras_caffe_zoo.layers import CaffePool2D

CHECK = examples(3)
LOWEST = np.finfo("float32").min


def windows(size, kernel, stride, pad, padded):
    """Caffe's windows along one axis: first and last pixel, and the divisor's part."""
    count = math.ceil((size + 2 * pad - kernel) / stride) + 1
    if padded and (count - 1) * stride >= size + pad:
        count -= 1
    for start in range(-pad, -pad + count * stride, stride):
        end = min(start + kernel, size + pad)
        yield max(start, 0), min(end, size), end - start


def reference(x, pool, kernel, stride, pad):
    """Caffe's pooling of (N, H, W, C), one window at a time."""
    padded = any(pad)
    rows, columns = (
        list(windows(x.shape[1 + i], kernel[i], stride[i], pad[i], padded))
        for i in (0, 1)
    )
    y = np.zeros((x.shape[0], len(rows), len(columns), x.shape[3]))
    for i, (top, bottom, height) in enumerate(rows):
        for j, (left, right, width) in enumerate(columns):
            pixels = x[:, top:bottom, left:right].astype("float64")
            if pool == "max":
                y[:, i, j] = pixels.max(axis=(1, 2), initial=LOWEST)
            else:
                with np.errstate(invalid="ignore"):
                    y[:, i, j] = pixels.sum(axis=(1, 2)) / np.float64(height * width)
    return y


def apply(layer, x):
    """Run a layer on NHWC data, whatever its own format."""
    if layer.data_format == "channels_last":
        return ops.convert_to_numpy(layer(x))
    return np.moveaxis(ops.convert_to_numpy(layer(np.moveaxis(x, -1, 1))), 1, -1)


def images(*shape, seed=0, shift=-5.0):
    """Numbers that are nearly all negative, so that a padded zero would win."""
    values = np.random.default_rng(seed).standard_normal(shape)
    return (values + shift).astype("float32")


@st.composite
def cases(draw):
    def both(low, high):
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride = both(1, 4), both(1, 5)
    pad = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    least = [max(1, k - 2 * p - s + 1) for k, p, s in zip(kernel, pad, stride)]  # noqa: B905
    size = tuple(draw(st.integers(n, n + 9)) for n in least)
    return size, kernel, stride, pad


@CHECK
@given(
    case=cases(),
    pool=st.sampled_from(["max", "ave"]),
    data_format=st.sampled_from(["channels_first", "channels_last"]),
    seed=st.integers(0, 999),
)
def test_equals_caffes_rule(case, pool, data_format, seed):
    size, *window = case
    x = images(2, *size, 3, seed=seed)
    layer = CaffePool2D(pool, *window, data_format=data_format)
    expected = reference(x, pool, *window)
    assert relative_error(apply(layer, x), expected) <= 1e-6
    shape = (2, *size, 3) if data_format == "channels_last" else (2, 3, *size)
    made = layer.compute_output_shape(shape)
    assert (made[1:3] if data_format == "channels_last" else made[2:]) == (
        expected.shape[1:3]
    )


@CHECK
@given(case=cases(), pool=st.sampled_from(["max", "ave"]))
def test_unknown_sizes_make_no_difference(case, pool):
    size, *window = case
    x = images(1, *size, 2)
    inputs = keras.Input((None, None, 2))
    layer = CaffePool2D(pool, *window, data_format="channels_last")
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, 2)
    actual = ops.convert_to_numpy(model(x))
    assert relative_error(actual, reference(x, pool, *window)) <= 1e-6


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "made"),
    [(55, 3, 2, 27), (27, 3, 2, 13), (13, 3, 2, 6), (109, 3, 3, 37), (33, 2, 2, 17)],
)
def test_blobs_of_the_zoo_have_the_published_sizes(size, kernel, stride, made):
    shape = CaffePool2D("max", kernel, stride).compute_output_shape((1, size, size, 3))
    assert shape == (1, made, made, 3)


@pytest.mark.parametrize("pool", ["max", "ave"])
def test_global_pooling_takes_the_whole_image(pool):
    x = images(2, 5, 7, 3)
    layer = CaffePool2D(pool, global_pooling=True, data_format="channels_last")
    expected = (np.max if pool == "max" else np.mean)(x, axis=(1, 2), keepdims=True)
    assert relative_error(apply(layer, x), expected) <= 1e-6
    assert layer.compute_output_shape((None, None, 7, 3)) == (None, 1, 1, 3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("pool", ["max", "ave"])
def test_other_precisions_equal_caffes_rule(pool, policy):
    if policy == "float64" and keras.config.backend() == "jax":
        pytest.skip("JAX computes in float32")
    x = images(1, 8, 9, 2).astype("float16").astype("float32")
    window = (3, 3), (2, 2), (1, 1)
    output = CaffePool2D(pool, *window, dtype=policy, data_format="channels_last")(x)
    assert keras.backend.standardize_dtype(output.dtype) == policy.split("_")[-1]
    actual = ops.convert_to_numpy(ops.cast(output, "float64"))
    tolerance = {"mixed_float16": 2e-3, "mixed_bfloat16": 2e-2, "float64": 1e-12}
    assert relative_error(actual, reference(x, pool, *window)) <= tolerance[policy]


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_window_outside_the_image_is_the_lowest_number_not_infinite(policy):
    layer = CaffePool2D("max", 1, 4, dtype=policy, data_format="channels_last")
    output = ops.convert_to_numpy(ops.cast(layer(images(1, 4, 4, 1)), "float32"))
    assert output.shape == (1, 2, 2, 1)
    assert np.isfinite(output).all() and output[0, 1, 1, 0] <= -65504


def test_gradient_goes_to_the_maxima_and_nowhere_else():
    x, top = images(1, 7, 7, 2), np.ones((1, 4, 4, 2), "float32")
    layer = CaffePool2D("max", 3, 2, 1, data_format="channels_last")
    layer.build(x.shape)
    at_input, _ = gradients(layer, x, top)
    expected = np.zeros(x.shape)
    for i, j, c in np.ndindex(4, 4, 2):
        rows, columns = (slice(max(2 * n - 1, 0), 2 * n + 2) for n in (i, j))
        pixels = x[0, rows, columns, c]
        at = np.unravel_index(pixels.argmax(), pixels.shape)
        expected[0, rows.start + at[0], columns.start + at[1], c] += 1
    np.testing.assert_array_equal(at_input, expected)


def test_gradient_of_an_average_shares_by_the_divisor():
    x = images(1, 5, 5, 1)
    layer = CaffePool2D("ave", 2, 2, 1, data_format="channels_last")
    layer.build(x.shape)
    at_input, _ = gradients(layer, x, np.ones((1, 3, 3, 1), "float32"))
    expected = np.full((1, 5, 5, 1), 0.25)
    assert relative_error(at_input, expected) <= 1e-6


@pytest.mark.parametrize("pool", ["max", "ave"])
def test_a_saved_model_computes_the_same(tmp_path, pool):
    inputs, window = keras.Input((9, 8, 3)), ((3, 2), (2, 3), (1, 0))
    layer = CaffePool2D(pool, *window, data_format="channels_last")
    model, x = keras.Model(inputs, layer(inputs)), images(2, 9, 8, 3)
    model.save(tmp_path / "pool.keras")
    loaded = keras.models.load_model(tmp_path / "pool.keras")
    for copy in (loaded, keras.models.clone_model(model)):
        actual = copy.predict(x, verbose=0)
        assert relative_error(actual, reference(x, pool, *window)) <= 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"pool": "ave", "kernel_size": (3, 2), "strides": (2, 3), "pad": (1, 0)},
        {"pool": "max", "global_pooling": True, "data_format": "channels_first"},
    ],
)
def test_config_holds_every_argument(options):
    config = CaffePool2D.from_config(CaffePool2D(**options).get_config()).get_config()
    assert {key: config[key] for key in options} == options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": "avg", "kernel_size": 2}, r"one of \('max', 'ave'\); received: avg"),
        ({}, "`kernel_size` .*; received: kernel_size=None"),
        ({"kernel_size": 0}, "`kernel_size` .* at least 1.*; received: kernel_size=0"),
        ({"kernel_size": 2.0}, "received: kernel_size=2.0"),
        ({"kernel_size": (1, 2, 3)}, r"received: kernel_size=\(1, 2, 3\)"),
        ({"kernel_size": 2, "strides": 0}, "`strides` .*; received: strides=0"),
        ({"kernel_size": 2, "pad": -1}, "`pad` .* at least 0.*; received: pad=-1"),
        ({"kernel_size": 2, "pad": 2}, r"smaller than `kernel_size`.*pad=\(2, 2\)"),
        ({"global_pooling": True, "kernel_size": 2}, "received: kernel_size=2"),
        ({"global_pooling": True, "pad": 1}, r"received: .*pad=\(1, 1\)"),
        ({"kernel_size": 2, "data_format": "CHW"}, "received: data_format='CHW'"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CaffePool2D(**options)


def test_refuses_an_input_smaller_than_its_window():
    layer = CaffePool2D("max", 5, 1, name="pool9", data_format="channels_last")
    with pytest.raises(ValueError, match="height .* 'pool9' .*; received: 3"):
        layer(keras.Input((3, 9, 1)))
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=3"):
        layer(np.zeros((9, 9, 1), "float32"))


@pytest.mark.parametrize("pool", ["max", "ave"])
def test_an_image_below_one_window_is_refused_when_called_too(pool):
    layer = CaffePool2D(pool, 5, 2, data_format="channels_last")
    model = keras.Sequential([keras.Input((None, None, 1)), layer])
    with pytest.raises(ValueError, match="Expected an input height"):
        model(np.zeros((1, 2, 9, 1), "float32"))
