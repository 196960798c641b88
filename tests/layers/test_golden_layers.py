"""Every layer golden: forward, gradients, both data formats, unknown sizes."""

import keras
import pytest
from keras import ops
from support import (
    GOLDENS,
    every,
    golden,
    golden_names,
    goldens_with_gradients,
    gradients,
    nchw,
    nhwc,
    relative_error,
)

from keras_caffe_zoo.caffe import read_caffemodel, read_prototxt
from keras_caffe_zoo.layers import CaffeConv2D, CaffeLRN, CaffePool2D

CASES = golden_names("pool_", "lrn_", "conv_")
WITH_GRADIENT = [case for case in goldens_with_gradients() if case in CASES]


def _pair(message, field):
    """Read kernel_size/kernel_h/kernel_w and the like from a golden's prototxt."""
    if message.HasField(f"{field}_h") if field != "kernel_size" else message.kernel_h:
        stem = "kernel" if field == "kernel_size" else field
        return getattr(message, f"{stem}_h"), getattr(message, f"{stem}_w")
    value = getattr(message, field)
    if not isinstance(value, int):  # repeated in ConvolutionParameter
        value = value[0] if value else {"stride": 1, "pad": 0}[field]
    return value, value


def build_layer(case, data_format):
    """Return a Keras layer for the last layer of a golden case."""
    layer = read_prototxt(GOLDENS / f"{case}.prototxt").layers[-1]
    p, options = layer.param, {"data_format": data_format}
    if layer.type == "LRN":
        region = ("across_channels", "within_channel")[p.norm_region]
        return CaffeLRN(p.local_size, p.alpha, p.beta, p.k, region, **options)
    if layer.type == "Pooling":
        pool = ("max", "ave")[p.pool]
        if p.global_pooling:
            return CaffePool2D(pool, global_pooling=True, **options)
        window = [_pair(p, field) for field in ("kernel_size", "stride", "pad")]
        return CaffePool2D(pool, *window, **options)
    window = [_pair(p, field) for field in ("kernel_size", "stride", "pad")]
    return CaffeConv2D(
        p.num_output,
        *window,
        dilation_rate=p.dilation[0] if p.dilation else 1,
        groups=p.group,
        use_bias=p.bias_term,
        **options,
    )


def load(layer, case):
    """Give a convolution the golden's weights, by hand: OIHW to HWIO."""
    if isinstance(layer, CaffeConv2D):
        weight, *bias = read_caffemodel(GOLDENS / f"{case}.caffemodel")["y"]
        layer.set_weights([weight.transpose(2, 3, 1, 0), *bias])


def model_input(case):
    blobs = golden(case)
    return blobs["blob/neg"] if "blob/neg" in blobs else blobs["blob/data"]


@pytest.mark.parametrize("case", CASES)
def test_forward_equals_caffe(case):
    layer, x = build_layer(case, "channels_last"), nhwc(model_input(case))
    assert layer.compute_output_shape(x.shape) == nhwc(golden(case)["blob/y"]).shape
    layer.build(x.shape)
    load(layer, case)
    assert (
        relative_error(nchw(ops.convert_to_numpy(layer(x))), golden(case)["blob/y"])
        <= 2e-6
    )


@pytest.mark.parametrize("case", every(2, CASES))
def test_channels_first_equals_caffe(case):
    layer, x = build_layer(case, "channels_first"), model_input(case)
    assert layer.compute_output_shape(x.shape) == golden(case)["blob/y"].shape
    layer.build(x.shape)
    load(layer, case)
    assert (
        relative_error(ops.convert_to_numpy(layer(x)), golden(case)["blob/y"]) <= 2e-6
    )


@pytest.mark.parametrize("case", every(3, CASES))
def test_unknown_size_equals_caffe(case):
    layer, x = build_layer(case, "channels_last"), nhwc(model_input(case))
    inputs = keras.Input((None, None, x.shape[-1]))
    model = keras.Model(inputs, layer(inputs))
    load(layer, case)
    expected = golden(case)["blob/y"]
    assert relative_error(nchw(model.predict(x, verbose=0)), expected) <= 2e-6
    if "global" not in case:
        assert model.output_shape == (None, None, None, expected.shape[1])


@pytest.mark.parametrize("case", WITH_GRADIENT)
def test_gradients_equal_caffe(case):
    layer, blobs = build_layer(case, "channels_last"), golden(case)
    x = nhwc(blobs["blob/data"])
    layer.build(x.shape)
    load(layer, case)
    at_input, at_weights = gradients(layer, x, nhwc(blobs["top_diff/y"]))
    assert relative_error(nchw(at_input), blobs["diff/data"]) <= 1e-5
    for i, gradient in enumerate(at_weights):
        if gradient.ndim == 4:
            gradient = gradient.transpose(3, 2, 0, 1)
        assert relative_error(gradient, blobs[f"param_diff/y/{i}"]) <= 1e-5
    assert len(at_weights) == sum(key.startswith("param_diff/") for key in blobs)
