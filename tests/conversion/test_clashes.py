"""One field number, several forks: the layer's type tells what a binary file means."""

import struct

import pytest
from support import GOLDENS

from keras_caffe_zoo.caffe import declared, parse_prototxt, read_net
from keras_caffe_zoo.conversion.summary import inspect_file
from keras_caffe_zoo.rules.python import name_python_layers

FORKS = GOLDENS / "forks"
FILES = sorted(FORKS.glob("*.caffemodel"))


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def num(field, value):
    return varint(field << 3) + varint(value)


def sub(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def real(field, value):
    return varint(field << 3 | 5) + struct.pack("<f", value)


CONVOLUTION = sub(106, num(1, 8) + num(4, 3))
# Each number as two forks have it: the layer's type, its own fields, those of the other
# fork, and what is read of the former.
CLASHES = {
    "143 is Interp's": ("Interp", sub(143, num(3, 2)), b"", {"zoom_factor": 2}),
    "143 is Input's": (
        "Input",
        sub(143, sub(1, sub(1, b"\1\3\5\7"))),
        b"",
        {"shape": [[1, 3, 5, 7]]},
    ),
    "137 is Embed's": ("Embed", sub(137, num(1, 4) + num(2, 9)), b"", {"input_dim": 9}),
    "137 is Upsample's": ("Upsample", sub(137, num(1, 3)), b"", {"scale": 3}),
    "147 is Swish's": ("Swish", sub(147, real(1, 2)), b"", {"beta": 2}),
    "149 is a string": ("Convolution", CONVOLUTION, sub(149, "MKL"), {"num_output": 8}),
    "149 is Reorg's": ("Reorg", sub(149, num(1, 2)), b"", {"stride": 2}),
    "150 is Correlation's": (
        "Correlation",
        sub(150, num(3, 1) + num(4, 20)),
        b"",
        {"max_displacement": 20},
    ),
    "150 is multinode": ("Convolution", CONVOLUTION, sub(150, num(1, 2)), {"group": 1}),
    "157 is a bool": ("Convolution", CONVOLUTION, num(157, 0), {"num_output": 8}),
    "157 is a bool beside its own": (
        "FlowWarp",
        sub(159, num(1, 2)),
        num(157, 1),
        {"fill_value": 2},
    ),
    "159 is Reorg's": ("Reorg", sub(159, num(1, 2)), b"", {"stride": 2}),
    "201 is Proposal's": (
        "Proposal",
        sub(201, num(1, 8) + real(8, 0.5)),
        b"",
        {"feat_stride": 8},
    ),
    "201 is MultiBoxLoss's": ("MultiBoxLoss", sub(201, num(3, 21)), b"", {}),
    "202 is Permute's": (
        "Permute",
        sub(202, num(1, 0) + num(1, 2) + num(1, 3) + num(1, 1)),
        b"",
        {"order": [0, 2, 3, 1]},
    ),
    "206 is a string": ("Pooling", sub(121, num(2, 3)), sub(206, "x"), {"stride": 1}),
    "121 is a number": ("Pooling", sub(121, num(2, 3)), num(121, 7), {}),
}


@pytest.fixture(params=CLASHES)
def clash(request, tmp_path):
    """The read layer of a file, and what its parameters are to be."""
    type_, own, others, wanted = CLASHES[request.param]
    path = tmp_path / "net.caffemodel"
    layer = sub(1, "x") + sub(2, type_) + others + own + others
    path.write_bytes(sub(100, layer) + sub(100, sub(1, "y") + sub(2, "ReLU")))
    (found, _) = read_net(path).layers
    return path, found, wanted


def value_of(message, name):
    value = getattr(message, name)
    if name == "shape":
        return [list(shape.dim) for shape in value]
    return list(value) if hasattr(value, "append") else value


def test_a_layer_has_its_own_forks_parameters(clash):
    _, layer, wanted = clash
    if declared(layer.type).params:
        found = {name: value_of(layer.param, name) for name in wanted}
        assert found == wanted


def test_such_a_file_is_summed_up_and_printed(clash):
    path, layer, wanted = clash
    assert [x["name"] for x in inspect_file(path).layers] == ["x", "y"]
    again, _ = parse_prototxt(read_net(path).to_prototxt()).layers
    assert again.type == layer.type
    if declared(layer.type).params:
        assert {name: value_of(again.param, name) for name in wanted} == wanted
    layer.to_bytes()
    layer.unknown_fields()


# Numbers that forks gave to several fields of one message: only words can tell.
SEVERAL = {
    "convolution_param": {"hole", "hole_h", "hole_w"},
    "dropout_param": {"scale_train", "sample_weights_test"},
    "pooling_param": {"ceil_mode", "round_mode", "avg_include_pad"},
}


def sure(layer, param):
    """Return the parameters of a layer but for those."""
    fields = layer.decode(param).message.ListFields()
    left_out = SEVERAL.get(param.name, ())
    return {field.name: value for field, value in fields if field.name not in left_out}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_of_the_forks_has_its_prototxts_parameters(path):
    binary = name_python_layers(read_net(path))
    text = name_python_layers(read_net(path.with_suffix(".prototxt")).fold_splits())
    others = {layer.name: layer for layer in text.layers}
    assert binary.layers
    for one in binary.layers:  # some files have the layers with weights only
        other = others[one.name]
        assert one.type == other.type
        if one.type == "ConvolutionDepthwise":
            continue  # the fork itself sets the group that it runs with
        for param in declared(one.type).params:
            if param.numbers and one.decode(param).given:
                assert sure(one, param) == sure(other, param), one
    inspect_file(path)
    assert len(parse_prototxt(binary.to_prototxt()).layers) == len(binary.layers)
