"""The HDF5 store: what goes in comes out, in Keras layout, or an error says why."""

import hashlib
import os
import re

import h5py
import numpy as np
import pytest
from support import GOLDENS, golden

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    parse_prototxt,
    write_caffemodel,
    write_mean,
)
from keras_caffe_zoo.weights.store import StoredWeights, dump_caffe_weights

NET = """
name: "little"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 2 dim: 4 dim: 5 } } }
layer { name: "a/conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
        inner_product_param { num_output: 3 } }
layer { name: "norm" type: "BatchNorm" bottom: "fc" top: "norm" }
layer { name: "a" type: "InnerProduct" bottom: "norm" top: "a"
        inner_product_param { num_output: 3 bias_term: false } }
"""
SHAPES = {
    "a/conv": [(4, 2, 1, 1), (4,)],
    "fc": [(3, 4 * 4 * 5), (3,)],
    "norm": [(3,), (3,), (1,)],
    "a": [(3, 3)],
}


def params(shapes=SHAPES):
    rng = np.random.default_rng(0)
    return {
        name: [rng.standard_normal(shape).astype("float32") for shape in all_of_one]
        for name, all_of_one in shapes.items()
    }


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "little.caffemodel"
    write_caffemodel(path, params(), parse_prototxt(NET))
    return path


@pytest.fixture
def stored(source, tmp_path):
    return dump_caffe_weights(source, tmp_path / "little.h5", progress=False)


def hwc_rows(weight, channels, height, width):
    """Caffe's (O, C * H * W) as the rows of a Keras kernel, index by index."""
    kernel = np.zeros(weight.T.shape, weight.dtype)
    for c, i, j in np.ndindex(channels, height, width):
        row = (i * width + j) * channels + c
        kernel[row] = weight[:, (c * height + i) * width + j]
    return kernel


def test_every_array_comes_back_in_keras_layout_under_caffes_name(stored):
    arrays = params()
    with StoredWeights(stored) as file:
        assert file.names == ["a/conv", "fc", "norm", "a"]
        kernel, bias = file.arrays("a/conv", 2)
        np.testing.assert_array_equal(kernel[0, 0], arrays["a/conv"][0][:, :, 0, 0].T)
        np.testing.assert_array_equal(bias, arrays["a/conv"][1])
        kernel, bias = file.arrays("fc", 4)
        np.testing.assert_array_equal(kernel, hwc_rows(arrays["fc"][0], 4, 4, 5))
        np.testing.assert_array_equal(bias, arrays["fc"][1])
        for ours, blob in zip(file.arrays("norm", 1), arrays["norm"], strict=True):
            np.testing.assert_array_equal(ours, blob)


def test_a_layer_named_like_the_folder_of_another_holds_only_its_own(stored):
    with StoredWeights(stored) as file:
        (kernel,) = file.arrays("a", 1)
        assert file.shapes("a") == {"kernel": (3, 3)}
        assert file.shapes("a/conv") == {"kernel": (1, 1, 2, 4), "bias": (4,)}
    np.testing.assert_array_equal(kernel, params()["a"][0].T)


@pytest.mark.parametrize("with_net", [True, False])
@pytest.mark.parametrize("channels", [1, 4])
def test_dense_kernels_come_in_the_order_asked_for(tmp_path, with_net, channels):
    """Whether the file told how many channels the flattened blob had or not."""
    arrays = params()
    path = tmp_path / "x.caffemodel"
    write_caffemodel(path, arrays, parse_prototxt(NET) if with_net else None)
    stored = dump_caffe_weights(path, tmp_path / "x.h5", progress=False)
    weight = arrays["fc"][0]
    expected = hwc_rows(weight, 4, 4, 5) if channels == 4 else weight.T
    with StoredWeights(stored) as file:
        np.testing.assert_array_equal(file.arrays("fc", channels)[0], expected)


def test_a_kernel_for_other_channels_is_refused(stored):
    with (
        StoredWeights(stored) as file,
        pytest.raises(ValueError, match="5 input channels for layer 'fc'.* 4 channels"),
    ):
        file.arrays("fc", 5)


