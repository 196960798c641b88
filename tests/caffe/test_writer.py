import errno
import os

import bvlc
import numpy as np
import pytest
from caffe_bytes import GOLDENS, decode_v2
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_caffe_zoo.caffe import (
    Layer,
    Net,
    read_caffemodel,
    read_mean,
    read_net,
    read_prototxt,
    write_caffemodel,
    write_mean,
    write_prototxt,
)
from keras_caffe_zoo.caffe import writer as module

V2 = GOLDENS / "format_v2.caffemodel"
PROTOTXT = GOLDENS / "format_v2.prototxt"
arrays = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3),
    elements=st.floats(width=32),
)


def test_names_and_blobs_only(tmp_path):
    path = tmp_path / "a.caffemodel"
    params = {"b": [np.arange(6, dtype="f4").reshape(2, 3), np.float32(5)], "a": []}
    write_caffemodel(path, params)
    (b, kind, _, _, blobs), a = decode_v2(path.read_bytes())
    assert (b, kind, a[0], a[4]) == ("b", "", "a", [])
    assert [dims for dims, _ in blobs] == [(2, 3), ()]
    assert [v.tolist() for _, v in blobs] == [[0, 1, 2, 3, 4, 5], [5]]


def test_protobuf_reads_what_was_written(tmp_path):
    path = tmp_path / "a.caffemodel"
    write_caffemodel(path, read_caffemodel(V2), PROTOTXT)
    got = bvlc.NetParameter.FromString(path.read_bytes())
    want = bvlc.NetParameter.FromString(V2.read_bytes())
    for layer in want.layer:
        layer.ClearField("phase")
    assert got == want


@pytest.mark.parametrize(
    "path", sorted(GOLDENS.glob("*.caffemodel")), ids=lambda path: path.stem
)
def test_goldens_survive_a_round_trip(path, tmp_path):
    net, again = read_net(path), tmp_path / "again.caffemodel"
    write_caffemodel(again, net.params, net)
    got = read_net(again)
    assert bvlc.from_bytes(got) == bvlc.from_bytes(net)
    assert list(got.params) == list(net.params)
    for name, blobs in net.params.items():
        for a, b in zip(got.params[name], blobs, strict=True):
            assert a.shape == b.shape
            np.testing.assert_array_equal(a, b)


