"""CaffeConv2D against Caffe's formula in NumPy loops, in every form it is used in."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from support import every, examples, gradients, nchw, nhwc, relative_error

from keras_caffe_zoo.conversion import convert
from keras_caffe_zoo.layers import CaffeConv2D

CHECK = examples(3)


def reference(x, kernel, bias, stride, pad, dilation, groups):
    """Caffe's convolution of (N, H, W, C) in float64, one output pixel at a time."""
    x, kernel = x.astype("float64"), kernel.astype("float64")
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel.shape, strict=False)]
    rows, columns = (
        int((x.shape[1 + i] + 2 * pad[i] - reach[i]) / stride[i]) + 1 for i in (0, 1)
    )
    ends = [(p, p + s - 1) for p, s in zip(pad, stride, strict=True)]
    x = np.pad(x, ((0, 0), *ends, (0, 0)))
    y = np.zeros((x.shape[0], rows, columns, kernel.shape[3]))
    inputs, outputs = kernel.shape[2], kernel.shape[3] // groups
    for i, j, g in np.ndindex(rows, columns, groups):
        top, left = i * stride[0], j * stride[1]
        patch = x[
            :,
            top : top + reach[0] : dilation[0],
            left : left + reach[1] : dilation[1],
            g * inputs : (g + 1) * inputs,
        ]
        part = slice(g * outputs, (g + 1) * outputs)
        y[:, i, j, part] = np.einsum("nhwi,hwio->no", patch, kernel[..., part])
    return y + bias


def apply(layer, x):
    """Run a layer on NHWC data, whatever its own format."""
    if layer.data_format == "channels_last":
        return ops.convert_to_numpy(layer(x))
    return np.moveaxis(ops.convert_to_numpy(layer(np.moveaxis(x, -1, 1))), 1, -1)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def with_weights(layer, shape):
    """Build a layer; return its kernel and bias, neither of them zero."""
    if not layer.built:
        layer.build(shape)
    weights = [numbers(*w.shape, seed=i + 1) for i, w in enumerate(layer.weights)]
    layer.set_weights(weights)
    return weights


@st.composite
def cases(draw):
    def both(low, high):
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, pad, dilation = both(1, 4), both(1, 3), both(0, 3), both(1, 3)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    least = [max(1, r - 2 * p) for r, p in zip(reach, pad, strict=True)]
    size = tuple(draw(st.integers(n, n + 6)) for n in least)
    groups = draw(st.sampled_from([1, 2, 3, 4]))
    inputs, outputs = both(1, 3)
    return size, groups, inputs, outputs, (kernel, stride, pad, dilation)


@CHECK
@given(
    case=cases(),
    relu=st.booleans(),
    data_format=st.sampled_from(["channels_first", "channels_last"]),
)
def test_equals_caffes_formula(case, relu, data_format):
    size, groups, inputs, outputs, (kernel_size, stride, pad, dilation) = case
    x = numbers(2, *size, groups * inputs)
    layer = CaffeConv2D(
        groups * outputs,
        kernel_size,
        stride,
        pad,
        data_format,
        dilation,
        groups,
        activation="relu" if relu else None,
    )
    last = data_format == "channels_last"
    shape = x.shape if last else np.moveaxis(x, -1, 1).shape
    kernel, bias = with_weights(layer, shape)
    expected = reference(x, kernel, bias, stride, pad, dilation, groups)
    expected = np.maximum(expected, 0) if relu else expected
    assert kernel.shape == (*kernel_size, inputs, groups * outputs)
    assert np.abs(apply(layer, x) - expected).max() <= 2e-5
    made = layer.compute_output_shape(shape)
    assert (made if last else (made[0], *made[2:], made[1])) == expected.shape


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_unknown_sizes_make_no_difference(groups):
    x, window = numbers(1, 9, 8, 6), ((3, 2), (2, 1), (1, 2), (1, 2))
    inputs = keras.Input((None, None, 6))
    kernel, stride, pad, dilation = window
    layer = CaffeConv2D(12, kernel, stride, pad, "channels_last", dilation, groups)
    weights = with_weights(layer, x.shape)
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, 12)
    expected = reference(x, *weights, stride, pad, dilation, groups)
    assert np.abs(model.predict(x, verbose=0) - expected).max() <= 2e-5


def test_other_activations_see_the_whole_output():
    """Softmax looks across channels, so it may not be taken group by group."""
    x = numbers(1, 4, 4, 4)
    layer = CaffeConv2D(
        4, 1, groups=2, activation="softmax", data_format="channels_last"
    )
    weights = with_weights(layer, x.shape)
    y = np.exp(reference(x, *weights, (1, 1), (0, 0), (1, 1), 2))
    expected = y / y.sum(axis=-1, keepdims=True)
    assert relative_error(apply(layer, x), expected) <= 2e-6


