"""Nets built without weights: each parameter as its filler says, by Caffe's shape."""

import math

import keras
import numpy as np
import pytest

from keras_caffe_zoo import CaffeFormatError, caffe_params, from_caffe
from keras_caffe_zoo.caffe import parse_prototxt
from keras_caffe_zoo.conversion.deploy import deploy_net
from keras_caffe_zoo.conversion.filling import fill
from keras_caffe_zoo.conversion.importer import build_net

IMAGE = """layer { name: "data" type: "Input" top: "data"
    input_param { shape { dim: 2 dim: 8 dim: 6 dim: 6 } } }
"""
VECTOR = """layer { name: "data" type: "Input" top: "data"
    input_param { shape { dim: 2 dim: 40 } } }
"""
STEPS = """layer { name: "data" type: "Input" top: "x" top: "cont"
    input_param { shape { dim: 5 dim: 2 dim: 30 } shape { dim: 5 dim: 2 } } }
"""


def layer(kind, param, name="y", bottom="data", extra=""):
    ends = " ".join(f'bottom: "{b}"' for b in bottom.split())
    head = f'name: "{name}" type: "{kind}" {ends} top: "{name}"'
    return f"layer {{ {head} {param} {extra} }}\n"


def filler(kind, rest="", field="weight_filler"):
    return f'{field} {{ type: "{kind}" {rest} }}'


@pytest.fixture
def params(tmp_path):
    """Return the parameters, in Caffe's layout, of a net built without weights."""

    def params(text, **options):
        (tmp_path / "net.prototxt").write_text(text)
        return caffe_params(from_caffe(tmp_path / "net.prototxt", **options))

    return params


def fans(shape):
    """Return Caffe's fan-in and fan-out of a blob."""
    count = math.prod(shape)
    return count / shape[0], count / shape[1] if len(shape) > 1 else count


def assert_uniform(values, limit):
    assert np.abs(values).max() <= limit
    assert np.abs(values).max() > 0.98 * limit
    assert values.std() == pytest.approx(limit / math.sqrt(3), rel=0.1)


CONV = "num_output: 16 kernel_size: 3"
# Each layer that has weights, with the shape of Caffe's blob.
SHAPES = {
    "conv": (IMAGE, "Convolution", f"convolution_param {{ {CONV} %s }}", (16, 8, 3, 3)),
    "conv_group": (
        IMAGE,
        "Convolution",
        f"convolution_param {{ {CONV} group: 4 %s }}",
        (16, 2, 3, 3),
    ),
    "conv_1d": (
        IMAGE,
        "Convolution",
        f"convolution_param {{ {CONV} axis: 2 %s }}",
        (16, 6, 3),
    ),
    "deconv": (
        IMAGE,
        "Deconvolution",
        f"convolution_param {{ {CONV} %s }}",
        (8, 16, 3, 3),
    ),
    "deconv_group": (
        IMAGE,
        "Deconvolution",
        f"convolution_param {{ {CONV} group: 2 %s }}",
        (8, 8, 3, 3),
    ),
    "dense": (
        VECTOR,
        "InnerProduct",
        "inner_product_param { num_output: 90 %s }",
        (90, 40),
    ),
    "dense_of_image": (
        IMAGE,
        "InnerProduct",
        "inner_product_param { num_output: 9 %s }",
        (9, 288),
    ),
    "dense_transposed": (
        IMAGE,
        "InnerProduct",
        "inner_product_param { num_output: 9 transpose: true %s }",
        (288, 9),
    ),
    "dense_axis_2": (
        IMAGE,
        "InnerProduct",
        "inner_product_param { num_output: 90 axis: 2 transpose: true %s }",
        (36, 90),
    ),
    "embed": (
        VECTOR,
        "Embed",
        "embed_param { input_dim: 50 num_output: 20 %s }",
        (50, 20),
    ),
}


@pytest.mark.parametrize("norm", ["FAN_IN", "FAN_OUT", "AVERAGE"])
@pytest.mark.parametrize("case", SHAPES)
def test_xavier_follows_the_fans_of_caffes_blob(params, case, norm):
    data, kind, param, shape = SHAPES[case]
    weight = filler("xavier", f"variance_norm: {norm}")
    values, bias = params(data + layer(kind, param % weight))["y"]
    assert values.size == math.prod(shape)
    fan_in, fan_out = fans(shape)
    n = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}[norm]
    assert_uniform(values, math.sqrt(3 / n))
    assert not bias.any()


@pytest.mark.parametrize("case", SHAPES)
def test_unitball_sums_to_one_along_the_rows_of_caffes_blob(params, case):
    data, kind, param, shape = SHAPES[case]
    text = data + layer(kind, param % filler("positive_unitball"))
    values = params(text)["y"][0]
    # `caffe_params` has (outputs, inputs) of every InnerProduct, transposed or not.
    if "transpose: true" in param:
        values = values.reshape(shape[::-1]).T
    assert values.shape == shape
    np.testing.assert_allclose(values.reshape(shape[0], -1).sum(1), 1, rtol=1e-5)


