"""Layers and fields of the forks' classifiers through `from_caffe`, against NumPy."""

import caffe_reference as caffe
import keras
import numpy as np
import pytest
from one_layer import assert_close, check_written_again, normal, outputs
from support import GOLDENS, gradients, nchw, nhwc, seeds

import keras_caffe_zoo as kcz
from keras_caffe_zoo.caffe import read_net
from keras_caffe_zoo.layers import CaffeConv2D
from keras_caffe_zoo.weights import load_weights

FORKS = GOLDENS / "forks"


# --- convolutions


@pytest.mark.parametrize("seed", seeds(2, 20))
@pytest.mark.parametrize("kind", ["DepthwiseConvolution", "ConvolutionDepthwise"])
def test_depthwise(run, rng, kind):
    channels = int(rng.integers(1, 6))
    ours = kind == "ConvolutionDepthwise"
    filters = channels * (1 if ours else int(rng.integers(1, 3)))
    window, stride, dilation = rng.integers(1, 4, (3, 2))
    dilation = dilation if ours else [1, 1]
    reach = [int(d * (k - 1) + 1) for d, k in zip(dilation, window, strict=True)]
    pad = [int(rng.integers(0, r)) for r in reach]
    x = normal(rng, 2, channels, *(reach + rng.integers(0, 6, 2)))
    weight, bias = normal(rng, filters, 1, *window), normal(rng, filters)
    text = f"num_output: {7 if ours else filters} group: {3 if ours else channels} "
    for name, pair in (
        ("kernel", window),
        ("stride", stride),
        ("pad", pad),
    ):
        text += f"{name}_h: {pair[0]} {name}_w: {pair[1]} "
    text += f"dilation: {dilation[0]} dilation: {dilation[1]}"
    found = run(kind, {"x": x}, f"convolution_param {{ {text} }}", (weight, bias))
    expected = caffe.conv(x, weight, bias, stride, pad, dilation, channels)
    assert_close(found, expected)


def test_a_kernel_for_each_channel_is_computed_as_one_operation(monkeypatch):
    def no(*_, **__):
        raise AssertionError("the slow way")

    layer = CaffeConv2D(6, 3, 2, 1, groups=6, data_format="channels_last")
    x = np.ones((1, 8, 8, 6), "f4")
    layer(x)
    monkeypatch.setattr(keras.ops, "conv", no)
    monkeypatch.setattr(keras.ops, "split", no)
    layer(x)


X = {"x": np.zeros((1, 4, 6, 6))}


@pytest.mark.parametrize(
    ("param", "said"),
    [
        ("num_output: 4 group: 4 kernel_size: 3 dilation: 2", "dilat"),
        ("num_output: 4 group: 4 kernel_size: 3 hole: 2", "dilat"),
        ("num_output: 4 group: 2 kernel_size: 3", "group"),
        ("num_output: 4 kernel_size: 3", "group"),
        ("num_output: 6 group: 4 kernel_size: 3", "group"),
        ("num_output: 4 group: 4 kernel_size: 3 axis: 2", "axis"),
    ],
)
def test_a_depthwise_convolution_that_is_none(refused, param, said):
    refused("DepthwiseConvolution", X, f"convolution_param {{ {param} }}", said)


def test_a_depthwise_convolution_of_no_image(refused):
    text = "convolution_param { num_output: 4 group: 4 kernel_size: 3 }"
    for kind in ("DepthwiseConvolution", "ConvolutionDepthwise"):
        refused(kind, {"x": np.zeros((1, 4))}, text, "(N, C, H, W)")


@pytest.mark.parametrize(
    ("hole", "dilation"),
    [
        ("hole: 2", (2, 2)),
        ("hole_h: 2 hole_w: 3", (2, 3)),
        ("hole: 2 dilation: 2", (2, 2)),
        ("hole: 2 hole: 3", (2, 3)),
    ],
)
@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_hole_is_dilation(run, kind, hole, dilation):
    text = f"convolution_param {{ num_output: 4 kernel_size: 2 {hole} }}"
    assert run.model(kind, X, text).layers[-1].dilation_rate == dilation


def test_a_caffemodel_with_a_hole_fits_its_net():
    """Whatever the field's number is there."""
    model = kcz.from_caffe(FORKS / "conv_hole.prototxt")
    load_weights(model, FORKS / "conv_hole.caffemodel")
    wanted = kcz.read_caffemodel(FORKS / "conv_hole.caffemodel")["y"]
    for found, blob in zip(kcz.caffe_params(model)["y"], wanted, strict=True):
        np.testing.assert_array_equal(found, blob)


@pytest.mark.parametrize(
    "hole",
    ["hole: 2 dilation: 3", "hole_h: 2", "hole: 2 hole_h: 2 hole_w: 2", "hole: 0"],
)
def test_a_hole_that_says_no_dilation(refused, hole):
    text = f"convolution_param {{ num_output: 4 kernel_size: 2 {hole} }}"
    refused("Convolution", X, text, "hole")


