"""Damaged and hostile files: each loads or raises CaffeFormatError, in its place."""

import random
import struct
import time
import tracemalloc

import pytest
from bvlc import BVLC
from caffe_bytes import GOLDENS, blob, floats, layer, legacy, num, shape, sub, varint

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    Declaration,
    Param,
    declared,
    params,
    parse_prototxt,
    read_caffemodel,
    read_mean,
    read_net,
)
from keras_caffe_zoo.caffe.skeleton import Skeleton
from keras_caffe_zoo.caffe.wire import Source

GOOD = layer("conv", "Convolution", blob([[[[1.0, 2.0]]]]), blob([3.0]))
V2 = (GOLDENS / "format_v2.caffemodel").read_bytes()
BIG = 2**62
RAW = 2**29 - 1  # the number by which the reader keeps fields of a layer


@pytest.fixture
def refuse(tmp_path):
    def refuse(data, match, read=read_net):
        path = tmp_path / "bad.caffemodel"
        path.write_bytes(data)
        with pytest.raises(CaffeFormatError, match=match) as caught:
            read(path)
        assert "bad.caffemodel" in str(caught.value)
        return caught.value

    return refuse


@pytest.mark.parametrize(
    "data, match",
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"\n\n  <html>", "HTML page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5 file that can be read"),
        (b"PK\x03\x04" + bytes(50), "zip"),
        (b"\x1f\x8b\x08" + bytes(50), "gzip"),
        (b"\x93NUMPY" + bytes(50), "NumPy"),
        (b"\xff\xfen\0a\0", "UTF-16"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (bytes(100), "field number 0"),
        (b"name: 'x'", "prototxt"),
        (sub(1, "only a name" * 9) + sub(8, b""), "with layers; received: none"),
    ],
)
def test_other_files_are_named(refuse, data, match):
    refuse(data, match, read_caffemodel)


