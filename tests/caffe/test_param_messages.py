"""Parameters of types: declared, decoded by the type, kept as they are otherwise."""

import bvlc
import numpy as np
import pytest
from caffe_bytes import GOLDENS, all_of, blob, floats, layer, num, shape, sub, varint

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    Declaration,
    Layer,
    Param,
    declare,
    declared,
    params,
    parse_prototxt,
    read_net,
    write_caffemodel,
    write_prototxt,
)

INTERP = Param(
    "interp_param",
    "1 height int32=0; 2 width int32=0; 3 zoom_factor int32=1; "
    "4 shrink_factor int32=1; 5 pad_beg int32=0; 6 pad_end int32=0",
    143,
)
ALL = Param(
    "all_param",
    """
    1 flag bool=true; 2 count uint32=7; 3 scale float=0.5; 4 name string=none;
    7 mode Mode=SOFT; 5 sizes float*; 6 steps int32**; 8 inner Inner*;
    9 filler FillerParameter; 10 shape BlobShape; 11 wide double; 12 long int64=-1;
    13 phase Phase
    enum Mode: SOFT=1 HARD=2 NONE=-1
    message Inner
    1 deep Deeper; 2 needed float!; 3 kind Kind=B
    enum Kind: A=0 B=1
    message Deeper
    1 x int32=4; 2 again Deeper
    """,
    300,
)


@pytest.fixture(autouse=True)
def declarations(monkeypatch):
    monkeypatch.setattr(params, "_DECLARED", dict(params._DECLARED))
    yield
    params._all_params.cache_clear()


@pytest.fixture
def read(tmp_path):
    def read(data):
        path = tmp_path / "net.caffemodel"
        path.write_bytes(data)
        return read_net(path)

    return read


def unknown(net):
    return [(str(field), field.value) for field in net.unknown_fields]


def raws(net):
    return [
        [(raw.number, raw.wire, raw.value) for raw in x.message.raw] for x in net.layers
    ]


def one(fields, *params, type="Fork"):
    declare(type, Declaration(params))
    (layer,) = parse_prototxt(f"layer {{ name: 'x' type: '{type}' {fields} }}").layers
    return layer


def test_one_number_is_a_different_message_in_different_forks(read):
    declare("Interp", Declaration((INTERP,)))
    shapes = sub(1, sub(1, b"\1\3\x08\x09"))
    zoom = num(3, 2) + num(5, -1)
    net = read(
        layer("data", "Input", extra=sub(4, "data") + sub(143, shapes))
        + layer("up", "Interp", extra=sub(143, zoom))
    )
    assert net.inputs == {"data": (1, 3, 8, 9)}
    up = net.layers[1].param
    assert (up.height, up.zoom_factor, up.shrink_factor) == (0, 2, 1)
    assert (up.pad_beg, up.pad_end) == (-1, 0)
    assert net.unknown_fields == []
    text = net.to_prototxt()
    assert "interp_param {" in text and "zoom_factor: 2" in text
    again = parse_prototxt(text)
    assert again.inputs == net.inputs and again.layers[1].param == up


def test_a_number_that_holds_another_forks_field_is_no_damage(read):
    net = read(layer("up", "Unheard", extra=sub(143, num(1, 65) + num(2, 65))))
    (field,) = net.unknown_fields
    assert (field.layer, field.path) == ("up", "143")
    assert field.value == num(1, 65) + num(2, 65)
    with pytest.raises(AttributeError, match=r"'up' \(Unheard\)"):
        _ = net.layers[0].param
    # Read as Input's shapes, it is none; no error, since forks reuse numbers.
    decoded = net.layers[0].decode(declared("Input").params[0])
    assert decoded.given and not decoded.message.shape
    assert [x.path for x in decoded.unknown] == ["input_param.1", "input_param.2"]


FORK = (
    sub(143, num(1, 65))
    + num(152, 2**64 - 1)
    + varint(200 << 3 | 5)
    + floats(0.5)
    + varint(201 << 3 | 1)
    + b"12345678"
    + sub(143, b"\xff\xfe any bytes \0")
    + sub(8266711, b"")
)


