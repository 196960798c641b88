import math

import bvlc
import pytest
from bvlc import parse
from caffe_bytes import GOLDENS
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from keras_caffe_zoo.caffe import CaffeFormatError, declared, parse_prototxt


def fails(text, match, kind="NetParameter"):
    with pytest.raises(CaffeFormatError, match=match) as caught:
        parse(text, kind)
    return caught.value


@pytest.mark.parametrize(
    "path", sorted(GOLDENS.glob("*.prototxt")), ids=lambda path: path.stem
)
def test_reads_what_protobufs_own_parser_reads(path):
    text = path.read_text()
    want = text_format.Parse(text, bvlc.NetParameter())
    assert parse(text) == want
    net = parse_prototxt(text)
    if net.version == "V2":  # in words as in the file, and in bytes
        assert bvlc.from_text(net).layer[-len(want.layer) :] == want.layer
        assert bvlc.from_bytes(net).layer[-len(want.layer) :] == want.layer


TRAPS = r"""
# a comment { with brackets
name : 'single "quoted"' " and" # another
  "\x41\102\n\t\\\'\u00e9\303\251"
force_backward: t; debug_info: 0,
layer <
  name: "a" type: "Pooling", bottom: ["b", 'c']; top: "d"
  loss_weight: [1, 1.f, .5, 2., 1e-4, 3E+2F, -inf, nan, -1]
  propagate_down: [true, false, t, f, 1, 0, True, False]
  pooling_param: { pool: 1 kernel_size: 0x1F stride: 017; pad: 0 }
  include: [{ phase: TRAIN }, < phase: 1 >]
>
input_dim: -0x10 input_dim: 2147483647
"""


def test_traps_of_the_text_format():
    net = parse(TRAPS)
    (layer,) = net.layer
    assert net.name == 'single "quoted" andAB\n\t\\\'éé'
    assert (net.force_backward, net.debug_info) == (True, False)
    assert (layer.bottom[:], layer.propagate_down[:]) == (["b", "c"], [1, 0] * 4)
    weights = list(layer.loss_weight)
    assert weights[:4] == [1, 1, 0.5, 2] and weights[5:7] == [300, -math.inf]
    assert weights[4] == pytest.approx(1e-4)
    assert math.isnan(weights[7]) and weights[8] == -1
    pool = layer.pooling_param
    assert (pool.pool, pool.kernel_size, pool.stride) == (1, 31, 15)
    assert [rule.phase for rule in layer.include] == [0, 1]
    assert net.input_dim[:] == [-16, 2147483647]
    want = text_format.Parse(TRAPS, bvlc.NetParameter())
    assert str(net) == str(want)  # text, for a NaN equals nothing
    net = parse_prototxt(TRAPS)
    for got in (bvlc.from_text(net), bvlc.from_bytes(net)):
        assert str(got.layer) == str(want.layer)


fillers = st.builds(
    bvlc.MESSAGES["FillerParameter"],
    type=st.text(),
    value=st.floats(width=32, allow_nan=False),
    sparse=st.integers(-(2**31), 2**31 - 1),
    variance_norm=st.sampled_from([0, 1, 2]),
)
layers = st.builds(
    bvlc.LayerParameter,
    name=st.text(),
    type=st.just("Convolution"),
    bottom=st.lists(st.text(), max_size=3),
    loss_weight=st.lists(st.floats(width=32, allow_nan=False), max_size=3),
    phase=st.sampled_from([0, 1]),
    convolution_param=st.builds(
        bvlc.MESSAGES["ConvolutionParameter"],
        kernel_size=st.lists(st.integers(0, 2**32 - 1), max_size=3),
        bias_term=st.booleans(),
        weight_filler=fillers,
    ),
)


@given(st.builds(bvlc.NetParameter, name=st.text(min_size=1), layer=st.lists(layers)))
def test_reads_back_whatever_protobuf_prints(net):
    for one_line in (False, True):
        text = text_format.MessageToString(net, as_one_line=one_line)
        assert parse(text) == net
        read = parse_prototxt(text)
        assert bvlc.from_bytes(read) == bvlc.from_text(read) == net


def test_unknown_fields_are_reported_with_layer_and_path():
    net = parse_prototxt("""
        engine: "fork" engine: 'twice'
        layer {
          pooling_param { kernel_size: 2 other_mode: false extra < a: [1, { b: 2 }] > }
          odd_param { height: 3 nested { deep: "x" "y" } }
          bn_mode: -1
          param { lr_mult: 1 odd: 3 }
          name: "p" type: "Pooling"
        }
        layer { name: "q" type: "ReLU" plain: [1, 2] }
        layer { type: "ReLU" odd: 1 }
    """)
    assert [(str(field), field.value) for field in net.unknown_fields] == [
        ("net: field 'engine'", '"fork"'),
        ("net: field 'engine'", "'twice'"),
        ("layer 'p': field 'param.odd'", "3"),
        ("layer 'p': field 'odd_param'", '{ height: 3 nested { deep: "x" "y" } }'),
        ("layer 'p': field 'bn_mode'", "-1"),
        ("layer 'p': field 'pooling_param.other_mode'", "false"),
        ("layer 'p': field 'pooling_param.extra'", "< a: [1, { b: 2 }] >"),
        ("layer 'q': field 'plain'", "[1, 2]"),
        ("layer '#2': field 'odd'", "1"),
    ]
    assert net.layers[0].param.kernel_size == 2


