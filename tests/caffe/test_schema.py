import subprocess
import sys
from pathlib import Path

import bvlc
import pytest
from caffe_bytes import GOLDENS, floats, num, sub
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
)

from keras_caffe_zoo.caffe import read_net, schema

ROOM = Path(schema.__file__).parent


def test_hand_made_bytes_decode_by_the_published_numbers(tmp_path):
    lrn = num(1, 7) + b"\x15" + floats(5e-4) + num(4, 1)
    data = sub(1, "n") + sub(100, sub(1, "norm") + sub(2, "LRN") + sub(118, lrn))
    net = bvlc.NetParameter.FromString(data)
    assert (net.name, net.layer[0].type) == ("n", "LRN")
    path = tmp_path / "net.caffemodel"
    path.write_bytes(data)
    for param in (net.layer[0].lrn_param, read_net(path).layers[0].param):
        assert (param.local_size, param.alpha) == (7, pytest.approx(5e-4))
        assert param.norm_region == param.WITHIN_CHANNEL == 1
        assert (param.beta, param.k) == (0.75, 1.0)


@pytest.mark.parametrize(
    "message, field, default",
    [
        ("BatchNormParameter", "eps", 1e-5),
        ("ConvolutionParameter", "bias_term", True),
        ("ScaleParameter", "bias_term", False),
        ("EltwiseParameter", "operation", 1),
        ("LossParameter", "normalization", 1),
        ("NetState", "phase", 1),
        ("SolverParameter", "type", "SGD"),
        ("SolverParameter", "random_seed", -1),
        ("ReductionParameter", "operation", 1),
        ("V0LayerParameter", "det_crop_mode", "warp"),
        ("FillerParameter", "type", "constant"),
        ("PoolingParameter", "pad", 0),
    ],
)
def test_defaults(message, field, default):
    want = pytest.approx(default) if isinstance(default, float) else default
    assert getattr(bvlc.MESSAGES[message](), field) == want
    if message in schema.MESSAGES:
        assert getattr(schema.MESSAGES[message](), field) == want


def test_blob_values_and_dims_are_packed_and_others_are_not():
    blob = schema.BlobProto(data=[1, 2], shape=schema.BlobShape(dim=[2]))
    assert blob.SerializeToString() == sub(5, floats(1, 2)) + sub(7, sub(1, b"\x02"))
    conv = bvlc.MESSAGES["ConvolutionParameter"](kernel_size=[3, 5])
    assert conv.SerializeToString() == num(4, 3) + num(4, 5)


def test_text_format_reads_and_prints_every_golden():
    for path in sorted(GOLDENS.glob("*.prototxt")):
        net = text_format.Parse(path.read_text(), bvlc.NetParameter())
        again = text_format.Parse(text_format.MessageToString(net), bvlc.NetParameter())
        assert again == net and (net.layer or net.layers), path


def test_required_fields_are_required():
    clip = bvlc.MESSAGES["ClipParameter"]
    assert not clip(min=0).IsInitialized()
    assert clip(min=0, max=6).IsInitialized()


def test_lives_beside_another_caffe_schema():
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe")
    file.message_type.add(name="NetParameter")
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    other = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("caffe.NetParameter")
    )
    assert not other.DESCRIPTOR.fields and schema.NetParameter.DESCRIPTOR.fields


def test_unknown_message_names_are_explained():
    with pytest.raises(AttributeError, match="NetParameter; received: NetParam"):
        _ = schema.NetParam


def test_imports_neither_keras_nor_a_backend():
    # A package of another name stands in, so that only this room is imported.
    pure = (
        "import sys, types, importlib\n"
        f"root = {str(ROOM.parent)!r}\n"
        "package = types.ModuleType('room')\n"
        "package.__path__ = [root]\n"
        "sys.modules['room'] = package\n"
        "importlib.import_module('room.caffe')\n"
        "bad = {'keras', 'tensorflow', 'torch', 'jax', 'h5py'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", pure], check=True, timeout=120)