def test_fields_that_nobody_declared_survive_bit_for_bit(read, tmp_path):
    data = sub(1, "n") + layer("up", "Unheard", blob([1.0, 2.0]), extra=FORK)
    net, path = read(data), tmp_path / "again.caffemodel"
    write_caffemodel(path, net.params, net)
    (body,) = all_of(path.read_bytes(), 100)
    assert FORK in body
    again = read_net(path)
    assert raws(again) == raws(net) and len(raws(net)[0]) == 6
    assert unknown(again) == unknown(net)
    assert [x for x, _ in unknown(net)] == [
        f"layer 'up': field '{number}'" for number in (143, 152, 200, 201, 143, 8266711)
    ]
    np.testing.assert_array_equal(again.params["up"][0], [1, 2])


def test_declared_fields_survive_bit_for_bit_too(read, tmp_path):
    # More than the declaration has, in an order that protobuf would not write.
    odd = num(40, 1) + num(3, 2) + num(2, 3)
    fork = sub(121, odd) + num(77, 5)
    net, path = read(layer("p", "Pooling", extra=fork)), tmp_path / "again.caffemodel"
    write_caffemodel(path, {}, net)
    assert fork in path.read_bytes()
    assert read_net(path).layers[0].param.stride == 2


def test_a_prototxt_says_what_it_cannot_write(read):
    net = read(
        layer("up", "Unheard", extra=FORK)
        + layer(
            "p", "Pooling", extra=sub(121, num(2, 3) + sub(40, b"\n}")) + num(121, 4)
        )
        + layer("relu", "ReLU", extra=num(123, 4))
    )
    text = net.to_prototxt()
    assert "  # field 143: b'\\x08A'\n" in text
    assert "  # field 152: b'\\xff" in text
    assert "    # pooling_param.40: b'\\n}'\n" in text
    assert "  # relu_param: b'\\x04'\n" in text
    again = parse_prototxt(text)
    assert again.unknown_fields == []
    assert [x.name for x in again.layers] == ["up", "p", "relu"]
    assert not again.layers[2].message.raw and again.layers[1].param.kernel_size == 3


KEPT = (
    "odd_param {  # why not\n      slope: 1, mode: FROZEN\n\n\tlist: [1, { a: < > }] }",
    "relu6: 1.5f",
    "words: 'a # b' \"\\n\u00e9\x85\u2028}\"",
    "other_param: <\n>",
    "pooling_param { kernel_size: 3 ceil_mode: false }",
    "raw { name: 'x' value: 'y' number: 3 }",
)


def test_words_that_nobody_declared_stay_as_they_are(tmp_path):
    text = "layer {\n  name: 'x'\n type: 'Fork'  " + "\n  ".join(KEPT) + "\n}\n"
    net, path = parse_prototxt(text), tmp_path / "net.prototxt"
    values = [(raw.name, raw.value) for raw in net.layers[0].message.raw]
    for _ in range(3):
        write_prototxt(path, net)
        written = path.read_text(encoding="utf-8")
        assert all(words in written for words in KEPT)
        net = read_net(path)
        assert [(raw.name, raw.value) for raw in net.layers[0].message.raw] == values
    assert [x for x, _ in unknown(net)] == [
        f"layer 'x': field '{name}'"
        for name in ("odd_param", "relu6", "words", "other_param", "raw")
    ]


