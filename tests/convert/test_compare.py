"""The comparison blob by blob finds the first layer that departs."""

import numpy as np
import pytest
from support import GOLDENS, golden

from keras_caffe_zoo.convert import compare, from_caffe

ROWS = GOLDENS / "net_resnet_mini.npz"
NETS = ["net_googlenet_mini", "net_resnet_mini", "net_fcn_mini"]


def load(name):
    return from_caffe(GOLDENS / f"{name}.prototxt", GOLDENS / f"{name}.caffemodel")


@pytest.fixture(scope="module")
def googlenet():
    return load("net_googlenet_mini")


@pytest.fixture
def blobs():
    return golden("net_googlenet_mini")


@pytest.mark.parametrize("name", NETS)
def test_goldens_agree_in_every_blob_that_caffe_has_stored(name):
    found = compare(load(name), GOLDENS / f"{name}.npz", tolerance=1e-5)
    assert found.first_departure is None, str(found)
    stored = {key for key in golden(name) if not key.endswith("data")}
    names = {row.blob for row in found.rows}
    unsplit = {key.removeprefix("blob/") for key in stored if "_split_" not in key}
    assert names == unsplit
    assert found.skipped == ()


def test_rows_come_in_execution_order(googlenet, blobs):
    names = [row.blob for row in compare(googlenet, blobs).rows]
    order = ["conv1/7x7_s2", "pool1/norm1", "inception_3a/output", "pool5", "prob"]
    assert [name for name in names if name in order] == order


def test_rows_of_branches_come_in_the_order_of_the_definition():
    names = [row.blob for row in compare(load("net_resnet_mini"), ROWS).rows]
    assert names[2:6] == [
        "res2a_branch1",
        "res2a_branch2a",
        "res2a_branch2b",
        "res2a_branch2c",
    ]


def test_first_layer_that_departs_is_marked(googlenet, blobs):
    for name in ("inception_3a/3x3", "inception_3a/output", "prob"):
        blobs[f"blob/{name}"] = blobs[f"blob/{name}"] * 1.01
    found = compare(googlenet, blobs)
    assert found.first_departure.blob == "inception_3a/3x3"
    assert found.first_departure.difference == pytest.approx(0.01 / 1.01, rel=1e-3)
    (marked,) = [line for line in str(found).splitlines() if "<-- first" in line]
    assert marked.startswith("inception_3a/3x3 ")
    departed = [row.blob for row in found.rows if not row.agrees(found.tolerance)]
    assert len(departed) == 3


def test_blob_of_another_shape_departs(googlenet, blobs):
    blobs["blob/pool5"] = blobs["blob/pool5"][:, :3]
    found = compare(googlenet, blobs)
    assert found.first_departure.blob == "pool5"
    assert found.first_departure.difference is None
    assert "given 2 x 3 x" in str(found)


def test_not_a_number_on_one_side_departs(googlenet, blobs):
    blobs["blob/pool5"][0, 0] = np.nan
    found = compare(googlenet, blobs)
    assert found.first_departure.blob == "pool5"
    assert found.first_departure.difference == float("inf")


def test_blobs_without_a_prefix_and_strangers_are_understood(googlenet, blobs):
    plain = {key.removeprefix("blob/"): value for key, value in blobs.items()}
    plain["elsewhere"] = np.zeros(3)
    found = compare(googlenet, plain)
    assert found.skipped == ("elsewhere",)
    assert "not in the model: elsewhere" in str(found)
    assert found.first_departure is None


def test_table_fits_eighty_columns(googlenet, blobs):
    assert max(map(len, str(compare(googlenet, blobs)).splitlines())) <= 80


def test_data_blob_is_needed(googlenet, blobs):
    del blobs["blob/data"]
    with pytest.raises(ValueError, match=r"received none for \['data'\]"):
        compare(googlenet, blobs)


def test_blobs_of_nothing_in_the_model_are_refused(googlenet, blobs):
    with pytest.raises(ValueError, match="Expected blobs of"):
        compare(googlenet, {"data": blobs["blob/data"], "x": np.zeros(2)})
