"""`extract_features` with other engines than Keras: the same rows, never mixed."""

import json
import sys

import h5py
import numpy as np
import onnxruntime
import pytest
import tiny

from keras_caffe_zoo import extract_features
from keras_caffe_zoo.extraction import ray_cluster

COUNT = 13
LAYERS = ("conv1", "fc2")


@pytest.fixture(params=["onnxruntime", "openvino"])
def runtime(request):
    return request.param


@pytest.fixture(scope="module")
def model():
    return tiny.net()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of pictures, and what is in them."""
    folder = tmp_path_factory.mktemp("source") / "photos"
    return folder, tiny.write_pictures(folder, COUNT)


def extract(model, folder, out=None, **options):
    defaults = {"preprocess": tiny.centre, "batch_size": 4, "progress": False}
    return extract_features(model, folder, LAYERS, out, **defaults | options)


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_rows_are_the_nets(model, pictures, runtime):
    folder, arrays = pictures
    found = extract(model, folder, runtime=runtime)
    wanted = tiny.expected(model, arrays)
    for name in LAYERS:
        assert found.shapes[name] == wanted[name].shape[1:]
        close(found.values[name], wanted[name])


def test_maps_are_averaged(model, pictures, runtime):
    folder, arrays = pictures
    found = extract(model, folder, runtime=runtime, pool="mean")
    wanted = tiny.expected(model, arrays)["conv1"].mean((1, 2))
    assert found.shapes["conv1"] == (4,)
    close(found.values["conv1"], wanted)


def test_rows_of_two_runtimes_are_not_mixed(model, pictures, tmp_path):
    out = tmp_path / "f.h5"
    extract(model, pictures[0], out, runtime="onnxruntime")
    with h5py.File(out) as file:
        told = json.loads(file.attrs["provenance"])
    assert told["runtime"] == "onnxruntime"
    assert told["versions"]["onnxruntime"] == onnxruntime.__version__
    with pytest.raises(ValueError, match="runtime was onnxruntime, is now openvino"):
        extract(model, pictures[0], out, runtime="openvino")
    with pytest.raises(ValueError, match="runtime was onnxruntime, is now keras"):
        extract(model, pictures[0], out)


def test_a_missing_runtime_is_told_before_a_net_is_loaded(
    pictures, runtime, monkeypatch
):
    monkeypatch.setitem(sys.modules, runtime, None)
    with pytest.raises(ImportError, match=f"keras_caffe_zoo.{runtime}"):
        extract("caffenet", pictures[0], weights="nowhere.h5", runtime=runtime)


@pytest.mark.slow
def test_actors_of_ray_run_it_too(model, pictures, runtime, tmp_path):
    folder, _ = pictures
    options = {"engine": "ray", "actors": 2, "block_size": 4, "runtime": runtime}
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    import pyarrow.parquet as pq

    with ray_cluster.connected(None):
        extract(model, folder, tmp_path / "f.parquet", **options)
    rows = pq.read_table(tmp_path / "f.parquet")["fc2"].to_numpy()
    close(np.stack(rows), extract(model, folder).values["fc2"])