def test_comments_of_any_encoding_survive(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes(
        b"layer { name: 'p' type: 'Pooling'\n"
        b"pooling_param {\n # \xb2\xce\n stride: 2 } }"
    )
    net = read_net(path)
    write_prototxt(path, net)
    assert b"# \xb2\xce\n" in path.read_bytes()
    assert read_net(path).layers[0].param == net.layers[0].param


def test_words_without_a_number_are_left_out_of_a_caffemodel(tmp_path):
    net = parse_prototxt("layer { name: 'x' type: 'Fork' odd_param { a: 1 } }")
    write_caffemodel(tmp_path / "a", {"x": []}, net)
    assert raws(read_net(tmp_path / "a")) == [[]]
    declare(
        "Fork", Declaration((Param("odd_param", "1 a int32; 2 b int32", (9999, 5)),))
    )
    write_caffemodel(tmp_path / "a", {"x": []}, net)
    assert raws(read_net(tmp_path / "a")) == [[(9999, 2, num(1, 1))]]


def test_the_first_of_several_numbers_is_written_and_each_is_read(read):
    param = Param("up_param", "1 scale int32=2", (150, 160))
    declare("Up", Declaration((param,)))
    for number in (150, 160):
        net = read(layer("u", "Up", extra=sub(number, num(1, 4))))
        assert net.layers[0].param.scale == 4 and not net.unknown_fields
        assert bytes(net.layers[0].to_bytes()).endswith(sub(number, num(1, 4)))
    assert parse_prototxt(
        "layer { type: 'Up' up_param { scale: 4 } }"
    ).layers[0].to_bytes().endswith(sub(150, num(1, 4)))  # fmt: skip


def test_a_param_without_a_number_is_read_from_text_only(read):
    declare("Up", Declaration((Param("up_param", "scale int32=2; odd float"),)))
    net = parse_prototxt("layer { type: 'Up' up_param { scale: 4 odd: 1 } }")
    assert (net.layers[0].param.scale, net.layers[0].param.odd) == (4, 1)
    assert b"up_param" not in net.layers[0].to_bytes()
    assert read(layer("u", "Up", extra=sub(1, "u"))).layers[0].param.scale == 2


@pytest.mark.parametrize(
    "kind, extra, path, value",
    [
        ("Pooling", num(121, 3), "pooling_param", b"\3"),
        ("Pooling", varint(121 << 3 | 5) + b"1234", "pooling_param", b"1234"),
        ("Pooling", sub(121, num(1, 9)), "pooling_param.1", b"\x09"),
        ("Pooling", sub(121, num(1, -1)), "pooling_param.1", b"\xff" * 9 + b"\1"),
        ("Pooling", sub(121, sub(2, b"\1")), "pooling_param.2", b"\1"),
        ("Pooling", sub(121, varint(2 << 3 | 5) + b"abcd"), "pooling_param.2", b"abcd"),
        ("Pooling", sub(121, varint(2 << 3 | 1) + b"abcdefgh"), "pooling_param.2",
         b"abcdefgh"),
        ("Convolution", sub(106, num(7, 3)), "convolution_param.7", b"\3"),
        ("Convolution", sub(106, sub(7, num(8, 3))),
         "convolution_param.weight_filler.8", b"\3"),
        ("Convolution", sub(106, sub(7, num(1, 3))),
         "convolution_param.weight_filler.1", b"\3"),
        ("Power", sub(122, num(1, 3)), "power_param.1", b"\3"),
        ("Python", sub(130, num(1, 3)), "python_param.1", b"\3"),
    ],
)  # fmt: skip
def test_what_must_be_another_forks_field_is_unknown_and_no_error(
    read, kind, extra, path, value
):
    net = read(layer("x", kind, extra=extra + num(10, 1)))
    assert unknown(net) == [(f"layer 'x': field {path!r}", value)]
    default = parse_prototxt(f"layer {{ type: '{kind}' }}").layers[0].param
    got = net.layers[0].param
    for field in default.DESCRIPTOR.fields:
        if field.message_type is None:
            assert getattr(got, field.name) == getattr(default, field.name)


def test_pieces_of_one_message_are_merged(read):
    pieces = sub(106, num(1, 4) + num(4, 3)) + sub(106, num(4, 5) + num(1, 6))
    net = read(layer("c", "Convolution", extra=pieces))
    param = net.layers[0].param
    assert (param.num_output, param.kernel_size[:]) == (6, [3, 5])
    reference = bvlc.message(net.layers[0]).convolution_param
    assert param.SerializeToString() == reference.SerializeToString()


@pytest.mark.parametrize("form", ["v0", "v1", "v2"])
@pytest.mark.parametrize("suffix", ["prototxt", "caffemodel"])
def test_parameters_of_all_forms_of_one_net_are_the_same(form, suffix):
    got = read_net(GOLDENS / f"format_{form}.{suffix}")
    want = read_net(GOLDENS / "format_v2.prototxt")
    assert [x.type for x in got.layers] == [x.type for x in want.layers]
    checked = 0
    for one, other in zip(got.layers, want.layers, strict=True):
        for param in declared(one.type).params:
            mine, reference = one.decode(param), other.decode(param)
            assert mine.given == reference.given and not mine.unknown
            for field in reference.message.DESCRIPTOR.fields:
                values = [getattr(x.message, field.name) for x in (mine, reference)]
                assert values[0] == values[1], (one.name, field.name)
                checked += 1
    assert checked > 40


def v1(kind, extra):
    return sub(2, sub(4, "x") + num(5, kind) + extra)


def test_v1_and_v0_parameters_in_binary_files(read):
    conv = num(1, 8) + num(4, 3) + num(40, 7)
    net = read(v1(4, sub(10, conv) + sub(143, "fork") + num(1010, 1)))
    assert (net.version, net.layers[0].type) == ("V1", "Convolution")
    assert net.layers[0].param.num_output == 8
    assert unknown(net) == [
        ("layer 'x': field '143'", b"fork"),
        ("layer 'x': field '1010'", b"\1"),
        ("layer 'x': field 'convolution_param.40'", b"\7"),
    ]
    # 143 is a number of V1 here; as one of V2 it would be an Input's shapes.
    assert net.layers[0].to_bytes().endswith(sub(106, conv))
    v0 = sub(1, sub(1, "c") + sub(2, "conv") + num(3, 8) + num(8, 3))
    net = read(sub(2, v0 + sub(10, num(5, 2)) + num(500, 3)))
    param = net.layers[0].param
    assert net.version == "V0"
    assert (param.num_output, param.kernel_size[:], param.group) == (8, [3], 1)
    assert unknown(net) == [
        ("layer 'c': field 'convolution_param'", num(5, 2)),
        ("layer 'c': field '500'", b"\3"),
    ]


def test_what_a_v1_data_layer_has_beyond_caffes_fields_is_reported(read):
    data = sub(1, "s") + varint(2 << 3 | 5) + floats(0.5) + num(40, 7)
    net = read(v1(5, sub(11, data) + sub(36, num(50, 1))))
    assert net.layers[0].read("transform_param").scale == 0.5
    assert (net.layers[0].param.source, net.layers[0].param.scale) == ("s", 1)
    assert unknown(net) == [
        ("layer 'x': field 'data_param.40'", b"\7"),
        ("layer 'x': field 'transform_param.50'", b"\1"),
    ]
    text = "data_param { scale: 0.5 odd: 7 } transform_param { even: 1 }"
    net = parse_prototxt(f"layers {{ name: 'x' type: DATA {text} }}")
    assert unknown(net) == [
        ("layer 'x': field 'data_param.odd'", "7"),
        ("layer 'x': field 'transform_param.even'", "1"),
    ]


def test_errors_in_v1_data_layers_name_the_place():
    text = "layers {\n name: 'x' type: DATA\n data_param { scale: one } }"
    with pytest.raises(CaffeFormatError) as caught:
        parse_prototxt(text, "old.prototxt")
    error = caught.value
    assert (error.source, error.line, error.column) == ("old.prototxt", 3, 22)
    assert (error.layer, error.field) == ("x", "data_param.scale")


def test_a_declaration_has_all_kinds_of_fields(read):
    text = (
        "all_param { flag: false count: 2 scale: 1e3 name: 'n' mode: HARD sizes: [1, 2]"
        " sizes: 3 steps: [1, -2] inner { needed: 1 deep { x: 1 again { x: 2 } } }"
        " inner { needed: 2 kind: A } filler { std: 0.5 } shape { dim: 1 dim: 2 }"
        " wide: 0.1 long: -5 phase: TEST }"
    )
    made = one(text, ALL)
    param = made.param
    assert (param.flag, param.count, param.scale, param.name) == (False, 2, 1000, "n")
    assert (param.mode, param.sizes[:], param.steps[:]) == (2, [1, 2, 3], [1, -2])
    assert [x.needed for x in param.inner] == [1, 2]
    assert [x.kind for x in param.inner] == [1, 0]
    assert param.inner[0].deep.again.x == 2 and param.inner[1].deep.x == 4
    assert (param.filler.std, param.filler.max, param.shape.dim[:]) == (0.5, 1, [1, 2])
    assert (param.wide, param.long, param.phase) == (0.1, -5, 1)
    defaults = one("", ALL)
    assert not defaults.decode(ALL).given
    param = defaults.param
    assert (param.flag, param.count, param.scale, param.name) == (True, 7, 0.5, "none")
    assert (param.mode, param.sizes[:], param.inner[:], param.long) == (1, [], [], -1)
    # The same through bytes, and back to words.
    net = read(sub(100, made.to_bytes()))
    assert net.layers[0].param == made.param and not net.unknown_fields
    assert parse_prototxt(net.to_prototxt()).layers[0].param == made.param


def test_a_messages_bytes_are_what_the_declared_numbers_say():
    message = ALL.message(steps=[1, 2], mode="NONE", inner=[{"needed": 1}])
    assert message.SerializeToString() == (
        sub(6, b"\1\2") + num(7, -1) + sub(8, varint(2 << 3 | 5) + floats(1))
    )
    raw = ALL.encode(message)
    assert (raw.name, raw.number, raw.wire) == ("all_param", 300, 2)
    assert ALL.decode([raw]).message == message


def test_a_negative_value_of_an_enum_is_one(read):
    declare("Fork", Declaration((ALL,)))
    net = read(layer("x", "Fork", extra=sub(300, num(7, -1))))
    assert net.layers[0].param.mode == -1 and not net.unknown_fields


def test_required_fields_deep_inside(read):
    with pytest.raises(
        CaffeFormatError, match=r"layer 'x'.*all_param.inner\[0\].needed"
    ):
        _ = one("all_param { inner { } }", ALL).param
    net = read(layer("x", "Fork", extra=sub(300, sub(8, b""))))
    with pytest.raises(CaffeFormatError, match=r"net.caffemodel.*inner\[0\].needed"):
        _ = net.layers[0].param


def test_unknown_fields_deep_inside(read):
    net = parse_prototxt(
        "layer { name: 'x' type: 'Fork' "
        "all_param { inner { needed: 1 deep { y: 2 } } } }"
    )
    declare("Fork", Declaration((ALL,)))
    assert unknown(net) == [("layer 'x': field 'all_param.inner.deep.y'", "2")]
    inner = varint(2 << 3 | 5) + floats(1) + sub(1, num(9, 2))
    net = read(layer("x", "Fork", extra=sub(300, sub(8, inner))))
    assert unknown(net) == [("layer 'x': field 'all_param.inner.deep.9'", b"\2")]


def test_blobs_inside_parameters_keep_their_values(read):
    param = Param("init_param", "1 value BlobProto", 400)
    declare("Init", Declaration((param,)))
    value = shape(2) + sub(5, floats(1, 2))
    net = read(layer("i", "Init", extra=sub(400, sub(1, value))))
    assert net.layers[0].param.value.data[:] == [1, 2]
    assert net.layers[0].param.SerializeToString() == sub(
        1, sub(5, floats(1, 2)) + shape(2)
    )


def test_fields_of_a_message_that_caffe_has_too_are_the_declarations():
    param = Param("data_param", "1 source string; 2 scale float=1; 50 root string", 107)
    assert one("data_param { root: 'r' }", param).param.root == "r"
    assert not one("", Param("data_param", number=107)).param.force_encoded_color


def test_fields_are_numbered_on_where_they_have_no_number():
    param = Param("a_param", "a int32; 5 b int32; c Inner\nmessage Inner\nd int32")
    message = param.message(a=1, b=2, c={"d": 3})
    assert message.SerializeToString() == num(1, 1) + num(5, 2) + sub(6, num(1, 3))


def test_spaces_around_a_default_do_not_count():
    message = Param(
        "a_param", "1 a int32 = 3; 2 b string = x ; 3 c float= 0.5"
    ).message()
    assert (message.a, message.b, message.c) == (3, "x", 0.5)


def test_a_declaration_may_have_no_fields():
    assert one("empty_param { }", Param("empty_param", number=5)).param is not None


@pytest.mark.parametrize(
    "fields",
    [
        "height",
        "1 height",
        "1 2 height int32",
        "one height int32",
        "-1 height int32",
        "0 height int32",
        "536870912 height int32",
        "99999999999 height int32",
        "1 height uint64",
        "1 height int",
        "1 a-b int32",
        "1 9a int32",
        "1 a int32, 2 b int32",
        "1 a int32; 1 b int32",
        "1 a int32; 2 a int32",
        "1 a int32=x",
        "1 a int32=1.5",
        "1 a uint32=-1",
        "1 a bool=maybe",
        "1 a int32*=3",
        "1 a int32!*",
        "1 a int32***",
        "1 a FillerParameter=3",
        "1 a Mode",
        "1 a Mode=C\nenum Mode: A=0 B=1",
        "1 a Mode\nenum Mode: A",
        "1 a Mode\nenum Mode: A=x",
        "1 a Mode\nenum Mode: A=99999999999",
        "1 a Mode\nenum Mode A=0",
        "1 a Mode\nenum Mode:",
        "enum : A=0",
        "enum Mode: A=0\n1 a Mode",
        "1 a Mode; 2 b Other\nenum Mode: A=0\nenum Other: A=0",
        "1 a Inner",
        "1 a Inner\nmessage Inner\n1 b",
        "1 a Inner\nmessage Inner Other\n1 b int32",
        "1 a Inner\nmessage Inner\n1 b int32\nmessage Inner\n1 c int32",
        "1 a Inner\nmessage OddParameter\n1 b int32",
        "message",
    ],
)
def test_malformed_declarations_say_what_was_expected(fields):
    param = Param("odd_param", fields, 150)
    with pytest.raises(ValueError, match="Expected .*; received"):
        param.message()


@pytest.mark.parametrize("name", ["", "a-b", "a b", "9_param"])
def test_malformed_names_say_what_was_expected(name):
    with pytest.raises(ValueError, match="Expected .*; received"):
        Param(name, "1 a int32").message()


def test_a_type_without_such_a_parameter():
    relu = Layer("r", "ReLU")
    with pytest.raises(
        AttributeError, match="no pooling_param for layers of type ReLU"
    ):
        relu.read("pooling_param")
    assert relu.read("relu_param").negative_slope == 0
    with pytest.raises(AttributeError, match=r"received: 'x' \(no type\)"):
        _ = Layer("x", "").param


def test_a_later_declaration_takes_the_place_of_an_earlier_one():
    net = parse_prototxt("layer { name: 'p' type: 'Pooling' pooling_param { odd: 3 } }")
    assert len(net.unknown_fields) == 1
    declare("Pooling", Declaration((Param("pooling_param", "1 odd int32", 121),)))
    assert net.unknown_fields == [] and net.layers[0].param.odd == 3
    declare("Pooling", Declaration((Param("other_param", "1 odd int32", 999),)))
    assert [x.path for x in net.unknown_fields] == ["pooling_param"]


def test_parameters_of_another_declared_type_are_passed_over_as_caffe_does(read):
    net = parse_prototxt("layer { type: 'ReLU' pooling_param { pool: AVE } odd: 1 }")
    assert [x.path for x in net.unknown_fields] == ["odd"]
    net = read(layer("r", "ReLU", extra=sub(121, num(1, 1)) + num(999, 1)))
    assert [x.path for x in net.unknown_fields] == ["999"]


def fork(fields):
    (layer,) = parse_prototxt(
        f"layer {{ name: 'x'\ntype: 'Fork' {fields} }}", "fork.prototxt"
    ).layers
    return layer


def test_parameters_that_nobody_declared_are_attributes():
    found = fork(r"""
        fork_param {
          whole: 3 less: -4 half: .5 tiny: 1e-3 wide: 2.f hex: 0x1F octal: 017
          far: inf nothing: nan on: true off: false mode: FROZEN
          words: 'a' "b\x41\n" # a comment
          many: 1 many: 2 list: [1, 2.5, -A] none: []
          block { deep < x: 1 >, x: 2 }; blocks { x: 1 } blocks: { x: 2 }
          in_list: [{ x: 1 }, < x: 2 >]
        }
    """).undeclared()
    assert (found.whole, found.less, found.half) == (3, -4, 0.5)
    assert (found.tiny, found.wide, found.hex, found.octal) == (0.001, 2.0, 31, 15)
    assert found.far == float("inf") and found.nothing != found.nothing
    assert (found.on, found.off, found.mode) == (True, False, "FROZEN")
    assert found.words == "abA\n"
    assert (found.many, found.list, found.none) == ([1, 2], [1, 2.5, "-A"], [])
    assert (found.block.deep.x, found.block.x) == (1, 2)
    assert [x.x for x in found.blocks] == [1, 2] == [x.x for x in found.in_list]
    assert found.fields["whole"] == [3] and "whole" in repr(found)


def test_a_missing_attribute_says_what_there_is():
    found = fork("fork_param { a: 1 b { c: 2 } }").undeclared()
    with pytest.raises(AttributeError, match=r"no field 'd' here, only \['a', 'b'\]"):
        _ = found.d
    with pytest.raises(AttributeError, match=r"no field 'a' here, only \['c'\]"):
        _ = found.b.a


def test_parameters_in_no_block_or_several():
    found = fork("scale: 2 fork_param { a: 1 } other_param { b: 2 }").undeclared()
    assert (found.scale, found.fork_param.a, found.other_param.b) == (2, 1, 2)
    assert fork("scale: 2").undeclared().scale == 2
    found = fork("fork_param { a: 1 } fork_param { a: 2 }").undeclared()
    assert [x.a for x in found.fork_param] == [1, 2]


@pytest.mark.parametrize(
    "fields, match",
    [
        ("fork_param { a: [1 @2] }", "',' or ']'"),
        ("fork_param {\n  a: @'\\q' }", "escape"),
        ("fork_param {\n  a: @'\\xff' }", "UTF-8"),
        ("fork_param { @3: 4 }", "a field's name"),
        ("scale: 1 fork_param { a: - @}", "a value"),
        ("fork_param\n {\n\n a: [@[1]] }", "a value"),
        ("fork_param { a: @, }", "a value"),
        ("fork_param: [1 @2]", "',' or ']'"),
    ],
)
def test_errors_in_undeclared_parameters_name_the_place(fields, match):
    before = f"type: 'Fork' {fields}".partition("@")[0].split("\n")
    layer = fork(fields.replace("@", ""))
    with pytest.raises(CaffeFormatError, match=match) as caught:
        layer.undeclared()
    error = caught.value
    assert (error.source, error.layer) == ("fork.prototxt", "x")
    assert (error.line, error.column) == (1 + len(before), 1 + len(before[-1]))


def test_undeclared_parameters_are_in_words_only(read):
    net = read(layer("x", "Fork", extra=sub(999, "abc")))
    for made in (net.layers[0], Layer("x", "Fork")):
        with pytest.raises(CaffeFormatError, match=r"layer 'x': \(Fork\) Expected"):
            made.undeclared()


def test_a_field_of_prototxts_only_has_no_place_in_a_caffemodel(tmp_path, read):
    param = Param("odd_param", "1 a int32=1; - mode int32=7; b int32", 300)
    declare("Fork", Declaration((param,)))
    net = parse_prototxt("layer { name: 'x' type: 'Fork' odd_param { b: 2 mode: 5 } }")
    assert (net.layers[0].param.mode, net.layers[0].param.b) == (5, 2)
    write_caffemodel(tmp_path / "a", {"x": []}, net)
    again = read_net(tmp_path / "a").layers[0]
    assert (again.param.mode, again.param.b) == (7, 2) and not again.unknown_fields()
    number = param.message().DESCRIPTOR.fields_by_name["mode"].number
    odd = sub(300, num(2, 3) + num(number, 4))
    (layer_,) = read(layer("x", "Fork", extra=odd)).layers
    assert (layer_.param.mode, layer_.param.b) == (7, 3)
    assert [str(x) for x in layer_.unknown_fields()] == [
        f"layer 'x': field 'odd_param.{number}'"
    ]


TWO = (Param("two_param", "1 a int32=1", 301), Param("two_param", "1 a int32=9", 302))


def test_a_layer_says_which_of_two_messages_it_has(tmp_path):
    declare("Two", Declaration(TWO, own=lambda layer: [TWO[len(layer.bottoms)]]))
    text = "layer { name: 'x' type: 'Two' %s two_param { } }"
    for bottoms, number, default in (("", 301, 1), ("bottom: 'b'", 302, 9)):
        net = parse_prototxt(text % bottoms)
        assert net.layers[0].param.a == default
        write_caffemodel(tmp_path / "a", {"x": []}, net)
        (raw,) = read_net(tmp_path / "a").layers[0].message.raw
        assert raw.number == number