def test_without_bias_there_is_only_a_kernel():
    x = numbers(1, 5, 5, 4)
    layer = CaffeConv2D(
        6, 3, pad=1, groups=2, use_bias=False, data_format="channels_last"
    )
    (kernel,) = with_weights(layer, x.shape)
    expected = reference(x, kernel, 0, (1, 1), (1, 1), (1, 1), 2)
    assert relative_error(apply(layer, x), expected) <= 2e-6


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("groups", [1, 2])
def test_other_precisions_equal_caffes_formula(policy, groups):
    if policy == "float64" and keras.config.backend() == "jax":
        pytest.skip("JAX computes in float32")
    x = numbers(1, 7, 7, 4)
    layer = CaffeConv2D(
        6, 3, 2, 1, groups=groups, dtype=policy, data_format="channels_last"
    )
    weights = with_weights(layer, x.shape)
    output = layer(x)
    assert keras.backend.standardize_dtype(output.dtype) == policy.split("_")[-1]
    actual = ops.convert_to_numpy(ops.cast(output, "float64"))
    expected = reference(x, *weights, (2, 2), (1, 1), (1, 1), groups)
    tolerance = {"mixed_float16": 4e-3, "mixed_bfloat16": 3e-2, "float64": 1e-12}
    assert relative_error(actual, expected) <= tolerance[policy]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_gradients_are_those_of_the_formula(groups):
    """The formula is linear in each of its arguments: one step gives the gradient."""
    x, window = numbers(1, 6, 5, 4), ((2, 1), (1, 0), (1, 1), groups)
    layer = CaffeConv2D(4, 3, *window[:2], groups=groups, data_format="channels_last")
    sources = [x, *with_weights(layer, x.shape)]
    top = numbers(*layer.compute_output_shape(x.shape), seed=9)
    at_input, at_weights = gradients(layer, x, top)
    for place, gradient in enumerate([at_input, *at_weights]):
        step = numbers(*gradient.shape, seed=5)
        moved = [s + step if i == place else s for i, s in enumerate(sources)]
        change = reference(*moved, *window) - reference(*sources, *window)
        np.testing.assert_allclose((gradient * step).sum(), (change * top).sum(), 1e-4)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_saved_model_computes_the_same(tmp_path, groups):
    inputs, x = keras.Input((7, 8, 4)), numbers(2, 7, 8, 4)
    window = {"strides": (2, 1), "pad": (0, 2), "dilation_rate": (2, 1)}
    layer = CaffeConv2D(8, 3, groups=groups, data_format="channels_last", **window)
    model = keras.Model(inputs, layer(inputs))
    weights = with_weights(layer, x.shape)
    model.save(tmp_path / "conv.keras")
    loaded = keras.models.load_model(tmp_path / "conv.keras")
    cloned = keras.models.clone_model(model)
    cloned.set_weights(weights)
    expected = reference(x, *weights, (2, 1), (0, 2), (2, 1), groups)
    for copy in (loaded, cloned):
        assert np.abs(copy.predict(x, verbose=0) - expected).max() <= 2e-5