def test_an_inner_product_made_a_convolution_is_filled_as_the_matrix_it_is(params):
    data, kind, param, _ = SHAPES["dense_of_image"]
    weight = filler("msra", "variance_norm: FAN_OUT")
    text = data + layer(kind, param.replace("9", "64") % weight)
    values = params(text, fully_convolutional=True)["y-conv"][0]
    assert values.shape == (64, 8, 6, 6)
    assert values.std() == pytest.approx(math.sqrt(2 / 64), rel=0.05)


@pytest.mark.parametrize(
    "text, low, high, mean, std",
    [
        ('type: "constant" value: 0.25', 0.25, 0.25, 0.25, 0),
        ("value: 2", 2, 2, 2, 0),
        ('type: "uniform"', 0, 1, 0.5, 12**-0.5),
        ('type: "uniform" min: -3 max: -1', -3, -1, -2, 2 * 12**-0.5),
        ('type: "gaussian" mean: 5 std: 0.1', 4, 6, 5, 0.1),
        ('type: "gaussian"', -9, 9, 0, 1),
        ('type: "msra"', -2, 2, 0, 20**-0.5),
    ],
)
def test_every_filler_has_its_numbers_and_caffes_defaults(
    params, text, low, high, mean, std
):
    param = f"inner_product_param {{ num_output: 90 weight_filler {{ {text} }} }}"
    values = params(VECTOR + layer("InnerProduct", param))["y"][0]
    assert low <= values.min() and values.max() <= high
    assert values.mean() == pytest.approx(mean, abs=0.06)
    assert values.std() == pytest.approx(std, rel=0.05)


def test_biases_are_filled_too(params):
    bias = filler("uniform", "min: 1 max: 2", "bias_filler")
    for data, kind, param, _ in SHAPES.values():
        weight, values = params(data + layer(kind, param % bias))["y"]
        assert 1 <= values.min() < values.max() <= 2
        assert weight.any()  # no filler: Keras' own start, where Caffe has zeros


def test_a_sparse_gaussian_keeps_weights_by_caffes_number_of_outputs(params):
    weight = filler("gaussian", "sparse: 9")
    text = VECTOR + layer(
        "InnerProduct", f"inner_product_param {{ num_output: 90 {weight} }}"
    )
    values = params(text)["y"][0]
    assert np.mean(values != 0) == pytest.approx(9 / 90, rel=0.15)


def test_a_bilinear_deconvolution_interpolates_each_channel(params, tmp_path):
    weight = filler("bilinear")
    param = "num_output: 8 group: 8 kernel_size: 4 stride: 2 pad: 1 bias_term: false"
    text = IMAGE + layer("Deconvolution", f"convolution_param {{ {param} {weight} }}")
    (values,) = params(text)["y"]
    hat = np.array([0.25, 0.75, 0.75, 0.25])
    expected = np.broadcast_to(np.outer(hat, hat), (8, 1, 4, 4))
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    ramp = np.broadcast_to(np.arange(6.0)[None, :, None, None], (1, 6, 6, 8))
    model = from_caffe(tmp_path / "net.prototxt")
    inside = model.predict(ramp.astype("float32"), verbose=0)[0, 2:-2, 2:-2]
    np.testing.assert_allclose(inside[:, 0, 0], np.arange(0.75, 4.5, 0.5), rtol=1e-5)


def test_prelu_scale_and_bias_have_fillers_and_caffes_defaults(params):
    def of(kind, param):
        return params(IMAGE + layer(kind, param))["y"]

    (slopes,) = of("PReLU", "")
    np.testing.assert_array_equal(slopes, np.full(8, 0.25, "float32"))
    (slopes,) = of("PReLU", "prelu_param { filler { value: 0.5 } }")
    np.testing.assert_array_equal(slopes, np.full(8, 0.5, "float32"))
    shared = 'channel_shared: true filler { type: "uniform" min: 3 max: 4 }'
    (slope,) = of("PReLU", f"prelu_param {{ {shared} }}")
    assert slope.shape == () and 3 <= slope <= 4
    factor, offset = of("Scale", "scale_param { bias_term: true }")
    np.testing.assert_array_equal([factor, offset], [np.ones(8), np.zeros(8)])
    fillers = (
        f"filler {{ value: 3 }} {filler('uniform', 'min: 5 max: 6', 'bias_filler')}"
    )
    factor, offset = of("Scale", f"scale_param {{ bias_term: true {fillers} }}")
    np.testing.assert_array_equal(factor, np.full(8, 3, "float32"))
    assert 5 <= offset.min() < offset.max() <= 6
    (offset,) = of("Bias", "bias_param { num_axes: 3 filler { value: -1 } }")
    np.testing.assert_array_equal(offset, np.full((8, 6, 6), -1, "float32"))
    (offset,) = of("Bias", "")
    np.testing.assert_array_equal(offset, np.zeros(8))


