"""Damaged and hostile files: each loads or raises CaffeFormatError, in its place."""

import random
import struct
import tracemalloc

import pytest
from caffe_bytes import GOLDENS, blob, floats, layer, legacy, num, shape, sub, varint

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    parse_prototxt,
    read_caffemodel,
    read_mean,
    read_net,
)

GOOD = layer("conv", "Convolution", blob([[[[1.0, 2.0]]]]), blob([3.0]))
V2 = (GOLDENS / "format_v2.caffemodel").read_bytes()
BIG = 2**62


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
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5.*not supported"),
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


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
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
        (shape(4) + sub(12, bytes(8)), r"4 values.*unknown fields \[12\]"),
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
        (sub(121, num(1, 9)), "'pooling_param.pool'.*received: 9"),
        (sub(121, num(2, 2**32)), "'pooling_param.kernel_size'.*Expected uint32"),
        (sub(121, sub(2, b"\1")), "'pooling_param.kernel_size'.*wire type 0"),
        (sub(106, sub(4, b"\x03\x80")), "'convolution_param.kernel_size'.*end of"),
        (sub(148, b"\x0d" + floats(1)), "clip_param.max"),
        (varint(106 << 3 | 3) + varint(106 << 3 | 4), "'convolution_param'.*type 3"),
    ],
)
def test_layers(refuse, extra, match):
    refuse(layer("conv", "Convolution", extra=extra), match)


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
        (layer("a", "X", sub(7, sub(1, bytes(300_000)))), "at most 200,000 fields"),
        (layer("a", "X", sub(5, floats(1)) * 70_000), "at most 65,536 pieces"),
        (layer("a", "X" * (9 << 20)), "received more"),
        (layer("a" * (5 << 20), "X" * (5 << 20)), "at most 8 MiB"),
    ],
)
def test_what_costs_more_than_its_bytes_is_bounded(refuse, data, match):
    tracemalloc.start()
    refuse(data, match)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * len(data) + (16 << 20)


def test_deep_nesting_is_no_recursion(refuse):
    body = b""
    for _ in range(20_000):
        body = sub(1, body[: 1 << 16])
    refuse(sub(100, body), "Expected")
    refuse(sub(100, varint(99 << 3 | 3) * 50_000), "wire type 3")


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
            assert "Expected" in str(error)
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


def test_mutated_caffemodels(tmp_path):
    loaded = survive(SMALL, from_file(tmp_path, read_net), 2000, 1, 2 << 20)
    assert 100 < loaded < 1900  # the fuzz reaches both outcomes


@pytest.mark.slow
def test_many_mutated_caffemodels(tmp_path, run_seed):
    survive(SMALL, from_file(tmp_path, read_net), 50_000, f"{run_seed}", 2 << 20)


def test_mutated_binaryprotos(tmp_path):
    samples = [(GOLDENS / "mean.binaryproto").read_bytes(), shape(1, 1, 2) + DATA]
    loaded = survive(samples, from_file(tmp_path, read_mean), 1000, 2, 1 << 20)
    assert 20 < loaded < 980


TEXTS = [path.read_bytes() for path in sorted(GOLDENS.glob("*.prototxt"))]
TEXTS = [text for text in TEXTS if len(text) < 1000]


def test_mutated_prototxts(tmp_path):
    loaded = survive(TEXTS, from_file(tmp_path, read_net), 500, 3, 4 << 20)
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
            parse_prototxt(" ".join(text))
            loaded += 1
        except CaffeFormatError:
            pass
    assert 5 < loaded < 495
