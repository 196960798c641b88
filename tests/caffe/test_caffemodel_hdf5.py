"""Parameters in HDF5, as Caffe's `.caffemodel.h5`, and what only looks like them."""

import h5py
import numpy as np
import pytest

from keras_caffe_zoo import CaffeFormatError, read_caffemodel, write_caffemodel
from keras_caffe_zoo.caffe import parse_prototxt, read_net

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" }
  param { name: "b" } inner_product_param { num_output: 4 } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
  inner_product_param { num_output: 4 } }
layer { name: "c" type: "InnerProduct" bottom: "b" top: "c" param { name: "w" }
  param { name: "b" } inner_product_param { num_output: 4 } }
"""
W, B, B2 = np.eye(4, dtype="f4"), np.ones(4, "f4"), np.zeros(4, "f4")
PARAMS = {"a": [W, B], "b": [W, B2], "c": [W, B]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.caffemodel.h5"


def write(path, **data):
    """Write a file as Caffe does: a group for each layer in the group `data`."""
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        for name, blobs in data.items():
            inner = group.create_group(name)
            for i, x in enumerate(blobs):
                inner[str(i)] = x
    return path


def assert_params(found, wanted):
    assert set(found) == set(wanted)
    for name, blobs in wanted.items():
        for a, b in zip(found[name], blobs, strict=True):
            assert a.dtype == np.float32 and a.flags.owndata
            np.testing.assert_array_equal(a, b)


def test_a_file_of_caffes_is_read(path):
    conv = np.random.default_rng(0).normal(size=(3, 2, 5, 5)).astype("f4")
    many = [np.float32([i]) for i in range(12)]
    write(path, relu=[], conv=[conv, B.astype("f8")], slope=[np.float32(3)], many=many)
    params = {"conv": [conv, B], "slope": [np.float32(3)], "many": many}
    assert_params(read_caffemodel(path), params)
    net = read_net(path)
    assert net.version == "HDF5" and {x.name for x in net.layers} == {*params, "relu"}


def test_gradients_beside_the_parameters_are_passed_over(path):
    write(path, a=[W])
    with h5py.File(path, "a") as file:
        file["diff/a/0"] = 2 * W
    assert_params(read_caffemodel(path), {"a": [W]})


def test_a_file_is_written_as_caffe_writes_it(path):
    write_caffemodel(path, PARAMS, parse_prototxt(NET))
    with h5py.File(path) as file:
        assert set(file) == {"data"} and set(file["data"]) == {"data", "a", "b", "c"}
        assert set(file["data/a"]) == {"0", "1"} and set(file["data/b"]) == {"1"}
        assert not len(file["data/data"])
        assert not len(file["data/c"])  # its parameters are a's
        np.testing.assert_array_equal(file["data/a/0"], W)
        assert file["data/a/0"].dtype == "<f4" and file["data/a/0"].chunks is None


def test_without_a_net_all_is_written(path):
    write_caffemodel(path, {"x": [W.astype("f2")], "y": []})
    assert_params(read_caffemodel(path), {"x": [W]})


def test_layers_that_share_some_need_the_definition(path):
    write_caffemodel(path, PARAMS, parse_prototxt(NET))
    for read in (read_caffemodel, read_net):
        with pytest.raises(CaffeFormatError, match=r"layer 'b'.*only \[1\].*shares"):
            read(path)
    (b,) = (x for x in read_net(path, gaps=True).layers if x.name == "b")
    assert b.blobs[0] is None and len(b.blobs) == 2


def test_names_with_slashes_are_told(path):
    with pytest.raises(ValueError, match="without slashes.*'conv1/7x7'.*BINARYPROTO"):
        write_caffemodel(path, {"conv1/7x7": [W]})
    assert not list(path.parent.iterdir())
    write(path, **{"conv1": [], "conv1/7x7": [W]})
    assert_params(read_caffemodel(path), {"conv1/7x7": [W]})


def soft(file):
    file["data/a/0"] = h5py.SoftLink("/data/b/0")


def outside(file):
    file["data/a/0"] = h5py.ExternalLink("/etc/hostname", "/x")


def outside_values(file):
    options = {"external": [("/etc/hostname", 0, 16)]}
    file["data/a"].create_dataset("0", (4,), "f4", **options)


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    file["data/a"].create_virtual_dataset("0", layout)


def huge(file):
    file["data/a"].create_dataset("0", (1 << 40,), "f4")  # nothing of it is stored


def compressed(file):
    zeros = np.zeros(1 << 20, "f4")
    file["data/a"].create_dataset("0", data=zeros, compression="gzip")


def repeated(file):
    file["data/a/0"] = np.zeros(1 << 10, "f4")
    for i in range(1, 99):
        file[f"data/a/{i}"] = file["data/a/0"]


def circle(file):
    file["data/a/b"] = file["data"]


def words(file):
    file["data/a/0"] = "text"


def compound(file):
    file["data/a/0"] = np.zeros(3, [("x", "f4"), ("y", "f4")])


def nothing(file):
    file["data/a/0"] = h5py.Empty("f4")


def other_names(file):
    file["data/a/kernel"] = W


def far(file):
    file["data/a/9999"] = W


def no_group(file):
    file["data/0"] = W


def keras_file(file):
    del file["data"]
    file["layers/dense/vars/0"] = W


HOSTILE = [
    (soft, "in the file"),
    (outside, "in the file"),
    (outside_values, "in the file"),
    (virtual, "in the file"),
    (huge, "uncompressed"),
    (compressed, "uncompressed"),
    (repeated, "uncompressed"),
    (circle, "as groups|at most"),
    (words, "numbers"),
    (compound, "numbers"),
    (nothing, "numbers"),
    (other_names, "named 0, 1, 2, … of layer 'a'; received: 'kernel'"),
    (far, "number 9999"),
    (no_group, "layers as groups; received: '0'"),
    (keras_file, r"another HDF5 file, with \['layers'\]"),
]


@pytest.mark.parametrize("make, match", HOSTILE, ids=[x.__name__ for x, _ in HOSTILE])
def test_hostile_files_are_refused(path, make, match):
    write(path, a=[], b=[W])
    with h5py.File(path, "a") as file:
        make(file)
    with pytest.raises(CaffeFormatError, match=match) as caught:
        read_caffemodel(path)
    assert "net.caffemodel.h5" in str(caught.value)


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_truncation_anywhere(path, step):
    data = write(path, a=[W, B], b=[W, B2]).read_bytes()
    for size in range(0, len(data), step):
        path.write_bytes(data[:size])
        with pytest.raises(CaffeFormatError):
            read_caffemodel(path)
