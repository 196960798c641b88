"""What is read out of a net's structure, on nets written out here."""

import re

import keras
import numpy as np
import pytest

from keras_caffe_zoo.caffe import parse_prototxt
from keras_caffe_zoo.conversion.structure import (
    check_structure,
    flattened_channels,
    learned_blobs,
)
from keras_caffe_zoo.layers import CaffeConv2D, CaffeLRN, CaffePool2D
from keras_caffe_zoo.rules.geometry import sides

NET = """
name: "little"
input: "data" input_shape { dim: 1 dim: 4 dim: 9 dim: 9 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 6 kernel_size: 3 stride: 2 pad: 1 group: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "norm" type: "LRN" bottom: "pool" top: "norm"
        lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 k: 2 } }
"""


def model():
    inputs, last = keras.Input((9, 9, 4), name="data"), {"data_format": "channels_last"}
    x = CaffeConv2D(6, 3, 2, 1, groups=2, name="conv", **last)(inputs)
    x = CaffePool2D("max", 3, 2, name="pool", **last)(x)
    x = CaffeLRN(5, 1e-4, 0.75, 2.0, name="norm", **last)(x)
    return keras.Model(inputs, x, name="ours")


def test_the_same_net_passes():
    check_structure(parse_prototxt(NET), model())


def test_a_relu_that_is_a_layer_of_its_own_is_the_one_in_place():
    inputs, last = keras.Input((9, 9, 4), name="data"), {"data_format": "channels_last"}
    x = CaffeConv2D(6, 3, 2, 1, groups=2, name="conv", **last)(inputs)
    x = keras.layers.ReLU(name="relu")(x)
    x = CaffePool2D("max", 3, 2, name="pool", **last)(x)
    check_structure(parse_prototxt(NET), keras.Model(inputs, x))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stride: 2 pad: 1", "stride: 1 pad: 1", "'conv' has strides (1, 1) in the"),
        ("pad: 1", "pad: 0", "'conv' has pad (0, 0) in the file, (1, 1) here"),
        ("group: 2", "group: 1", "'conv' has groups 1 in the file, 2 here"),
        ("group: 2", "group: 2 dilation: 2", "'conv' has dilation_rate (2, 2)"),
        ("pool: MAX", "pool: AVE", "'pool' has pool ave in the file, max here"),
        ("size: 3 stride: 2 }", "size: 2 stride: 2 }", "'pool' has kernel_size (2, 2)"),
        ("local_size: 5", "local_size: 3", "'norm' has local_size 3"),
        ("0.0001", "0.0005", "'norm' has alpha 0.0005"),
        ("k: 2", "k: 1", "'norm' has k 1.0 in the file, 2.0 here"),
        ("k: 2", "k: 2 norm_region: WITHIN_CHANNEL", "norm_region within_channel"),
    ],
)
def test_a_difference_is_named_with_both_values(old, new, message):
    assert old in NET
    with pytest.raises(ValueError, match=re.escape(message)):
        check_structure(parse_prototxt(NET.replace(old, new)), model())


def test_all_differences_are_named_at_once():
    text = NET.replace("k: 2", "k: 1").replace("group: 2", "group: 1")
    with pytest.raises(ValueError, match="'ours'.*'little'.*groups.*norm"):
        check_structure(parse_prototxt(text), model())


def test_the_order_of_pooling_and_norm_is_compared():
    text = NET.replace('bottom: "conv" top: "pool"', 'bottom: "norm" top: "pool"')
    text = text.replace('bottom: "pool" top: "norm"', 'bottom: "conv" top: "norm"')
    *head, pool, norm = re.split(r"(?=layer {)", text)
    with pytest.raises(
        ValueError, match="'norm' reads 'conv' in the file, 'pool' here"
    ):
        check_structure(parse_prototxt("".join([*head, norm, pool])), model())


def test_layers_that_only_one_has_are_passed_over():
    text = NET.replace('name: "norm"', 'name: "another"')
    check_structure(parse_prototxt(text), model())


def inner_product(bottom, params=""):
    return f"""layer {{ name: "fc" type: "InnerProduct" bottom: "{bottom}" top: "fc"
               inner_product_param {{ num_output: 5 {params} }} }}"""


@pytest.mark.parametrize(
    ("bottom", "more", "channels"),
    [
        ("norm", "", 6),
        ("data", "", 4),
        (
            "flat",
            'layer { name: "flat" type: "Flatten" bottom: "norm" top: "flat" }',
            6,
        ),
        (
            "both",
            """layer { name: "both" type: "Concat" bottom: "norm" bottom: "data"
               top: "both" }""",
            10,
        ),
        (
            "first",
            """layer { name: "first" type: "InnerProduct" bottom: "norm" top: "first"
               inner_product_param { num_output: 7 } }""",
            7,
        ),
    ],
)
def test_channels_of_the_flattened_blob_are_traced(bottom, more, channels):
    net = parse_prototxt(NET + more + inner_product(bottom))
    assert flattened_channels(net)["fc"] == channels


def test_what_cannot_be_traced_is_left_out():
    reshape = 'layer { name: "r" type: "Reshape" bottom: "norm" top: "r" }'
    net = parse_prototxt(NET + reshape + inner_product("r"))
    assert "fc" not in flattened_channels(net)


@pytest.mark.parametrize(("params", "rows"), [("", 5), ("transpose: true", 8)])
def test_learned_blobs_have_outputs_first(params, rows):
    layer = parse_prototxt(NET + inner_product("norm", params)).layers[-1]
    layer.blobs = [np.arange(40.0).reshape(rows, -1), np.zeros(5)]
    weight, _ = learned_blobs(layer)
    expected = layer.blobs[0].T if params else layer.blobs[0]
    assert weight.shape == (5, 8)
    np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kernel_size: 3", (3, 3)),
        ("kernel_size: 3 kernel_size: 5", (3, 5)),
        ("kernel_h: 3 kernel_w: 5", (3, 5)),
        ("", (None, None)),
    ],
)
def test_a_window_is_read_however_it_is_written(text, expected):
    layer = f'layer {{ name: "c" type: "Convolution" convolution_param {{ {text} }} }}'
    param = parse_prototxt(layer).layers[0].param
    assert sides(param, "kernel_size", None) == expected
