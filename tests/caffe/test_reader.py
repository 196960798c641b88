import subprocess
import sys
from pathlib import Path

import bvlc
import numpy as np
import pytest
from caffe_bytes import (
    GOLDENS,
    all_of,
    blob,
    decode_v2,
    floats,
    layer,
    legacy,
    num,
    shape,
    sub,
    varint,
)

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    read_caffemodel,
    read_mean,
    read_net,
    read_prototxt,
    read_solver,
)

ROOT = Path(__file__).parents[2]
FORMATS = ("v0", "v1", "v2", "v2_double", "v2_unpacked")
MODELS = sorted(GOLDENS.glob("*.caffemodel"))
V2 = [p for p in MODELS if p.stem not in ("format_v0", "format_v1")]


@pytest.fixture
def save(tmp_path):
    def save(data, name="net.caffemodel"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return save


def same(one, other):
    assert list(one) == list(other)
    for name in one:
        assert len(one[name]) == len(other[name])
        for a, b in zip(one[name], other[name], strict=True):
            assert a.shape == b.shape
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_of_one_net_gives_the_same_arrays(form):
    want = {
        name: [values.reshape(dims) for dims, values in blobs]
        for name, _, _, _, blobs in decode_v2(
            (GOLDENS / "format_v2.caffemodel").read_bytes()
        )
        if blobs
    }
    got = read_caffemodel(GOLDENS / f"format_{form}.caffemodel")
    assert {k: [a.shape for a in v] for k, v in got.items()} == {
        "conv1": [(4, 3, 3, 3), (4,)],
        "fc": [(5, 64), (5,)],
    }
    same(got, want)


@pytest.mark.parametrize("path", V2, ids=lambda path: path.stem)
def test_goldens_agree_with_an_independent_decoder(path):
    records = decode_v2(path.read_bytes())
    net = read_net(path)
    assert net.version == "V2" and not net.unknown_fields
    want = [r for r in records if not r[0].endswith("_split")]
    assert [(x.name, x.type, x.tops) for x in net.layers] == [
        (name, kind, tops) for name, kind, _, tops, _ in want
    ]
    for got, (name, *_, blobs) in zip(net.layers, want, strict=True):
        assert [b.shape for b in got.blobs] == [dims for dims, _ in blobs], name
        for a, (_, values) in zip(got.blobs, blobs, strict=True):
            np.testing.assert_array_equal(a.ravel(), values)


@pytest.mark.parametrize(
    "path", [p for p in MODELS if p.with_suffix(".prototxt").exists()],
    ids=lambda path: path.stem,
)  # fmt: skip
def test_a_caffemodel_has_the_structure_of_its_prototxt(path):
    binary, text = read_net(path), read_net(path.with_suffix(".prototxt"))
    assert [(x.name, x.type, x.bottoms, x.tops) for x in binary.layers] == [
        (x.name, x.type, x.bottoms, x.tops) for x in text.layers
    ]
    for one, other in zip(binary.layers, text.layers, strict=True):
        one.message.ClearField("phase")
        if one.type == "BatchNorm":  # Caffe saves the specs that it made up itself
            one.message.ClearField("param")
        assert bvlc.message(one) == bvlc.message(other)
    assert (binary.name, binary.inputs) == (text.name, text.inputs)


def test_inserted_splits_are_gone():
    path = GOLDENS / "net_fcn_mini.caffemodel"
    assert b"pool1_pool1_0_split_1" in path.read_bytes()
    net = read_net(path)
    names = {b for x in net.layers for b in (x.name, *x.bottoms, *x.tops)}
    assert not [n for n in names if "_split" in n]


def test_arrays_are_the_callers_own():
    for blobs in read_caffemodel(GOLDENS / "format_v1.caffemodel").values():
        for array in blobs:
            assert array.dtype == np.float32 and array.flags.c_contiguous
            assert array.flags.writeable and array.flags.aligned
            array += 1


def test_text_and_binary_are_told_apart_by_content(save):
    text = save((GOLDENS / "format_v2.prototxt").read_bytes(), "a.caffemodel")
    data = save((GOLDENS / "format_v2.caffemodel").read_bytes(), "a.prototxt")
    assert not read_net(text).params and read_net(data).params
    with pytest.raises(CaffeFormatError, match="a.caffemodel: .*before the caffemodel"):
        read_caffemodel(text)
    with pytest.raises(CaffeFormatError, match="a.prototxt: .*after the prototxt"):
        read_prototxt(data)


@pytest.mark.parametrize("length", [10, 13, 32, 60])
def test_a_name_may_look_like_text(save, length):
    net = sub(1, "n" * length) + layer("a", "Bias", blob([1.0]))
    assert read_net(save(net)).name == "n" * length


def test_order_is_the_files_and_the_last_of_a_name_counts(save):
    path = save(
        layer("c", "Bias", blob([1.0])) + layer("a", "Bias", blob([2.0]))
        + layer("none", "ReLU") + layer("c", "Bias", blob([3.0]))
    )  # fmt: skip
    params = read_caffemodel(path)
    assert list(params) == ["c", "a"] and params["c"][0].tolist() == [3]
    assert [x.name for x in read_net(path).layers] == ["c", "a", "none", "c"]


def test_packed_values_in_several_pieces_and_loose_ones_join(save):
    loose = b"".join(varint(5 << 3 | 5) + floats(v) for v in (3, 4))
    wide_tag = b"\xad\x00" + floats(5)  # the same tag, one byte longer than it need be
    body = sub(5, floats(1, 2)) + loose + sub(5, b"") + wide_tag + sub(5, floats(6))
    path = save(layer("a", "X", shape(6) + body))
    assert read_caffemodel(path)["a"][0].tolist() == [1, 2, 3, 4, 5, 6]


def test_loose_values_among_other_fields(save):
    parts = b"".join(
        varint(5 << 3 | 5) + floats(v) + varint(6 << 3 | 5) + floats(-v)
        for v in range(200)
    )
    assert read_caffemodel(save(layer("a", "X", shape(200) + parts)))["a"][
        0
    ].tolist() == list(range(200))


def test_many_loose_values(save):
    values = np.arange(1_000_003, dtype="<f4")
    record = np.zeros(values.size, [("tag", "u1"), ("value", "<f4")])
    record["tag"], record["value"] = 5 << 3 | 5, values
    path = save(layer("a", "X", record.tobytes() + shape(values.size)))
    np.testing.assert_array_equal(read_caffemodel(path)["a"][0], values)


def test_doubles_packed_and_loose(save):
    values = np.array([0.1, 1e300, -1e300, np.nan])
    packed = shape(4) + sub(8, values.astype("<f8").tobytes())
    loose = shape(4) + b"".join(
        varint(8 << 3 | 1) + v.astype("<f8").tobytes() for v in values
    )
    want = np.array([0.1, np.inf, -np.inf, np.nan], "f4")
    for body in (packed, loose):
        got = read_caffemodel(save(layer("a", "X", body)))["a"][0]
        np.testing.assert_array_equal(got, want)


def test_doubles_that_signal_that_they_are_no_numbers(save):
    signal = np.array([0x7FF0000000000001], "<u8").tobytes()
    (found,) = read_caffemodel(save(layer("a", "X", shape(1) + sub(8, signal))))["a"]
    assert np.isnan(found).all()


def test_differences_are_skipped(save):
    body = shape(1) + sub(5, floats(1)) + sub(6, floats(9)) + sub(9, b"\1" * 8)
    assert read_caffemodel(save(layer("a", "X", body)))["a"][0].tolist() == [1]


def test_a_blob_without_a_shape_is_a_scalar(save):
    path = save(layer("a", "PReLU", sub(5, floats(0.25))))
    assert read_caffemodel(path)["a"][0].shape == ()


def v1_layer(name, kind, *blobs, extra=b""):
    body = sub(4, name) + num(5, kind) + extra + b"".join(sub(6, b) for b in blobs)
    return sub(2, body)


def test_legacy_shapes_lose_what_the_layer_does_not_have(save):
    conv, ip = 4, 14
    ones = np.ones(12, "f4")
    path = save(
        v1_layer("one", conv, legacy(1, 1, 2, 6) + sub(5, floats(*ones)),
                 legacy(1, 1, 1, 1) + sub(5, floats(7)))
        + v1_layer("fc", ip, legacy(1, 1, 1, 12) + sub(5, floats(*ones)),
                   legacy(1, 1, 1, 1) + sub(5, floats(7)))
    )  # fmt: skip
    shapes = {k: [b.shape for b in v] for k, v in read_caffemodel(path).items()}
    assert shapes == {"one": [(1, 1, 2, 6), (1,)], "fc": [(1, 12), (1,)]}


def test_legacy_shapes_in_v2_files(save):
    shared = sub(131, num(2, 1))
    one = legacy(1, 1, 1, 1) + sub(5, floats(1))
    path = save(
        layer("p", "PReLU", one, extra=shared)
        + layer("q", "PReLU", one)
        + layer("u", "Unheard", one)
    )
    shapes = {k: v[0].shape for k, v in read_caffemodel(path).items()}
    assert shapes == {"p": (), "q": (1,), "u": (1, 1, 1, 1)}


def test_a_legacy_shape_that_does_not_fit_names_layer_blob_and_shape(save):
    bad = v1_layer("fc", 14, legacy(2, 3, 1, 1) + sub(5, floats(*range(6))))
    with pytest.raises(CaffeFormatError) as caught:
        read_caffemodel(save(bad))
    assert caught.value.layer == "fc" and caught.value.field == "blobs[0]"
    assert "(2, 3, 1, 1)" in str(caught.value)


def test_legacy_axes_that_are_absent_are_zero(save):
    path = save(layer("a", "X", num(4, 5)))
    assert read_caffemodel(path)["a"][0].shape == (0, 0, 0, 5)


def test_unknown_fields_of_a_fork_are_reported(save):
    pooling = sub(121, num(2, 3) + num(40, 1))
    path = save(
        layer("p", "Pooling", blob([1.0]) + num(77, 1), extra=pooling + sub(999, "x"))
        + sub(500, "y")
    )
    net = read_net(path)
    assert [(str(x), x.value) for x in net.unknown_fields] == [
        ("layer 'p': field 'blobs.77'", b"\1"),
        ("net: field '500'", b"y"),
        ("layer 'p': field '999'", b"x"),
        ("layer 'p': field 'pooling_param.40'", b"\1"),
    ]
    assert net.layers[0].param.kernel_size == 3


def test_mean():
    want = np.load(GOLDENS / "mean.npz")["mean"]
    got = read_mean(GOLDENS / "mean.binaryproto")
    assert want.shape == (1, 3, 8, 8) and got.dtype == np.float32
    np.testing.assert_array_equal(got, want[0])


def test_means_of_other_shapes(save):
    values = np.arange(6, dtype="f4").reshape(1, 2, 3)
    for dims in (legacy(1, 1, 2, 3), shape(1, 1, 2, 3), shape(1, 2, 3)):
        got = read_mean(save(dims + sub(5, values.tobytes())))
        np.testing.assert_array_equal(got, values)
    for dims in (legacy(2, 1, 1, 3), shape(2, 3), shape(6), shape(0, 2, 3)):
        data = values.tobytes() if 0 not in dims[-3:] else b""
        with pytest.raises(CaffeFormatError, match="Expected"):
            read_mean(save(dims + sub(5, data)))


def test_mean_is_not_a_net_and_a_net_not_a_mean():
    with pytest.raises(CaffeFormatError, match="wire type"):
        read_mean(GOLDENS / "format_v2.caffemodel")
    with pytest.raises(CaffeFormatError, match="wire type"):
        read_net(GOLDENS / "mean.binaryproto")
    with pytest.raises(CaffeFormatError, match="received: text"):
        read_mean(GOLDENS / "format_v2.prototxt")


def test_solver(tmp_path):
    path = tmp_path / "s.prototxt"
    path.write_text('net: "n.prototxt"\nbase_lr: 0.01 stepvalue: 1 stepvalue: 2')
    solver = read_solver(path)
    assert (solver.net, solver.stepvalue[:], solver.type) == (
        "n.prototxt",
        [1, 2],
        "SGD",
    )


@pytest.mark.parametrize("read", [read_net, read_caffemodel, read_prototxt, read_mean])
def test_missing_files_and_directories_stay_what_they_are(read, tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


def test_params_of_a_net_are_those_of_the_file():
    path = GOLDENS / "net_resnet_mini.caffemodel"
    same(read_net(path).params, read_caffemodel(path))
    assert len(all_of(path.read_bytes(), 100)) > 20


GROWTH = """
import sys
sys.path.insert(0, sys.argv[2])
from keras_caffe_zoo.caffe import read_caffemodel
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return [int(x.split()[1]) for x in lines if x.startswith("VmHWM")][0]
read_caffemodel(sys.argv[3])
before = peak()
params = read_caffemodel(sys.argv[1])
print(peak() - before, sum(b.nbytes for v in params.values() for b in v))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_grows_by_the_files_size_and_little_more(save):
    values = np.ones(15_000_000, "<f4")
    path = save(layer("a", "X", blob(values)) + layer("b", "X", blob(values[:1000])))
    command = [sys.executable, "-c", GROWTH, str(path), str(ROOT)]
    command.append(str(GOLDENS / "format_v2.caffemodel"))
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    grown, size = map(int, out.split())
    assert size == 60_004_000 and 1024 * grown <= 1.3 * size
