import numpy as np
import pytest

from keras_caffe_zoo.caffe import CaffeFormatError, schema
from keras_caffe_zoo.caffe.blobs import (
    blob_rank,
    blob_shape,
    expected_blobs,
    fit_legacy,
    shape_values,
)


def make(**fields):
    dims = fields.pop("dim", None)
    blob = schema.BlobProto(**fields)
    if dims is not None:
        blob.shape.dim.extend(dims)
    return blob


def make_layer(kind, bottoms=1, **params):
    return schema.LayerParameter(type=kind, bottom=["b"] * bottoms, **params)


def test_any_legacy_field_makes_a_legacy_shape_and_absent_ones_are_zero():
    assert blob_shape(make(width=5)) == (0, 0, 0, 5)
    assert blob_shape(make(num=0, dim=[2, 3])) == (0, 0, 0, 0)
    assert blob_shape(make(dim=[2, 3])) == (2, 3)


def test_no_shape_is_a_scalar():
    assert blob_shape(make()) == ()


@pytest.mark.parametrize(
    "dims", [[1] * 33, [-1], [2**40], [2**16, 2**16], [0, 2**62], [0, -(2**63)]]
)
def test_shapes_caffe_cannot_have_are_refused(dims):
    with pytest.raises(CaffeFormatError, match="Expected .*received"):
        blob_shape(make(dim=dims))


@pytest.mark.parametrize(
    "kind, params, ranks",
    [
        ("Convolution", {}, [4, 1, None]),
        ("Deconvolution", {}, [4, 1]),
        ("InnerProduct", {}, [2, 1]),
        ("Embed", {}, [2, 1]),
        ("PReLU", {}, [1]),
        ("PReLU", {"prelu_param": {"channel_shared": True}}, [0]),
        ("BatchNorm", {}, [1, 1, 1, None]),
        ("Scale", {}, [1, 1]),
        ("Scale", {"scale_param": {"num_axes": 2}}, [2, 2]),
        ("Scale", {"scale_param": {"num_axes": -1}}, [None]),
        ("Bias", {"bias_param": {"num_axes": 0}}, [0]),
        ("Mystery", {}, [None]),
    ],
)
def test_ranks(kind, params, ranks):
    layer = make_layer(kind, **params)
    assert [blob_rank(layer, i) for i in range(len(ranks))] == ranks


def test_only_leading_ones_go():
    assert fit_legacy((1, 1, 1, 5), 1) == (5,)
    assert fit_legacy((1, 1, 1, 1), 1) == (1,)
    assert fit_legacy((1, 1, 1, 1), 0) == ()
    assert fit_legacy((1, 1, 1, 9), 2) == (1, 9)
    assert fit_legacy((1, 3, 1, 1), 4) == (1, 3, 1, 1)
    assert fit_legacy((1, 3, 1, 1), None) == (1, 3, 1, 1)


def test_a_leading_axis_with_content_is_an_error():
    with pytest.raises(CaffeFormatError, match=r"received shape: \(5, 1, 1, 3\)"):
        fit_legacy((5, 1, 1, 3), 2)


def test_modern_shapes_stay():
    layer = make_layer("InnerProduct")
    values = shape_values(np.zeros(6, "f4"), make(dim=[1, 1, 2, 3]), layer, 0)
    assert values.shape == (1, 1, 2, 3)


@pytest.mark.parametrize(
    "kind, bottoms, params, count",
    [
        ("Convolution", 1, {}, 2),
        ("Convolution", 1, {"convolution_param": {"bias_term": False}}, 1),
        ("InnerProduct", 1, {"inner_product_param": {"bias_term": False}}, 1),
        ("Embed", 1, {}, 2),
        ("Scale", 1, {}, 1),
        ("Scale", 1, {"scale_param": {"bias_term": True}}, 2),
        ("Scale", 2, {}, 0),
        ("Bias", 2, {}, 0),
        ("LSTM", 2, {}, 3),
        ("LSTM", 3, {}, 4),
        ("LSTM", 4, {"recurrent_param": {"expose_hidden": True}}, 3),
        ("RNN", 2, {}, 5),
        ("RNN", 3, {"recurrent_param": {"expose_hidden": True}}, 5),
        ("RNN", 3, {}, 6),
        ("BatchNorm", 1, {}, 3),
        ("ReLU", 1, {}, 0),
        ("Mystery", 1, {}, None),
    ],
)
def test_expected_blobs(kind, bottoms, params, count):
    assert expected_blobs(make_layer(kind, bottoms, **params)) == count
