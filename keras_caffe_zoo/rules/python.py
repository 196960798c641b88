"""Python layers: those whose code is known by its module and class."""

from dataclasses import replace

from keras_caffe_zoo.caffe import Layer, Net, Param
from keras_caffe_zoo.rules.registry import register, rule_of
from keras_caffe_zoo.rules.rule import Rule

PYTHON = Param(
    "python_param",
    """
    1 module string; 2 layer string; 3 param_str string; 4 share_in_parallel bool=false
    """,
    130,
)


@register
class Python(Rule):
    """A Python layer that nobody knows."""

    types = ("Python",)
    refused = "its code is not in the file"
    param = PYTHON

    def blob_axes(self, layer):
        return None


def name_python_layers(net: Net) -> Net:
    """Return a net whose Python layers have the types of their code, where known.

    A rule for layers of Python has types such as `"rpn.proposal_layer.ProposalLayer"`:
    the module, and the class in it.
    """
    return replace(net, layers=[_named(layer) for layer in net.layers])


def _named(layer: Layer) -> Layer:
    if layer.type not in Python.types:
        return layer
    param = layer.decode(PYTHON).message
    type_ = f"{param.module}.{param.layer}"
    return layer if rule_of(type_) is None else replace(layer, type=type_)
