import pytest
from caffe_bytes import blob, floats, layer, legacy, sub

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    Layer,
    parse_prototxt,
    read_caffemodel,
    schema,
)
from keras_caffe_zoo.caffe.blobs import blob_shape, fit_legacy


def make(**fields):
    dims = fields.pop("dim", None)
    blob = schema.BlobProto(**fields)
    if dims is not None:
        blob.shape.dim.extend(dims)
    return blob


def axes(kind, bottoms=1, params=""):
    ends = "bottom: 'b' " * bottoms
    text = f"layer {{ name: 'x' type: '{kind}' {ends} {params} }}"
    return parse_prototxt(text).layers[0].blob_axes


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
    "kind, params, expected",
    [
        ("Convolution", "", [4, 1]),
        ("Deconvolution", "", [4, 1]),
        ("InnerProduct", "", [2, 1]),
        ("Embed", "", [2, 1]),
        ("PReLU", "", [1]),
        ("PReLU", "prelu_param { channel_shared: true }", [0]),
        ("BatchNorm", "", [1, 1, 1]),
        ("Scale", "scale_param { bias_term: true }", [1, 1]),
        ("Scale", "scale_param { num_axes: 2 bias_term: true }", [2, 2]),
        ("Scale", "scale_param { num_axes: -1 }", [None]),
        ("Bias", "bias_param { num_axes: 0 }", [0]),
    ],
)
def test_axes(kind, params, expected):
    assert list(axes(kind, params=params)) == expected


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


def test_modern_shapes_stay(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(layer("fc", "InnerProduct", blob([[[[1.0] * 3] * 2]])))
    assert read_caffemodel(path)["fc"][0].shape == (1, 1, 2, 3)


def test_legacy_blobs_that_nobody_declared_stay(tmp_path):
    path = tmp_path / "net.caffemodel"
    one = legacy(1, 1, 1, 1) + sub(5, floats(1))
    path.write_bytes(layer("c", "Convolution", one, one, one))
    shapes = [array.shape for array in read_caffemodel(path)["c"]]
    assert shapes == [(1, 1, 1, 1), (1,), (1, 1, 1, 1)]


@pytest.mark.parametrize(
    "kind, bottoms, params, count",
    [
        ("Convolution", 1, "", 2),
        ("Convolution", 1, "convolution_param { bias_term: false }", 1),
        ("Deconvolution", 1, "convolution_param { bias_term: false }", 1),
        ("InnerProduct", 1, "inner_product_param { bias_term: false }", 1),
        ("Embed", 1, "", 2),
        ("Embed", 1, "embed_param { bias_term: false }", 1),
        ("Scale", 1, "", 1),
        ("Scale", 1, "scale_param { bias_term: true }", 2),
        ("Scale", 2, "", 0),
        ("Scale", 2, "scale_param { bias_term: true }", 1),
        ("Bias", 1, "", 1),
        ("Bias", 2, "", 0),
        ("LSTM", 2, "", 3),
        ("LSTM", 3, "", 4),
        ("LSTM", 4, "recurrent_param { expose_hidden: true }", 3),
        ("RNN", 2, "", 5),
        ("RNN", 3, "recurrent_param { expose_hidden: true }", 5),
        ("RNN", 3, "", 6),
        ("BatchNorm", 1, "", 3),
        ("PReLU", 1, "", 1),
        ("Parameter", 0, "", 1),
        ("ReLU", 1, "", 0),
    ],
)
def test_numbers_of_blobs(kind, bottoms, params, count):
    assert len(axes(kind, bottoms, params)) == count


WITHOUT = """AbsVal Accuracy ArgMax BatchReindex BNLL Clip Concat ContrastiveLoss Crop
    Data Dropout DummyData ELU Eltwise EuclideanLoss Exp Filter Flatten HDF5Data
    HDF5Output HingeLoss Im2col ImageData InfogainLoss Input Log LRN MVN MemoryData
    MultinomialLogisticLoss Pooling Power ReLU Reduction Reshape SPP Sigmoid
    SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss Split Swish TanH
    Threshold Tile WindowData"""


@pytest.mark.parametrize("kind", WITHOUT.split())
def test_types_without_blobs(kind):
    assert list(axes(kind)) == []


@pytest.mark.parametrize("kind", ["Mystery", "Python", ""])
def test_types_whose_blobs_nobody_knows(kind):
    assert Layer("x", kind).blob_axes is None