def test_opencv_computes_the_same_with_the_written_file(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "a.caffemodel"
    write_caffemodel(path, read_caffemodel(GOLDENS / "format_v0.caffemodel"), PROTOTXT)
    golden = np.load(GOLDENS / "format_v2.npz")
    net = cv2.dnn.readNetFromCaffe(str(PROTOTXT), str(path))
    net.setInput(golden["blob/data"])
    np.testing.assert_allclose(net.forward("prob"), golden["blob/prob"], atol=1e-5)


@given(st.dictionaries(st.text(min_size=1), st.lists(arrays, max_size=3), min_size=1))
def test_what_is_written_is_read(tmp_path_factory, params):
    path = tmp_path_factory.mktemp("trip") / "net.caffemodel"
    write_caffemodel(path, params)
    got = read_caffemodel(path)
    assert list(got) == [name for name, blobs in params.items() if blobs]
    for name in got:
        for a, b in zip(got[name], params[name], strict=True):
            assert a.shape == b.shape
            assert a.tobytes() == np.ascontiguousarray(b).tobytes()


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4", ">f8", "longdouble"])
def test_other_float_types_are_converted(tmp_path, dtype):
    values = np.array([[1, 0.5], [np.inf, np.nan]], dtype)
    write_caffemodel(tmp_path / "a", {"a": [values, values.T]})
    one, two = read_caffemodel(tmp_path / "a")["a"]
    np.testing.assert_array_equal(one, values.astype("f4"))
    np.testing.assert_array_equal(two, values.T.astype("f4"))


def test_bfloat16_is_converted(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    write_caffemodel(tmp_path / "a", {"a": [np.ones(3, ml_dtypes.bfloat16)]})
    assert read_caffemodel(tmp_path / "a")["a"][0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", ["i4", "u1", "?", "O", "c8", "S3"])
def test_other_types_are_refused(tmp_path, dtype):
    with pytest.raises(TypeError, match=r"layer 'a', blob 0; received: "):
        write_caffemodel(tmp_path / "a", {"a": [np.zeros(2, dtype)]})
    assert not list(tmp_path.iterdir())


def test_values_beyond_float32_are_refused(tmp_path):
    with pytest.raises(ValueError, match="layer 'a'.*1e\\+300"):
        write_caffemodel(tmp_path / "a", {"a": [np.array([1.0, 1e300, np.inf])]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda p: p.pop("fc"), r"no blobs for layers: \['fc'\]"),
        (lambda p: p.update(zap=p["fc"]), r"does not have: \['zap'\]"),
        (lambda p: p["fc"].pop(), r"wrong numbers of blobs: .*'fc' \(2, not 1\)"),
        (lambda p: p.update(relu1=p["fc"]), r"'relu1' \(0, not 2\)"),
    ],
)
def test_names_and_numbers_of_blobs_are_checked_both_ways(tmp_path, change, match):
    params = read_caffemodel(V2)
    change(params)
    with pytest.raises(ValueError, match=match):
        write_caffemodel(tmp_path / "a", params, PROTOTXT)
    assert not list(tmp_path.iterdir())


def test_two_layers_with_weights_of_one_name_are_refused(tmp_path):
    net = Net("n", [Layer("c", "PReLU"), Layer("c", "PReLU")])
    with pytest.raises(ValueError, match=r"one name .*\['c'\]"):
        write_caffemodel(tmp_path / "a", {"c": [np.ones(1, "f4")]}, net)


def test_a_bare_array_is_refused(tmp_path):
    with pytest.raises(TypeError, match="list of arrays for layer 'a'"):
        write_caffemodel(tmp_path / "a", {"a": np.ones(3, "f4")})


def test_more_than_caffe_can_read_is_refused_before_writing(tmp_path):
    huge = np.broadcast_to(np.float32(0), (2**29,))
    with pytest.raises(ValueError, match="at most 2,147,483,647 bytes"):
        write_caffemodel(tmp_path / "a", {"a": [huge]})
    with pytest.raises(ValueError, match="at most 2,147,483,647 bytes"):
        write_mean(tmp_path / "a", huge.reshape(1, 2**14, 2**15))
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.caffemodel"
    path.write_bytes(b"old")
    params = read_caffemodel(V2)

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_caffemodel(path, params)
    monkeypatch.undo()

    def broken(file, blob, what):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write_values", broken)
    with pytest.raises(KeyboardInterrupt):
        write_caffemodel(path, params)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path, seen = tmp_path / "a.caffemodel", []
    path.write_bytes(b"old")
    replace = os.replace

    def watch(source, target):
        seen.append((path.read_bytes(), read_caffemodel(source).keys()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    write_caffemodel(path, read_caffemodel(V2))
    assert seen == [(b"old", {"conv1", "fc"})]
    assert list(read_caffemodel(path)) == ["conv1", "fc"]


def test_mean_round_trip_and_its_bytes(tmp_path):
    golden = GOLDENS / "mean.binaryproto"
    mean = read_mean(golden)
    for array in (mean, mean[None], np.asfortranarray(mean)):
        write_mean(tmp_path / "m", array)
        assert (tmp_path / "m").read_bytes() == golden.read_bytes()
    for bad in (np.ones((2, 3, 4, 4)), np.ones(3), np.ones((0, 2, 2))):
        with pytest.raises(ValueError, match="Expected a mean of shape"):
            write_mean(tmp_path / "m", bad)


def test_prototxt_round_trip(tmp_path):
    net = read_prototxt(GOLDENS / "net_googlenet_mini.prototxt")
    write_prototxt(tmp_path / "n.prototxt", net)
    again = read_prototxt(tmp_path / "n.prototxt")
    assert bvlc.from_text(again) == bvlc.from_text(net)
