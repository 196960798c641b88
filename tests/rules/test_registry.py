"""Rules: how they are found, given, and what is said where there is none."""

import keras
import numpy as np
import pytest

import keras_caffe_zoo as kcz
from keras_caffe_zoo.rules import layout
from keras_caffe_zoo.rules.registry import rule_for, rule_of

NET = """input: "data" input_shape {{ dim: 2 dim: 3 dim: 4 dim: 4 }}
layer {{ name: "a" type: "{type}" bottom: "data" top: "a" {more} }}"""


@pytest.fixture
def load(tmp_path):
    def load(type_, more="", custom=None, params=None):
        path = tmp_path / "net.prototxt"
        path.write_text(NET.format(type=type_, more=more))
        weights = None
        if params is not None:
            weights = tmp_path / "net.caffemodel"
            kcz.write_caffemodel(weights, params)
        return kcz.from_caffe(path, weights, custom_layers=custom)

    return load


class Mix(keras.layers.Layer):
    """Mixes channels by a matrix."""

    def __init__(self, outputs, **kwargs):
        super().__init__(**kwargs)
        self.outputs = outputs

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], self.outputs), "ones", name="kernel")

    def call(self, x):
        return keras.ops.matmul(x, self.kernel)


class MixRule(kcz.Rule):
    types, layers = ("Mix",), (Mix,)
    param = kcz.Param("mix_param", "outputs uint32")
    codec = kcz.Codec(
        lambda layer, weights: [layout.dense_weight(weights[0])],
        lambda layer, blobs: [layout.dense_kernel(blobs[0])],
    )

    def build(self, node, x):
        node.learns((node.param.outputs, node.channels(x)))
        return Mix(node.param.outputs, name=node.name)(x)

    def encode(self, call):
        call.add("Mix", mix_param={"outputs": call.layer.outputs})


def varint(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128, value >> 7])


def sub(number, body):
    """Return a field of bytes or text as protobuf writes it."""
    body = body.encode() if isinstance(body, str) else body
    return varint(number << 3 | 2) + varint(len(body)) + body


def num(number, value):
    return varint(number << 3) + varint(value)


def blob(*shape):
    values = np.arange(np.prod(shape), dtype="<f4").tobytes()
    return sub(7, sub(1, b"".join(map(varint, shape)))) + sub(5, values)


WEIGHT = np.arange(6, dtype="float32").reshape(2, 3)
MORE = "mix_param { outputs: 2 }"