def test_a_scale_with_a_second_bottom_has_only_a_bias_to_fill(params):
    param = "axis: 0 bias_term: true filler { value: 9 } bias_filler { value: 4 }"
    text = IMAGE + layer("Scale", f"scale_param {{ {param} }}", bottom="data data")
    (offset,) = params(text)["y"]
    np.testing.assert_array_equal(offset, np.full((2, 8, 6, 6), 4, "float32"))


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_recurrent_layers_fill_matrices_and_vectors(params, kind):
    weight = filler("xavier")
    bias = filler("uniform", "min: 1 max: 2", "bias_filler")
    param = f"recurrent_param {{ num_output: 20 {weight} {bias} }}"
    blobs = params(STEPS + layer(kind, param, bottom="x cont"))["y"]
    assert len(blobs) == (3 if kind == "LSTM" else 5)
    for blob in blobs:
        if blob.ndim == 2:
            assert_uniform(blob, math.sqrt(3 / blob.shape[1]))
        else:
            assert 1 <= blob.min() < blob.max() <= 2


def shared(first, second):
    spec = 'param { name: "w" } param { name: "b" }'
    return VECTOR + "".join(
        layer(
            "InnerProduct",
            f"inner_product_param {{ num_output: 40 {weight} }}",
            name,
            bottom,
            spec,
        )
        for name, bottom, weight in (("one", "data", first), ("two", "one", second))
    )


def test_shared_parameters_are_filled_by_the_first(params):
    text = shared("weight_filler { value: 3 }", "weight_filler { value: 5 }")
    found = params(text)
    for name in ("one", "two"):
        np.testing.assert_array_equal(found[name][0], np.full((40, 40), 3, "float32"))
    found = params(shared("", "weight_filler { value: 5 }"))
    assert found["one"][0].std() > 0  # the second has no say, as in Caffe


TWO = VECTOR + "".join(
    layer(
        "InnerProduct",
        f"inner_product_param {{ num_output: 40 {filler('gaussian')} }}",
        name,
        bottom,
    )
    for name, bottom in (("one", "data"), ("two", "one"))
)


def test_layers_of_one_shape_get_different_numbers_and_a_seed_repeats_them():
    nets = []
    for seed in (7, 7, 8):
        builder, model = build_net(deploy_net(parse_prototxt(TWO)))
        fill(builder.nodes, seed=seed)
        nets.append(caffe_params(model))
    first, again, other = nets
    assert (first["one"][0] != first["two"][0]).all()
    for name in ("one", "two"):
        np.testing.assert_array_equal(first[name][0], again[name][0])
        assert (first[name][0] != other[name][0]).all()


def test_keras_seed_makes_a_net_the_same_again(params):
    nets = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        nets.append(params(TWO)["two"][0])
    np.testing.assert_array_equal(nets[0], nets[1])
    assert (nets[0] != nets[2]).any()


def test_what_a_caffemodel_gave_stays_also_where_it_is_shared():
    text = shared("weight_filler { value: 3 }", "weight_filler { value: 5 }")
    builder, model = build_net(deploy_net(parse_prototxt(text)))
    (owner, _), (other, _) = builder.nodes
    before = caffe_params(model)["one"][0]
    other.blobs = [before]  # as if the second alone had been loaded
    fill(builder.nodes)
    np.testing.assert_array_equal(caffe_params(model)["one"][0], before)
    other.blobs = None
    fill(builder.nodes)
    assert (caffe_params(model)["two"][0] == 3).all()


@pytest.mark.parametrize(
    "kind, text, says",
    [
        ("Convolution", filler("orthogonal"), "the type 'orthogonal'"),
        ("Convolution", filler("Xavier"), "the type 'Xavier'. Did you mean 'xavier'"),
        ("Convolution", filler("xavier", "sparse: 3"), "sparse of gaussian only"),
        ("Convolution", filler("gaussian", "std: -1"), "Expected `std`"),
        ("Convolution", filler("gaussian", "sparse: 99"), "at most 16 outputs"),
        ("Convolution", filler("uniform", "min: 2"), "min of at most max"),
        ("Convolution", "kernel_w: 5 kernel_h: 3 " + filler("bilinear"), "square"),
        ("Deconvolution", "kernel_w: 5 kernel_h: 3 " + filler("bilinear"), "square"),
    ],
)
def test_a_filler_that_caffe_does_not_have_is_refused_by_name(params, kind, text, says):
    size = "" if "kernel_w" in text else "kernel_size: 3"
    param = f"convolution_param {{ num_output: 16 {size} {text} }}"
    with pytest.raises(CaffeFormatError, match=says) as caught:
        params(IMAGE + layer(kind, param))
    assert caught.value.layer == "y"
    assert caught.value.field == "convolution_param.weight_filler"


def test_a_bilinear_bias_is_refused_by_its_own_field(params):
    bias = filler("bilinear", field="bias_filler")
    text = VECTOR + layer(
        "InnerProduct", f"inner_product_param {{ num_output: 4 {bias} }}"
    )
    with pytest.raises(CaffeFormatError, match="inner_product_param.bias_filler"):
        params(text)
