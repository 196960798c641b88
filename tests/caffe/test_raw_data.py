"""Blobs with `raw_data`, as NVCaffe and OpenCV write them."""

import itertools
import tracemalloc

import numpy as np
import pytest
from caffe_bytes import floats, layer, legacy, num, shape, sub, varint

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    parse_prototxt,
    read_caffemodel,
    read_mean,
    read_net,
)

VALUES = np.array([[0.1, -2.5, 65504.0], [1e-7, np.inf, -0.0]])
TYPES = [(0, "<f8"), (1, "<f4"), (2, "<f2")]


def raw(values, number, dtype, dims=None):
    """Returns the fields of a blob, each by itself."""
    with np.errstate(over="ignore"):
        data = np.asarray(values).astype(dtype).tobytes()
    dims = shape(*np.shape(values)) if dims is None else dims
    return [dims, num(10, number), sub(12, data)]


@pytest.fixture
def read(tmp_path):
    def read(body, kind="X"):
        path = tmp_path / "net.caffemodel"
        path.write_bytes(layer("a", kind, body))
        return read_caffemodel(path)["a"][0]

    return read


@pytest.mark.parametrize(("number", "dtype"), TYPES)
def test_each_type_in_any_order_of_the_fields(read, number, dtype):
    with np.errstate(over="ignore"):
        expected = VALUES.astype(dtype).astype("f4")
    differences = num(11, 2) + sub(13, b"odd")
    for parts in itertools.permutations([*raw(VALUES, number, dtype), differences]):
        found = read(b"".join(parts))
        assert found.dtype == np.float32 and found.flags.writeable
        np.testing.assert_array_equal(found, expected)


def test_doubles_beyond_float32_are_infinite(read):
    assert read(b"".join(raw([1e300, -1e300], 0, "<f8"))).tolist() == [np.inf, -np.inf]


def test_scalars_and_shapes_of_old_files(read):
    assert read(b"".join(raw(0.5, 2, "<f2"))).shape == ()
    old = b"".join(raw(np.ones(5), 2, "<f2", legacy(1, 1, 1, 5)))
    assert read(old, "PReLU").shape == (5,)
    assert read(shape(0) + num(10, 2) + sub(12, b"")).shape == (0,)


def test_layers_of_v1_and_v0_have_it_too(tmp_path):
    body = b"".join(raw(np.ones((1, 1, 1, 5)), 2, "<f2", legacy(1, 1, 1, 5)))
    v1 = sub(2, sub(4, "fc") + num(5, 14) + sub(6, body))
    v0 = sub(2, sub(1, sub(1, "fc") + sub(2, "innerproduct") + sub(50, body)))
    for data in (v1, v0):
        (tmp_path / "old.caffemodel").write_bytes(data)
        assert read_caffemodel(tmp_path / "old.caffemodel")["fc"][0].tolist() == [
            [1.0] * 5
        ]


def test_means_have_it_too(tmp_path):
    values = np.arange(6.0).reshape(1, 2, 3)
    (tmp_path / "mean.binaryproto").write_bytes(b"".join(raw(values, 2, "<f2")))
    np.testing.assert_array_equal(read_mean(tmp_path / "mean.binaryproto"), values)


def test_the_last_of_several_counts(read):
    """As of any field of protobuf that stands there twice."""
    body = num(10, 0) + sub(12, bytes(7)) + b"".join(raw([1.0, 2.0], 1, "<f4"))
    assert read(body).tolist() == [1, 2]


def test_in_words():
    net = parse_prototxt(
        "layer { name: 'a' type: 'PReLU' blobs { shape { dim: 2 } raw_data_type: FLOAT "
        "raw_data: '\\000\\000\\200?\\000\\000\\000@' } }"
    )
    assert net.layers[0].blobs[0].tolist() == [1, 2]
    assert not net.unknown_fields


EIGHT = sub(12, bytes(8))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (shape(2) + EIGHT, "raw_data_type that is one of DOUBLE .0.*received: none"),
        (shape(2) + num(10, 3) + EIGHT, r"received: INT \(3\)"),
        (shape(2) + num(10, 4) + EIGHT, r"received: UINT \(4\)"),
        (shape(2) + num(10, 5) + EIGHT, r"received: no type \(5\)"),
        (shape(2) + num(10, -1) + EIGHT, r"received: no type \(-1\)"),
        (shape(2) + num(10, 0) + sub(12, bytes(9)), "multiple of 8 bytes; received: 9"),
        (shape(2) + num(10, 1) + sub(12, bytes(7)), "multiple of 4 bytes; received: 7"),
        (shape(2) + num(10, 2) + sub(12, bytes(5)), "multiple of 2 bytes; received: 5"),
        (shape(3) + num(10, 1) + EIGHT, "3 values for shape .3,.; received: 2"),
        (shape(2) + num(10, 1) + EIGHT + sub(5, floats(1, 2)), "received: both"),
        (shape(2) + sub(8, bytes(16)) + num(10, 1) + EIGHT, "received: both"),
        (varint(12 << 3 | 2) + varint(100), "ends"),
        (num(10, 1) + varint(12 << 3), "received: end of"),
    ],
)
def test_what_cannot_be_read_is_refused(read, body, said):
    with pytest.raises(CaffeFormatError, match=said) as caught:
        read(body)
    assert caught.value.layer == "a" and caught.value.field.startswith("blobs")


def test_other_forks_fields_of_these_numbers_are_no_raw_data(tmp_path):
    body = shape(2) + sub(5, floats(1, 2)) + num(12, 7) + sub(10, "name") + num(10, 9)
    (tmp_path / "net.caffemodel").write_bytes(layer("a", "X", body))
    net = read_net(tmp_path / "net.caffemodel")
    assert net.params["a"][0].tolist() == [1, 2]
    paths = ["blobs.12", "blobs.10"]
    assert [x.path for x in net.unknown_fields if x.layer == "a"] == paths


def test_words_that_cannot_be_read_are_refused():
    blob = "shape {{ dim: 1 }} raw_data: '1234' {}"
    text = f"layer {{{{ name: 'a' type: 'PReLU' blobs {{{{ {blob} }}}} }}}}"
    for extra, said in (
        ("", "received: none"),
        ("raw_data_type: FLOAT data: 1", "both"),
    ):
        with pytest.raises(CaffeFormatError, match=said):
            parse_prototxt(text.format(extra))


def test_halves_cost_no_more_than_the_array(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(layer("a", "X", b"".join(raw(np.ones(3_000_000), 2, "<f2"))))
    tracemalloc.start()
    (found,) = read_caffemodel(path)["a"]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.nbytes == 12_000_000 and most < found.nbytes + (4 << 20)
