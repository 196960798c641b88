"""All of BVLC Caffe 1.0's schema, the reference that declarations are held to."""

from bvlc_fields import FIELDS
from caffe_bytes import sub
from google.protobuf import text_format

from keras_caffe_zoo.caffe import Net, schema
from keras_caffe_zoo.caffe.prototxt import Parser

BVLC = schema.Schema(FIELDS, "bvlc")
MESSAGES = BVLC.MESSAGES
NetParameter, LayerParameter = MESSAGES["NetParameter"], MESSAGES["LayerParameter"]


def parse(text, kind="NetParameter"):
    """Returns a message of the whole schema, parameters of all types decoded."""
    return Parser(text, "<string>", BVLC).parse(kind)


def from_bytes(net):
    """Returns a net as protobuf reads the bytes of its structure."""
    layers = b"".join(sub(100, layer.to_bytes()) for layer in net.layers)
    return NetParameter.FromString(net.head().SerializeToString() + layers)


def from_text(net):
    """Returns a net as protobuf reads its prototxt."""
    return text_format.Parse(net.to_prototxt(), NetParameter())


def message(layer):
    """Returns a layer as protobuf reads its bytes."""
    return from_bytes(Net(layers=[layer])).layer[0]