@pytest.mark.parametrize("step", [31, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("source", ["v0", "v1", "v2", "v2_double", "v2_unpacked"])
def test_truncation_anywhere(tmp_path, source, step):
    data = (GOLDENS / f"format_{source}.caffemodel").read_bytes()
    path = tmp_path / "cut.caffemodel"
    whole = 0
    for size in range(0, len(data), step):
        path.write_bytes(data[:size])
        try:
            read_caffemodel(path)
            whole += 1
        except CaffeFormatError as error:
            assert "cut.caffemodel" in str(error)
    # Only a cut between two fields of the net itself cannot be told from a whole.
    assert whole < 15


def test_truncation_names_place_and_cause(refuse):
    error = refuse(V2[:900], "truncated")
    assert error.layer == "#4" and error.offset < 900


def bad_blob(body):
    return layer("conv", "Convolution", body)


DATA = sub(5, floats(1, 2))


@pytest.mark.parametrize(
    "body, match",
    [
        (shape(3) + DATA, "3 values for shape .3,.; received: 2"),
        (DATA, "1 values"),
        (shape(-2) + DATA, "received shape: .-2"),
        (shape(BIG) + DATA, "received shape"),
        (shape(2**16, 2**16) + DATA, "received shape"),
        (shape(BIG, 4, BIG) + DATA, "received shape"),
        (shape(0, BIG) + DATA, "received shape"),
        (shape(*[1] * 33) + DATA, "at most 32 axes; received: 33"),
        (legacy(-1, 1, 1, 2) + DATA, "received shape"),
        (legacy(1, 1, 1, 2**31) + DATA, "received shape"),
        (legacy(1, 1, 1, 2**33) + DATA, "Expected int32"),
        (legacy(1, 2, 1, 1) + sub(5, floats(1)), "2 values"),
        (shape(2) + sub(5, b"1234567"), "multiple of 4 bytes; received: 7"),
        (shape(1) + sub(8, b"1234"), "multiple of 8"),
        (shape(2) + sub(5, floats(1)) + sub(8, bytes(8)), "received: both"),
        (shape(2) + num(5, 3), "wire type 2 or 5; received: 0"),
        (shape(2) + varint(5 << 3 | 1) + bytes(8), "wire type 2 or 5; received: 1"),
        (sub(7, sub(1, b"\x80")), "received: end of"),
        (sub(7, sub(1, b"\xff" * 11)), "at most 64 bits"),
        (sub(7, varint(1 << 3 | 5) + bytes(4)), "wire type 0"),
        (num(7, 1), "wire type 2"),
        (varint(5 << 3 | 2) + varint(BIG), "received: the (file|message) ends"),
        (varint(5 << 3 | 2) + varint(100), "received: the (file|message) ends"),
        (varint(5 << 3 | 5) + b"12", "4 bytes; received: 2"),
        (varint(5 << 3 | 5) + b"1234" + varint(5 << 3 | 5) + b"1", "4 bytes"),
        (varint(12 << 3 | 3), "wire type 3"),
        (varint(12 << 3 | 4), "wire type 4"),
        (varint(12 << 3 | 7), "wire type 7"),
        (varint(12 << 3 | 1) + b"1234567", "8 bytes; received: 7"),
        (varint((1 << 29) << 3), "field number 536870912"),
        (b"\xff" * 11, "at most 64 bits"),
        (b"\x80" * 9 + b"\x02", "at most 64 bits"),
        (shape(4) + sub(20, bytes(8)), r"4 values.*unknown fields \[20\]"),
    ],
)
def test_blobs(refuse, body, match):
    error = refuse(bad_blob(body), match)
    assert error.layer == "conv" and error.field.startswith("blobs")


@pytest.mark.parametrize(
    "extra, match",
    [
        (num(1, 1), "'name'.*wire type 2"),
        (sub(1, b"\xff\xfe"), "'name'.*UTF-8"),
        (sub(3, b"\xc3"), "'bottom'.*UTF-8"),
        (num(10, 7), "'phase'.*TRAIN.*received: 7"),
        (num(10, -1), "'phase'.*received: -1"),
        (sub(6, num(2, 9)), "'param.share_mode'.*received: 9"),
        (varint(106 << 3 | 3) + varint(106 << 3 | 4), "'106'.*type 3"),
        (varint(106 << 3 | 2) + varint(100), "'106'.*file ends"),
        (varint(106 << 3 | 2) + varint(BIG), "'106'.*file ends"),
        (varint(106 << 3 | 2) + b"\xff" * 11, "'106'.*at most 64 bits"),
        (varint(106 << 3) + b"\x80", "'106'.*received: end of"),
        (varint(106 << 3) + b"\xff" * 11, "'106'.*at most 64 bits"),
        (varint(106 << 3 | 1) + b"1234567", "'106'.*8 bytes; received: 7"),
        (varint(RAW << 3 | 2) + varint(100), "'536870911'.*file ends"),
        (varint(RAW << 3 | 4), "'536870911'.*type 4"),
        (varint((RAW + 1) << 3 | 2) + b"\0", "field number 536870912"),
    ],
)
def test_layers(refuse, extra, match):
    error = refuse(layer("conv", "Convolution", extra=extra), match)
    assert error.layer == "conv" and error.offset > 0


def read_all(path):
    net = read_net(path)
    _ = net.unknown_fields  # decodes all that is declared
    return net


@pytest.mark.parametrize(
    "kind, extra, match",
    [
        ("Pooling", sub(121, num(2, 2**32)), "'pooling_param.kernel_size'.*uint32"),
        ("Pooling", sub(121, num(2, -(2**31) - 1)), "Expected uint32"),
        ("Pooling", sub(121, varint(2 << 3)), "received: end of"),
        ("Pooling", sub(121, varint(2 << 3) + b"\x80"), "received: end of"),
        ("Pooling", sub(121, varint(2 << 3) + b"\xff" * 11), "at most 64 bits"),
        ("Pooling", sub(121, b"\x80" * 9 + b"\x02"), "at most 64 bits"),
        ("Pooling", sub(121, num(0, 1)), "field number 0"),
        ("Pooling", sub(121, varint((1 << 29) << 3)), "field number 536870912"),
        ("Pooling", sub(121, num(2, 3) + varint(41 << 3 | 3)), "41'.*wire type 3"),
        ("Pooling", sub(121, varint(40 << 3 | 4)), "40'.*wire type 4"),
        ("Pooling", sub(121, varint(40 << 3 | 2) + varint(9)), "40'.*message ends"),
        ("Convolution", sub(106, sub(4, b"\x03\x80")), "param.kernel_size'.*end of"),
        (
            "Convolution",
            sub(106, sub(7, num(7, 2**40))),
            "weight_filler.sparse'.*int32",
        ),
        (
            "Convolution",
            sub(106, sub(7, sub(1, b"\xff"))),
            "weight_filler.type'.*UTF-8",
        ),
        ("Convolution", sub(106, varint(7 << 3 | 2) + varint(BIG)), "filler'.*ends"),
        ("Power", sub(122, varint(1 << 3 | 5) + b"abc"), "power_param.power'.*4 bytes"),
        ("Python", sub(130, sub(1, b"\xff\xfe")), "'python_param.module'.*UTF-8"),
        ("Input", sub(143, sub(1, sub(1, b"\x03\x80"))), "input_param.shape.dim'.*end"),
    ],
)
@pytest.mark.parametrize("before", [b"", num(10, 1) + sub(999, "x")])
def test_parameters(tmp_path, kind, extra, match, before):
    path = tmp_path / "bad.caffemodel"
    path.write_bytes(GOOD + layer("x", kind, extra=before + extra) + GOOD)
    with open(path, "rb") as file:
        source = Source(file, str(path))
        with pytest.raises(CaffeFormatError, match=match) as caught:
            Skeleton(source, "NetParameter", BVLC)  # the whole schema in one walk
    want = vars(caught.value)
    assert want["layer"] == "x" and want["offset"] > len(GOOD)
    net = read_net(path)
    (param, *_) = declared(kind).params
    for read in (
        lambda: net.layers[1].param,
        lambda: net.layers[1].decode(param),
        lambda: net.unknown_fields,
    ):
        with pytest.raises(CaffeFormatError, match="bad.caffemodel") as caught:
            read()
        assert vars(caught.value) == want


def test_a_required_field_that_a_parameter_lacks(refuse):
    data = layer("c", "Clip", extra=sub(148, b"\x0d" + floats(1)))
    error = refuse(data, "received none for: clip_param.max", read_all)
    assert error.layer == "c"


def test_damage_in_the_second_piece_of_a_parameter(refuse):
    first, second = sub(121, num(2, 3)), sub(121, num(3, 2) + num(2, 2**32))
    data = layer("p", "Pooling", extra=first + num(10, 0) + second)
    error = refuse(data, "'pooling_param.kernel_size'.*Expected uint32", read_all)
    assert error.offset == len(data) - len(varint(2**32))
    # A piece that is cut does not go on in the next one.
    cut = sub(121, varint(2 << 3) + b"\x83") + sub(121, b"\x01")
    refuse(layer("p", "Pooling", extra=cut), "received: end of", read_all)


def test_a_file_cannot_fake_what_the_reader_keeps_itself(tmp_path):
    path = tmp_path / "net.caffemodel"
    fake = sub(1, "pooling_param") + sub(4, " { stride: 7 }") + num(5, 1)
    path.write_bytes(
        layer(
            "p", "Pooling", extra=sub(RAW, fake) + num(RAW, 121) + sub(121, num(2, 3))
        )
        + sub(RAW, fake)
    )
    net = read_net(path)
    assert (net.layers[0].param.stride, net.layers[0].param.kernel_size) == (1, 3)
    assert [(str(x), x.value) for x in net.unknown_fields] == [
        (f"net: field '{RAW}'", fake),
        (f"layer 'p': field '{RAW}'", fake),
        (f"layer 'p': field '{RAW}'", varint(121)),
    ]
    path.write_bytes(sub(2, sub(4, "p") + num(5, 17) + sub(RAW, fake)))
    net = read_net(path)
    assert net.layers[0].param.stride == 1
    assert [x.value for x in net.unknown_fields] == [fake]
    net = parse_prototxt(
        "layer { name: 'p' type: 'Pooling' "
        "raw { name: 'pooling_param' value: ' { stride: 7 }' line: 1 } }"
    )
    assert net.layers[0].param.stride == 1
    assert [x.path for x in net.unknown_fields] == ["raw"]


def test_upgrade_errors_name_the_file(refuse):
    refuse(GOOD + sub(2, sub(4, "old")), "'layers'.*'layer'")


@pytest.mark.parametrize(
    "data, match",
    [
        (sub(100, b"") * 20_000, "at most 16,384 layers"),
        pytest.param(
            layer("a", "X", extra=sub(6, b"") * 300_000),
            "at most 200,000 fields",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            layer("a", "X", extra=num(50, 1) * 300_000),
            "at most 200,000 fields",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            layer("a", "X", extra=sub(RAW, b"") * 300_000),
            "at most 200,000 fields",
            marks=pytest.mark.slow,
        ),
        (layer("a", "X", extra=sub(50, bytes(9 << 20))), "at most 8 MiB"),
        (layer("a", "X", extra=sub(50, bytes(3 << 20)) * 3), "at most 8 MiB"),
        (layer("a", "X", extra=varint(50 << 3 | 2) + varint(BIG)), "file ends"),
        pytest.param(
            layer("a", "Pooling", extra=sub(121, num(2, 1) * 150_000) * 2),
            "200,000",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            layer("a", "Convolution", extra=sub(106, sub(4, b"\1" * 300_000))),
            "200,000",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            layer("a", "Input", extra=sub(143, sub(1, b"") * 300_000)),
            "200,000 fields",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            layer("a", "X", sub(7, sub(1, bytes(300_000)))),
            "at most 200,000 fields",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            layer("a", "X", sub(5, floats(1)) * 70_000),
            "at most 65,536 pieces",
            marks=pytest.mark.slow,
        ),
        (layer("a", "X" * (9 << 20)), "received more"),
        (layer("a" * (5 << 20), "X" * (5 << 20)), "at most 8 MiB"),
    ],
)
def test_what_costs_more_than_its_bytes_is_bounded(refuse, data, match):
    tracemalloc.start()
    refuse(data, match, read_all)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * len(data) + (16 << 20)


def test_deep_nesting_is_no_recursion(refuse):
    body = b""
    for _ in range(20_000):
        body = sub(1, body[: 1 << 16])
    refuse(sub(100, body), "Expected")
    refuse(sub(100, varint(99 << 3 | 3) * 50_000), "wire type 3")


def test_deep_nesting_inside_a_parameter_is_no_recursion(tmp_path, monkeypatch):
    param = Param("tree_param", "1 leaf Leaf\nmessage Leaf\n1 leaf Leaf", 300)
    monkeypatch.setattr(params, "_DECLARED", {"Tree": Declaration((param,))})
    path = tmp_path / "net.caffemodel"
    for depth in (50, 3000):
        body = b""
        for _ in range(depth):
            body = sub(1, body)
        path.write_bytes(layer("t", "Tree", extra=sub(300, body)))
        net = read_net(path)
        if depth == 50:
            assert net.layers[0].param.leaf.leaf.HasField("leaf")
    with pytest.raises(CaffeFormatError, match="at most 100 nested messages") as caught:
        _ = net.layers[0].param
    assert caught.value.layer == "t"
    text = "layer { type: 'Tree' tree_param %s }"
    net = parse_prototxt(text % ("{ leaf " * 50 + "{ }" + " }" * 50))
    assert net.layers[0].param.leaf.leaf.HasField("leaf")
    for name in ("tree_param", "odd_param"):
        with pytest.raises(CaffeFormatError, match="at most 100 nested"):
            parse_prototxt("layer { " + name + " { a" * 20_000)


@pytest.mark.parametrize(
    "kind, raw",
    [
        ("X", num(50, 1)),
        pytest.param("Pooling", sub(148, b""), marks=pytest.mark.slow),
        pytest.param("Input", sub(RAW, b"ab"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_many_fields_of_a_layer_cost_little(tmp_path, kind, raw):
    path = tmp_path / "many.caffemodel"
    path.write_bytes(layer("a", kind, extra=raw * 190_000))
    started = time.process_time()
    net = read_net(path)
    assert len(net.layers[0].message.raw) == 190_000
    assert len(net.unknown_fields) <= 1000
    assert time.process_time() - started < 60
    path.write_bytes(layer("a", kind, extra=raw * 20_000))
    tracemalloc.start()
    assert len(read_net(path).unknown_fields) <= 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * path.stat().st_size + (1 << 20)


@pytest.mark.slow
def test_many_words_of_a_layer_cost_little():
    line = "odd: 1 #" + "x" * 50 + "\n"
    started = time.process_time()
    net = parse_prototxt("layer { type: 'Pooling'\n" + line * 240_000 + "}")
    raws = net.layers[0].message.raw
    assert (len(raws), raws[-1].line, raws[-1].column) == (240_000, 240_001, 1)
    assert len(net.unknown_fields) == 1000
    # Minutes, if lines are counted from the text's start each time.
    assert time.process_time() - started < 60
    text = "layer {" + line * 10_000 + "}"
    tracemalloc.start()
    assert len(parse_prototxt(text).unknown_fields) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * len(text) + (1 << 20)


@pytest.mark.parametrize(
    "fields, match",
    [
        pytest.param(
            "input_param { " + "shape{}" * 260_000 + "}",
            "at most 250,000 blocks",
            marks=pytest.mark.slow,
        ),
        ("input_param { shape { dim: [" + "1, " * 30_000 + "] } odd: }", "a value"),
        ("input_param { " + "a" * 5_000_000 + " }", "':' or '{'"),
    ],
)
def test_hostile_words_of_a_parameter(fields, match):
    text = f"layer {{ name: 'x' type: 'Input' {fields} }}"
    net = parse_prototxt(text)
    with pytest.raises(CaffeFormatError, match=match):
        _ = net.unknown_fields


@pytest.mark.slow
def test_hostile_words_that_nobody_declared():
    (layer,) = parse_prototxt("layer { fork_param { " + "a{}" * 260_000 + "} }").layers
    with pytest.raises(CaffeFormatError, match="at most 250,000 blocks"):
        layer.undeclared()
    (layer,) = parse_prototxt(
        "layer { fork_param " + "{ a" * 99 + "{}" + "}" * 99 + "}"
    ).layers
    found = layer.undeclared()
    for _ in range(98):
        found = found.a
    assert found.fields["a"][0].fields == {}


def test_a_file_cut_while_it_is_read(tmp_path, monkeypatch):
    from keras_caffe_zoo.caffe import reader

    path = tmp_path / "net.caffemodel"
    path.write_bytes(V2)
    upgrade = reader.upgrade_net

    def cut(message):
        path.write_bytes(V2[:1000])
        return upgrade(message)

    monkeypatch.setattr(reader, "upgrade_net", cut)
    with pytest.raises(CaffeFormatError, match="cut short while it was read"):
        read_net(path)


INTERESTING = [0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x2A, 0x2D, 0x3A, 0x41]


def mutate(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(data))
        kind = rng.randrange(7)
        if kind == 0:
            del data[max(1, at) :]
        elif kind == 1:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            data[at] = rng.choice(INTERESTING)
        elif kind == 3:  # a hostile length or dimension
            data[at : at + 1] = varint(rng.choice((2**31, 2**32 - 1, 2**62, -1, 127)))
        elif kind == 4:
            data[at:at] = data[at : at + rng.randrange(40)]
        elif kind == 5:
            del data[at : at + rng.randrange(1, 9)]
        else:
            data[at : at + 4] = struct.pack("<I", rng.getrandbits(32))
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def survive(samples, read, rounds, seed, limit):
    """Reads mutants; returns how many loaded. Any other error escapes."""
    rng, loaded = random.Random(seed), 0
    tracemalloc.start()
    for _ in range(rounds):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        data = mutate(rng.choice(samples), rng)
        try:
            read(data)
            loaded += 1
        except CaffeFormatError as error:
            assert "xpected" in str(error)  # one about a name leads with it
        assert tracemalloc.get_traced_memory()[1] - before < limit
    tracemalloc.stop()
    return loaded


def from_file(tmp_path, read):
    path = tmp_path / "mutant"

    def read_bytes(data):
        path.write_bytes(data)
        return read(path)

    return read_bytes


SMALL = [
    path.read_bytes()
    for path in sorted(GOLDENS.glob("*.caffemodel"))
    if path.stat().st_size < 20_000
]
# Files end inside headers more often than in values when there are few values.
SMALL += [GOOD, bad_blob(legacy(1, 1, 1, 2) + DATA)] * 5


def read_and_print(path):
    net = read_all(path)
    again = parse_prototxt(net.to_prototxt())
    assert [x.type for x in again.layers] == [x.type for x in net.layers]
    for each in net.layers:
        each.to_bytes()


def test_mutated_caffemodels(tmp_path):
    loaded = survive(SMALL, from_file(tmp_path, read_and_print), 400, 1, 2 << 20)
    assert 20 < loaded < 380  # the fuzz reaches both outcomes


PARAMS = [
    layer("x", kind, extra=extra)
    for kind, extra in (
        ("Pooling", sub(121, num(2, 3) + num(1, 1) + num(40, 2))),
        (
            "Convolution",
            sub(106, num(1, 8) + sub(4, b"\3\5") + sub(7, sub(1, "xavier"))),
        ),
        ("Input", sub(4, "d") + sub(143, sub(1, sub(1, b"\1\3\5\7")))),
        ("Python", sub(130, sub(1, "a") + sub(2, "b") + num(4, 1))),
        ("LRN", sub(118, num(1, 5) + varint(2 << 3 | 5) + floats(1) + num(4, 1))),
        ("Clip", sub(148, varint(8 | 5) + floats(0) + varint(16 | 5) + floats(6))),
        ("Unheard", sub(143, num(1, 2)) + num(152, 3) + sub(RAW, b"x")),
    )
]


def test_mutated_parameters(tmp_path):
    loaded = survive(PARAMS, from_file(tmp_path, read_and_print), 400, 6, 2 << 20)
    assert 24 < loaded < 376


@pytest.mark.slow
def test_many_mutated_caffemodels(tmp_path, run_seed):
    samples = SMALL + 5 * PARAMS
    survive(
        samples, from_file(tmp_path, read_and_print), 50_000, f"{run_seed}", 2 << 20
    )


def test_mutated_binaryprotos(tmp_path):
    samples = [(GOLDENS / "mean.binaryproto").read_bytes(), shape(1, 1, 2) + DATA]
    loaded = survive(samples, from_file(tmp_path, read_mean), 400, 2, 1 << 20)
    assert 8 < loaded < 392


TEXTS = [path.read_bytes() for path in sorted(GOLDENS.glob("*.prototxt"))]
TEXTS = [text for text in TEXTS if len(text) < 1000]


def test_mutated_prototxts(tmp_path):
    loaded = survive(TEXTS, from_file(tmp_path, read_and_print), 500, 3, 4 << 20)
    assert 5 < loaded < 495


def test_shuffled_words_of_prototxts():
    rng, loaded = random.Random(5), 0
    words = [text.decode().split() for text in TEXTS]
    for _ in range(500):
        text = list(rng.choice(words))
        for _ in range(rng.choice((1, 2, 5))):
            i, j = rng.randrange(len(text)), rng.randrange(len(text))
            text[i], text[j] = text[j], text[i]
        try:
            net = parse_prototxt(" ".join(text))
            _ = net.unknown_fields
            loaded += 1
        except CaffeFormatError:
            pass
    assert 5 < loaded < 495