def test_unknown_fields_of_old_layers_are_reported():
    net = parse_prototxt(
        "layers { layer { name: 'c' type: 'relu' odd: 1 } even: 2 }"
        "layers { layer { name: 'd' type: 'relu' } concat_param { concat_dim: 0 } }"
    )
    assert [(str(x), x.value) for x in net.unknown_fields] == [
        ("layer 'c': field 'layer.odd'", "1"),
        ("layer 'c': field 'even'", "2"),
        ("layer 'd': field 'concat_param'", "{ concat_dim: 0 }"),
    ]
    net = parse_prototxt("layers { name: 'c' type: RELU odd: 1 relu_param { e: 2 } }")
    assert list(map(str, net.unknown_fields)) == [
        "layer 'c': field 'odd'",
        "layer 'c': field 'relu_param.e'",
    ]


def raised(read):
    with pytest.raises(CaffeFormatError) as caught:
        read()
    return caught.value


def test_errors_name_line_and_column_layer_and_field():
    net = parse_prototxt(
        'name: "n"\nlayer {\n  type: "Pooling" pooling_param { pool: MIN }\n'
        '  name: "p"\n}'
    )
    error = raised(lambda: net.layers[0].param)
    assert (error.line, error.column) == (3, 41)
    assert (error.layer, error.field) == ("p", "pooling_param.pool")
    assert "<string>, line 3, column 41" in str(error)
    assert "MAX, AVE, STOCHASTIC; received: MIN" in str(error)


POOLING = "layer { name: 'p' type: 'Pooling' pooling_param %s }"


@pytest.mark.parametrize(
    "text",
    [
        POOLING % "{ pool: MIN }",
        POOLING % "{ pool: 3 }",
        POOLING % ": < kernel_size: -1 >",
        POOLING % "{ kernel_size: 2 } pooling_param { stride: 2 }",
        POOLING % "{ kernel_size: 2 kernel_size: 3 }",
        POOLING % "{ kernel_size: [1, 2] }",
        POOLING % "{ kernel_size { } }",
        POOLING % "{ 3: 4 }",
        POOLING % ": 3",
        POOLING % ": 'x'",
        POOLING % ": [{ }, { }]",
        POOLING % "# why\n\n {\n\tpool: MAX # \u00e9\n\n  # x\n \t stride: 1.5\n}",
        "\n\n" + POOLING % "\n{\n}\npooling_param { }",
        "name: 'n'\nlayer {\ntype: 'Pooling' bottom: 'a'\n pooling_param {\npad: x}}",
        "layer { name: 'c' type: 'Convolution' convolution_param { kernel_size: [1,\n"
        "-2] } }",
        "layer { name: 'c' type: 'Convolution' convolution_param { weight_filler {\n"
        "variance_norm: FAN } } }",
        r"layer { type: 'Python' python_param { module: 'a' layer: '\xff' } }",
        r"layer { type: 'Python' python_param { module: 'a' layer: '\q' } }",
    ],
)
def test_errors_inside_parameters_come_with_their_place_when_they_are_decoded(text):
    want = raised(lambda: parse(text))  # one parser with the whole schema
    assert want.line and want.column and want.layer and want.field
    net = parse_prototxt(text)
    (layer,) = net.layers
    (param,) = declared(layer.type).params
    for read in (
        lambda: layer.param,
        lambda: layer.read(param.name),
        lambda: layer.decode(param),
        lambda: net.unknown_fields,
    ):
        assert vars(raised(read)) == vars(want)