def test_transposed_weights_are_stored_like_others(tmp_path):
    source = GOLDENS / "ip_transpose.caffemodel"
    stored = dump_caffe_weights(source, tmp_path / "x.h5", progress=False)
    blobs = golden("ip_transpose")
    with StoredWeights(stored) as file:
        kernel, bias = file.arrays("y", 6)
    flat = np.moveaxis(blobs["blob/data"], 1, -1).reshape(2, -1)
    np.testing.assert_allclose(flat @ kernel + bias, blobs["blob/y"], rtol=0, atol=2e-5)


def test_the_structure_and_where_it_came_from_are_kept(stored, source):
    data = source.read_bytes()
    with h5py.File(stored) as file:
        attrs = dict(file.attrs)
    assert attrs["source_file"] == "little.caffemodel"
    assert attrs["source_size"] == len(data)
    assert attrs["source_sha256"] == hashlib.sha256(data).hexdigest()
    assert (attrs["caffe_format"], attrs["net_name"]) == ("V2", "little")
    assert attrs["converter"].startswith("keras_caffe_zoo ")
    with StoredWeights(stored) as file:
        types = [layer.type for layer in file.net.layers]
        assert file.net.layers[1].param.num_output == 4
    assert types == [
        "Input",
        "Convolution",
        "InnerProduct",
        "BatchNorm",
        "InnerProduct",
    ]


def test_the_mean_is_stored_channels_last(source, tmp_path):
    mean = np.random.default_rng(1).random((3, 4, 6), "float32")
    write_mean(tmp_path / "mean.binaryproto", mean)
    out = tmp_path / "x.h5"
    dump_caffe_weights(source, out, mean=tmp_path / "mean.binaryproto", progress=False)
    with h5py.File(out) as file:
        assert file["mean"].attrs["source_file"] == "mean.binaryproto"
        np.testing.assert_array_equal(file["mean"][()], mean.transpose(1, 2, 0))


def test_any_flipped_byte_of_the_numbers_is_found(stored):
    data = stored.read_bytes()
    numbers = params()["fc"][1].tobytes()
    start = data.index(numbers)
    for offset in range(len(numbers)):
        damaged = bytearray(data)
        damaged[start + offset] ^= 0x10
        stored.write_bytes(damaged)
        with (
            StoredWeights(stored) as file,
            pytest.raises(ValueError, match="/fc/bias is damaged. Delete the file"),
        ):
            file.arrays("fc", 4)


@pytest.mark.parametrize("kept", [0, 8, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused_by_name(stored, kept):
    data = stored.read_bytes()
    stored.write_bytes(data[: kept if isinstance(kept, int) else int(kept * len(data))])
    with pytest.raises(ValueError, match=f"{re.escape(str(stored))}, which is damaged"):
        StoredWeights(stored)


def test_other_files_are_refused(tmp_path, source):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="keras-caffe-zoo dump.*other.h5"):
        StoredWeights(tmp_path / "other.h5")
    with pytest.raises(ValueError, match="Expected an HDF5 file; received"):
        StoredWeights(source)


def test_a_file_of_a_later_format_is_refused(stored):
    with h5py.File(stored, "r+") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(ValueError, match=r"format version 1\); received: .*2"):
        StoredWeights(stored)


def test_an_input_is_never_written_over(source, tmp_path):
    link = tmp_path / "link.h5"
    os.symlink(source, link)
    before = source.read_bytes()
    for output in (source, link):
        with pytest.raises(ValueError, match="another file to write to"):
            dump_caffe_weights(source, output, progress=False)
    assert source.read_bytes() == before


@pytest.mark.parametrize("mean", [None, "mean.binaryproto"])
def test_a_failure_leaves_no_file_and_an_old_one_as_it_was(source, tmp_path, mean):
    """Either the caffemodel is damaged, or the mean, which is read after it."""
    damaged = tmp_path / (mean or source.name)
    damaged.write_bytes(source.read_bytes()[:-9])
    old, new = tmp_path / "old.h5", tmp_path / "new.h5"
    old.write_bytes(b"old")
    before = sorted(os.listdir(tmp_path))
    for output in (old, new):
        with pytest.raises(CaffeFormatError):
            path = mean and damaged
            dump_caffe_weights(source, output, mean=path, progress=False)
    assert sorted(os.listdir(tmp_path)) == before
    assert old.read_bytes() == b"old"


def test_a_net_without_parameters_is_refused(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    with pytest.raises(ValueError, match="net.prototxt, in which no layer has any"):
        dump_caffe_weights(tmp_path / "net.prototxt", tmp_path / "x.h5", progress=False)