def test_a_convolution_of_intels_with_its_relu(run, refused):
    rng = np.random.default_rng(0)
    x, weight = normal(rng, 2, 3, 5, 4), normal(rng, 2, 3, 1, 1)
    text = "num_output: 2 kernel_size: 1 bias_term: false relu: true engine: MKLDNN"
    text = f"convolution_param {{ {text} %s }}"
    found = run("Convolution", {"x": x}, text % "", [weight])
    ones = ((1, 1), (0, 0), (1, 1), 1)
    assert_close(found, np.maximum(caffe.conv(x, weight, None, *ones), 0))
    refused("Convolution", {"x": x}, text % "negative_slope: 0.1", "negative_slope")
    refused("Deconvolution", {"x": x}, text % "", "relu")


# --- pooling


@pytest.mark.parametrize("seed", seeds(2, 20))
@pytest.mark.parametrize("floor", [False, True])
def test_ceil_mode(run, rng, floor):
    kernel, stride = rng.integers(1, 5, (2, 2))
    pad = [int(rng.integers(0, k)) for k in kernel]
    x = normal(rng, 2, 2, *(kernel + rng.integers(0, 8, 2)))
    text = f"pool: AVE ceil_mode: {str(not floor).lower()} "
    for name, pair in (("kernel", kernel), ("stride", stride), ("pad", pad)):
        text += f"{name}_h: {pair[0]} {name}_w: {pair[1]} "
    expected, _ = caffe.pool(x, "AVE", kernel, stride, pad, floor)
    assert_close(run("Pooling", {"x": x}, f"pooling_param {{ {text} }}"), expected)
    ones = caffe.pool(np.ones_like(x), "AVE", kernel, stride, pad, floor)[0]
    if np.all(ones > 0):  # each window has a pixel of the image
        text += "avg_include_pad: false"
        found = run("Pooling", {"x": x}, f"pooling_param {{ {text} }}")
        assert_close(found, expected / ones)


def test_two_fields_that_round_differently(refused, run):
    text = "pooling_param { kernel_size: 2 ceil_mode: %s round_mode: %s }"
    for ceil, mode in (("true", "FLOOR"), ("false", "CEIL")):
        refused("Pooling", X, text % (ceil, mode), "ceil_mode")
    assert run.model("Pooling", X, text % ("false", "FLOOR"))


# --- normalization and dropout


FIVE = [np.array([1, 2, 3]), np.array([4, 5, 6]), [2], [7, 8, 9], [-1, 0, 1]]


@pytest.mark.parametrize(
    "param",
    [
        "scale_bias: true",  # NVIDIA's
        "use_weight_bias: true bias_term: true",  # Intel's, and by default:
        "engine: MKL2017",
    ],
)
def test_a_batch_norm_with_factors_and_offsets(run, tmp_path, param):
    x = normal(np.random.default_rng(0), 2, 3, 4, 5)
    text = f"batch_norm_param {{ {param} }}"
    mean, variance, _, scale, bias = (
        np.asarray(blob).reshape(-1, 1, 1) for blob in FIVE
    )
    expected = (x - mean / 2) / np.sqrt(variance / 2 + 1e-5) * scale + bias
    assert_close(run("BatchNorm", {"x": x}, text, FIVE), expected)
    model = kcz.from_caffe(run.prototxt, run.caffemodel)
    assert len(model.layers[-1].trainable_weights) == 2
    paths = tmp_path / "again.prototxt", tmp_path / "again.caffemodel"
    kcz.to_caffe(model, *paths)
    blobs = kcz.read_caffemodel(paths[1])["y"]
    for found, given in zip(blobs, FIVE, strict=True):
        np.testing.assert_array_equal(found, given)
    same = outputs(kcz.from_caffe(*paths), nhwc(x)), outputs(model, nhwc(x))
    np.testing.assert_array_equal(*same)


def test_a_batch_norm_whose_blobs_have_four_axes(run):
    x = normal(np.random.default_rng(0), 2, 3, 4, 5)
    text = "batch_norm_param { scale_bias: true }"
    expected = run("BatchNorm", {"x": x}, text, FIVE)
    four = [np.asarray(blob, "f4").reshape(1, -1, 1, 1) for blob in FIVE]
    kcz.write_caffemodel(run.caffemodel, {"y": four})
    (found,) = outputs(kcz.from_caffe(run.prototxt, run.caffemodel), nhwc(x))
    np.testing.assert_array_equal(nchw(found), expected)