ERRORS = [
    ("layer {", "received: end of text"),
    ("layer { name: 'a' ", "received: end of text"),
    ("layer { name: 'a' >", "received: '>'"),
    ("}", "received: '}'"),
    ("name 'x'", "Expected ':'"),
    ("name: x", "string in quotes"),
    ("name: 'x", "closed string"),
    ("name: 'x\n'", "closed string"),
    (r"name: '\q'", "escape"),
    (r"name: '\777'", "escape"),
    (r"name: '\U00110000'", "Unicode"),
    (r"name: '\ud800'", "Unicode"),
    (r"name: '\xff'", "UTF-8"),
    ("name: 'x' name: 'y'", "once"),
    ("state {} state {}", "once"),
    ("layer: 3", "Expected '{'"),
    ("layer { pooling_param { kernel_size: -1 } }", "uint32; received: -1"),
    ("layer { pooling_param { kernel_size: 4294967296 } }", "received: 4294967296"),
    ("layer { pooling_param { kernel_size: 1.5 } }", "received: 1.5"),
    ("layer { pooling_param { kernel_size: 09 } }", "received: 09"),
    ("layer { pooling_param { kernel_size: 1" + "0" * 5000 + " } }", "uint32"),
    ("layer { pooling_param { pool: 3 } }", "MAX, AVE, STOCHASTIC; received: 3"),
    ("layer { phase: test }", "received: test"),
    ("input_dim: 3abc", "received: '3abc'"),
    ("force_backward: 2", "received: 2"),
    ("force_backward: yes", "received: yes"),
    ("layer { loss_weight: 0x10 }", "received: 0x10"),
    ("layer { loss_weight: 1e }", "received: '1e"),
    ("layer { loss_weight: [1 2] }", "',' or ']'"),
    ("layer { loss_weight: [1, }", "received: '}'"),
    ("force_backward: [true]", "received: '\\['"),
    ("[ext.field]: 3", "received: '\\['"),
    ("odd", "received: end of text"),
    ("odd 3", "':' or '{'"),
    ("odd: }", "a value"),
    ("odd { a: > }", "matching"),
    ("odd { a: 1", "received: end of text"),
    ("odd: [ { ] }", "matching"),
    ("odd" + " { a" * 1000, "nested"),
    ("\u00a0name: 'x'", "received"),
    ("name: 'x' \x00", "received"),
    ("layer { clip_param { min: 0 } }", "clip_param.max"),
]


@pytest.mark.parametrize("text, match", ERRORS)
def test_errors(text, match):
    fails(text, match)


@pytest.mark.parametrize("text, match", [x for x in ERRORS if "_param" not in x[0]])
def test_errors_outside_of_parameters_come_when_the_text_is_read(text, match):
    want = raised(lambda: parse(text))
    assert vars(raised(lambda: parse_prototxt(text))) == vars(want)


def test_a_required_field_that_a_parameter_lacks():
    net = parse_prototxt("layer { name: 'c' type: 'Clip' clip_param { min: 0 } }")
    for read in (lambda: net.layers[0].param, lambda: net.unknown_fields):
        error = raised(read)
        assert error.layer == "c" and "received none for: clip_param.max" in str(error)


@pytest.mark.parametrize(
    "word", ["", "name:", "layer { type:", "{" * 5000, "a{" * 5000]
)
def test_nothing_but_the_formats_error(word):
    if word:
        fails(word, "Expected")
    else:
        assert parse(word) == bvlc.NetParameter()


def test_comments_may_be_in_any_encoding_but_strings_must_not(tmp_path):
    from keras_caffe_zoo.caffe import read_prototxt

    path = tmp_path / "net.prototxt"
    path.write_bytes(b"\xef\xbb\xbf# \xb2\xce\xca\xfd\r\nname: 'x'\r\n")
    assert read_prototxt(path).name == "x"
    path.write_bytes(b"name: '\xb2\xce'")
    with pytest.raises(CaffeFormatError, match="net.prototxt, line 1.*UTF-8"):
        read_prototxt(path)


@pytest.mark.slow
def test_long_strings_and_comments_are_no_burden():
    assert len(parse("name: '" + "\\n" * 10**6 + "'").name) == 10**6
    assert parse("#\n" * 10**6 + "name: 'x'").name == "x"


@pytest.mark.slow
def test_sizes_are_bounded():
    with pytest.raises(CaffeFormatError, match="at most 16 MiB"):
        parse_prototxt(" " * (17 << 20))
    for text, match in (
        ("layer{}" * 20_000, "at most 16,384 layers"),
        ("layer{" + "param{}" * 300_000 + "}", "at most 250,000 blocks"),
        ("layer{" + "odd{}" * 300_000 + "}", "at most 250,000 blocks"),
        ("layer{" + "odd:1 " * 300_000 + "}", "at most 250,000 blocks"),
    ):
        with pytest.raises(CaffeFormatError, match=match):
            parse_prototxt(text)


def test_weights_in_text_are_read():
    net = parse_prototxt(
        "layer { name: 'a' type: 'Bias' blobs { shape { dim: 2 } data: [1, 2] } "
        "blobs { double_data: 0.5 } }"
    )
    assert [b.tolist() for b in net.params["a"]] == [[1, 2], 0.5]
    with pytest.raises(CaffeFormatError, match=r"layer 'a'.*blobs\[0\].*received: 1"):
        parse_prototxt("layer { name: 'a' blobs { shape { dim: 2 } data: 1 } }")