@pytest.mark.parametrize("rule", [MixRule, MixRule()])
def test_a_rule_for_one_import_only(load, rule, tmp_path):
    model = load("Mix", MORE, {"Mix": rule}, {"a": [WEIGHT]})
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    np.testing.assert_allclose(
        model.predict(x, verbose=0), x @ WEIGHT.T, rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(kcz.caffe_params(model)["a"][0], WEIGHT)
    assert rule_of("Mix") is None  # it was for that import
    kcz.to_caffe(model, tmp_path / "b.prototxt", tmp_path / "b.caffemodel")
    assert "outputs: 2" in (tmp_path / "b.prototxt").read_text()
    again = kcz.from_caffe(
        tmp_path / "b.prototxt",
        tmp_path / "b.caffemodel",
        custom_layers={"Mix": rule},
    )
    np.testing.assert_array_equal(kcz.caffe_params(again)["a"][0], WEIGHT)


def test_a_function_reads_parameters_that_nobody_declared(load):
    seen = {}

    def build(node, x):
        seen.update(
            by=node.param.by, on=node.param.on, how=node.param.how, of=node.param.of
        )
        return keras.layers.Rescaling(node.param.by, name=node.name)(x)

    more = "odd_param { by: 2.5 on: true how: FAST of: 1 of: 2 }"
    load("Odd", more, {"Odd": build})
    assert seen == {"by": 2.5, "on": True, "how": "FAST", "of": [1, 2]}


def test_a_function_that_asks_for_a_default_is_told_that_there_is_none(load):
    def build(node, x):
        return keras.layers.Rescaling(node.param.scale)(x)

    with pytest.raises(AttributeError, match="no field 'scale'.*Write a rule"):
        load("Odd", "odd_param { by: 2 }", {"Odd": build})


def test_weights_that_a_function_does_not_take_are_an_error(load):
    def build(node, x):
        return keras.layers.Identity(name=node.name)(x)

    with pytest.raises(kcz.CaffeFormatError, match=r"'a'.*has parameters.*\(2, 3\)"):
        load("Odd", "", {"Odd": build}, {"a": [WEIGHT]})


def test_weights_that_a_function_takes_are_loaded(load):
    def build(node, x):
        node.learns((2, 3, 1, 1))
        return kcz.CaffeConv2D(
            2, 1, use_bias=False, name=node.name, data_format="channels_last"
        )(x)

    model = load("Odd", "", {"Odd": build}, {"a": [WEIGHT.reshape(2, 3, 1, 1)]})
    np.testing.assert_array_equal(
        kcz.caffe_params(model)["a"][0], WEIGHT.reshape(2, 3, 1, 1)
    )


def test_weights_that_no_blobs_are_for_are_warned_of(load):
    def build(node, x):
        return keras.layers.Dense(2, name=node.name)(x)

    with pytest.warns(UserWarning, match=r"weights of 'a' are not from .*caffemodel"):
        load("Odd", "", {"Odd": build}, {"other": [WEIGHT]})


def test_a_function_that_learns_without_a_layer_to_hold_it_is_an_error(load):
    def build(node, x):
        node.learns((2, 3))
        return keras.layers.Identity(name=node.name)(x)

    with pytest.raises(kcz.CaffeFormatError, match="Expected a layer with weights"):
        load("Odd", "", {"Odd": build}, {"a": [WEIGHT]})


def test_weights_of_a_layer_that_has_none_are_an_error(load):
    with pytest.raises(kcz.CaffeFormatError, match=r"'a'.*has parameters"):
        load("ReLU", "", None, {"a": [WEIGHT]})


class InterpRule(kcz.Rule):
    types = ("Interp",)
    param = kcz.Param("interp_param", "1 height int32=0; 3 zoom_factor int32=1", 143)

    def build(self, node, x):
        return keras.layers.UpSampling2D(node.param.zoom_factor, name=node.name)(x)


def test_a_fork_with_another_message_at_a_number_of_caffes_own_is_imported(tmp_path):
    """143 is `input_param` in BVLC's Caffe, and `interp_param` in DeepLab's."""
    text = NET.format(type="Interp", more="interp_param { zoom_factor: 2 }")
    text += """
    layer { name: "fc" type: "InnerProduct" bottom: "a" top: "fc"
            inner_product_param { num_output: 2 bias_term: false } }"""
    (tmp_path / "net.prototxt").write_text(text)
    layers = [
        sub(1, "a") + sub(2, "Interp") + sub(143, num(1, 4) + num(3, 2)),
        sub(1, "fc") + sub(2, "InnerProduct") + sub(7, blob(2, 3 * 8 * 8)),
    ]
    weights = tmp_path / "net.caffemodel"
    weights.write_bytes(b"".join(sub(100, layer) for layer in layers))
    custom = {"Interp": InterpRule}
    model = kcz.from_caffe(tmp_path / "net.prototxt", weights, custom_layers=custom)
    assert model.get_layer("a").output.shape == (None, 8, 8, 3)
    assert kcz.read_caffemodel(weights)["fc"][0].shape == (2, 192)
    assert "Interp" in str(kcz.inspect_file(weights))


def test_a_field_that_the_rule_does_not_declare_is_refused(load):
    more = "mix_param { outputs: 2 transposed: true }"
    with pytest.raises(kcz.CaffeFormatError, match="mix_param.transposed"):
        load("Mix", more, {"Mix": MixRule})


def test_an_unknown_type_leads_the_error(load):
    with pytest.raises(kcz.CaffeFormatError) as info:
        load("Odd", "odd_param { zoom_factor: 2 }")
    said = str(info.value).partition("net.prototxt: ")[2]
    assert said.startswith("No rule for layers of the type 'Odd' ('a')")
    assert len(said) < 300
    assert "custom_layers" in said


@pytest.mark.parametrize("given", [3, "Mix", object])
def test_what_is_no_rule_is_refused(given):
    with pytest.raises(TypeError, match="Expected a Rule"):
        kcz.register(given)


def test_a_custom_layer_that_is_neither_rule_nor_function_is_refused(load):
    with pytest.raises(ValueError, match="rules or functions"):
        load("Mix", "", {"Mix": 3})


def test_every_layer_class_has_a_rule_with_traits():
    from keras_caffe_zoo import layers

    for name in layers.__all__:
        rule = rule_for(getattr(layers, name).__new__(getattr(layers, name)))
        by_layer = type(rule).traits_of is not kcz.Rule.traits_of
        assert by_layer or (rule.traits.places and rule.traits.order), name


# Types whose Keras layers are those of another rule, which writes them.
WRITTEN_BY_OTHERS = """Sigmoid TanH BNLL ReLU6 Upsample BN DepthwiseConvolution
    ConvolutionDepthwise""".split()  # noqa: SIM905


def test_every_rule_that_builds_says_how_it_is_written():
    for type_ in kcz.supported_layers():
        rule = rule_of(type_)
        classes = [c for c in rule.layers if c is not keras.layers.InputLayer]
        assert rule.role == "input" or classes or type_ in WRITTEN_BY_OTHERS