def test_a_batch_norm_with_half_of_them(refused, run):
    text = "batch_norm_param { use_weight_bias: true bias_term: false }"
    refused("BatchNorm", X, text, "bias_term")
    plain = "batch_norm_param { engine: MKLDNN }"
    assert len(run.model("BatchNorm", X, plain).layers[-1].weights) == 3


def test_dropout_that_scales_when_it_predicts(run):
    x = np.ones((1, 2, 50, 50), "f4")
    text = "dropout_param { dropout_ratio: 0.4 scale_train: false }"
    assert_close(run("Dropout", {"x": x}, text), 0.6 * x)
    layer = run.model("Dropout", {"x": x}, text).layers[-1]
    trained = keras.ops.convert_to_numpy(layer(nhwc(x), training=True))
    np.testing.assert_allclose(np.unique(trained), [0, 1], rtol=1e-6)


def test_dropout_of_bayesian_segnet_drops_when_it_predicts(run):
    x = np.ones((1, 2, 50, 50), "f4")
    y = run("Dropout", {"x": x}, "dropout_param { sample_weights_test: true }")
    assert set(np.unique(y)) == {0, 2} and 0.9 < y.mean() < 1.1
    y = run("Dropout", {"x": x}, "dropout_param { sample_weights_test: false }")
    np.testing.assert_array_equal(y, x)


# --- channels and activations


def test_shuffled_channels_of_a_vector(run):
    x = np.arange(12, dtype="f4").reshape(2, 6)
    found = run("ShuffleChannel", {"x": x}, "shuffle_channel_param { group: 2 }")
    np.testing.assert_array_equal(found, x[:, [0, 3, 1, 4, 2, 5]])


@pytest.mark.parametrize(
    ("param", "said"), [("group: 0", "positive"), ("group: 3", "3")]
)
def test_groups_that_do_not_fit(refused, param, said):
    refused("ShuffleChannel", X, f"shuffle_channel_param {{ {param} }}", said)


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 3), (1, 4, 5, 5), (1, 4, 5, 5)],
        [(1, 4, 2, 1), (1, 4, 5, 5), (1, 4, 5, 5)],
        [(1, 4), (1, 4, 5, 5), (1, 4, 5, 6)],
        [(1, 4), (1, 4), (1, 4)],
    ],
)
def test_an_axpy_of_what_does_not_fit(refused, shapes):
    inputs = dict(zip("abc", map(np.zeros, shapes), strict=True))
    refused("Axpy", inputs, "", "Expected factors")


LINE = np.linspace(-12, 12, 48, dtype="f4").reshape(1, 2, 4, 6)
ACTIVATIONS = {
    "ReLU6": ("relu6_param { negative_slope: 0.5 }", lambda x: np.clip(x, x / 2, 6)),
    "HardSigmoid": ("", lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    "NegReLU": (
        "relu_param { negative_slope: 0.5 engine: MKLDNN }",
        lambda x: np.where(x < 0, x, x / 2),
    ),
    "SeLu": (
        "selu_param { lambda: 1.5 alpha: 2 }",
        lambda x: 1.5 * np.where(x > 0, x, 2 * np.expm1(x)),
    ),
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations(run, tmp_path, kind):
    text, function = ACTIVATIONS[kind]
    expected = function(LINE)
    assert_close(run(kind, {"x": LINE}, text), expected)
    paths = tmp_path / "again.prototxt", tmp_path / "again.caffemodel"
    kcz.to_caffe(kcz.from_caffe(run.prototxt), *paths)
    assert read_net(paths[0]).layers[-1].type == kind
    found = kcz.from_caffe(*paths)(nhwc(LINE))
    assert_close(keras.ops.convert_to_numpy(found), nhwc(expected))


@pytest.mark.parametrize("slope", [0, 0.5, 2])
def test_the_gradient_of_relu6_at_its_corners(run, slope):
    x = np.array([[-1, 0, 3, 6, 7]], "f4")
    text = f"relu6_param {{ negative_slope: {slope} }}"
    model = run.model("ReLU6", {"x": x}, text)
    found, _ = gradients(model, x, np.ones_like(x))
    np.testing.assert_array_equal(found, [[slope, slope, 1, 0, 0]])


@pytest.mark.parametrize("slope", ["-1", "nan"])
def test_a_slope_below_0(refused, slope):
    refused("ReLU6", X, f"relu6_param {{ negative_slope: {slope} }}", "negative_slope")


# --- written and read again

NUMBERS = {
    "axpy": None,
    "dw_convdw_nogroup": 106,
    "dw_multiplier2": 106,
    "shuffle_g3": 164,
    "act_relu6_slope": 211,
    "act_neg_relu": 123,
    "act_dropout_scale_test": 108,
    "conv_hole": 106,
    "ceil_mode_n9": 121,
    "net_shufflenet_g4_mini": 164,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_written_is_the_same_net(tmp_path, name):
    check_written_again(tmp_path, name, NUMBERS[name])