def test_config_holds_every_argument():
    options = {
        "filters": 6,
        "kernel_size": (3, 2),
        "strides": (2, 1),
        "pad": (1, 0),
        "data_format": "channels_first",
        "dilation_rate": (1, 2),
        "groups": 2,
        "activation": "relu",
        "use_bias": False,
    }
    layer = CaffeConv2D.from_config(CaffeConv2D(**options).get_config())
    config = layer.get_config()
    assert {key: config[key] for key in options} == options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pad": -1}, "`pad` .* at least 0.*; received: pad=-1"),
        ({"pad": (1, 2, 3)}, r"received: pad=\(1, 2, 3\)"),
        ({"strides": 0}, "`strides` .*; received: strides=0"),
        ({"dilation_rate": 0}, "received: dilation_rate=0"),
        ({"padding": "same"}, "padding in pixels, `pad=…`; received: `padding`"),
        ({"groups": 4}, "groups"),  # Keras' own: 6 filters
        ({"data_format": "NHWC"}, "data_format"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CaffeConv2D(6, 3, **options)


# (size, kernel, stride, pad, dilation): one window, of which some hangs over the end
ONE_WINDOW = [
    ((2, 2), (1, 2), (1, 3), (0, 0), (1, 1)),  # TensorFlow computes garbage with (1, 3)
    ((4, 3), (2, 3), (1, 2), (0, 0), (1, 1)),
    ((3, 4), (5, 2), (3, 2), (0, 0), (1, 1)),
    ((2, 2), (3, 3), (4, 4), (0, 1), (2, 2)),
    ((1, 1), (3, 3), (3, 3), (0, 0), (1, 1)),
    ((1, 2), (1, 1), (5, 7), (2, 2), (1, 1)),  # it sees padding alone
]


def unknown(model, channels):
    """Run a model without knowing a size."""
    import tensorflow as tf

    kind = tf.TensorSpec([None, None, None, channels], "float32")
    return tf.function(model, input_signature=[kind])


@pytest.mark.parametrize("case", every(3, ONE_WINDOW), ids=str)
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("inputs", [1, 3])
def test_a_stride_that_leads_nowhere_makes_no_difference(case, groups, inputs):
    size, kernel, stride, pad, dilation = case
    layer = CaffeConv2D(4, kernel, stride, pad, "channels_last", dilation, groups)
    model = keras.Sequential([keras.Input((None, None, inputs * groups)), layer])
    x = numbers(3, *size, inputs * groups)
    weights = with_weights(layer, x.shape)
    expected = reference(x, *weights, stride, pad, dilation, groups)
    assert expected.size == 12 * np.prod(expected.shape[1:3])
    assert np.abs(apply(layer, x) - expected).max() <= 2e-5
    assert layer.compute_output_shape(x.shape) == expected.shape
    if keras.config.backend() == "tensorflow":
        found = unknown(model, inputs * groups)(x)
        assert np.abs(found - expected).max() <= 2e-5


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="others always know the sizes"
)
@pytest.mark.parametrize("inputs", [1, 2])
def test_gradients_at_unknown_sizes_are_those_at_known_ones(inputs):
    import tensorflow as tf

    layer = CaffeConv2D(2, (2, 3), (1, 2), data_format="channels_last")
    model = keras.Sequential([keras.Input((None, None, inputs)), layer])

    def back(x, top):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
        return tape.gradient(y, [x, *model.trainable_variables], top)

    kinds = [tf.TensorSpec([None, None, None, c], "float32") for c in (inputs, 2)]
    for size in (4, 3), (5, 8), (2, 2):
        x = numbers(3, *size, inputs)
        with_weights(layer, x.shape)
        top = numbers(*layer.compute_output_shape(x.shape), seed=9)
        at_input, at_weights = gradients(layer, x, top)
        found = tf.function(back, input_signature=kinds)(x, top)
        for a, b in zip(found, [at_input, *at_weights], strict=True):
            np.testing.assert_allclose(a, b, 1e-5, 1e-5)


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the others' exports fix the sizes"
)
@pytest.mark.parametrize("inputs", [1, 2])
def test_exports_take_images_of_any_size(tmp_path, inputs):
    onnxruntime = pytest.importorskip("onnxruntime", reason="runs the ONNX file")
    layer = CaffeConv2D(2, (2, 4), (1, 3), data_format="channels_last")
    symbol = keras.Input((None, None, inputs))
    model = keras.Model(symbol, layer(symbol))
    weights = with_weights(layer, None)
    model(numbers(1, 5, 5, inputs))  # Keras exports no model that was never called
    convert(model, tmp_path / "net.onnx")
    model.export(tmp_path / "net", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    served = keras.layers.TFSMLayer(tmp_path / "net", call_endpoint="serve")
    for size in (3, 4), (2, 2), (5, 9):  # one window, hanging over the end, several
        x = numbers(3, *size, inputs)
        expected = reference(x, *weights, (1, 3), (0, 0), (1, 1), 1)
        assert relative_error(served(x), expected) <= 1e-5
        given = {session.get_inputs()[0].name: nchw(x)}
        if size == (2, 2):  # what hangs over is padded where the size is known
            with pytest.raises(Exception, match="Invalid input shape"):
                session.run(None, given)
            continue
        assert relative_error(nhwc(session.run(None, given)[0]), expected) <= 1e-5


def test_refuses_an_input_smaller_than_its_kernel():
    layer = CaffeConv2D(2, 5, pad=1, name="c9", data_format="channels_last")
    with pytest.raises(ValueError, match="width of at least 3 for layer 'c9'.*: 2"):
        layer(keras.Input((9, 2, 3)))


def test_channels_first_adds_the_bias_where_the_width_equals_the_channels():
    x = numbers(1, 4, 6, 3)
    layer = CaffeConv2D(6, 1, data_format="channels_first")
    weights = with_weights(layer, (1, 3, 4, 6))
    expected = reference(x, *weights, (1, 1), (0, 0), (1, 1), 1)
    assert relative_error(apply(layer, x), expected) <= 2e-6


@pytest.mark.parametrize("kernel_size", [(1, 1), (2, 3), (6, 6)])
@pytest.mark.parametrize("filters", [999, 1000])
def test_wide_layers_equal_caffes_formula_on_maps_of_any_size(kernel_size, filters):
    """From 1000 filters on they are computed as one product."""
    inputs = keras.Input((None, None, 3))
    layer = CaffeConv2D(filters, kernel_size, data_format="channels_last")
    model, once = keras.Model(inputs, layer(inputs)), ((1, 1), (0, 0), (1, 1), 1)
    weights = with_weights(layer, None)
    for size in (6, 6), (8, 7):
        x = numbers(2, *size, 3)
        expected = reference(x, *weights, *once)
        assert relative_error(model.predict(x, verbose=0), expected) <= 2e-6


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow",
    reason="others convolve, and raise their own",
)
def test_a_wide_layer_refuses_a_map_smaller_than_its_kernel():
    layer = CaffeConv2D(1000, 6, name="fc6-conv", data_format="channels_last")
    layer.build((None, None, None, 3))
    with pytest.raises(ValueError, match="height of at least 6 for layer 'fc6-conv'"):
        layer(numbers(1, 5, 8, 3))
