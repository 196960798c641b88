"""Python layers: those whose code is known by its module and class."""

import ast
from collections.abc import Container
from dataclasses import replace

import yaml

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

_MOST_CHARACTERS = 2000  # of a `param_str`; published ones have a hundred


@register
class Python(Rule):
    """A Python layer that nobody knows."""

    types = ("Python",)
    refused = "its code is not in the file"
    param = PYTHON

    def blob_axes(self, layer):
        return None


def name_python_layers(net: Net, custom: Container[str] = ()) -> Net:
    """Return a net whose Python layers have the types of their code, where known.

    A rule for layers of Python has types such as `"rpn.proposal_layer.ProposalLayer"`:
    the module, and the class in it.

    Args:
        net: The net.
        custom: Types that the caller imports. With `"Python"` among them those are the
            caller's, too, that there are rules for.
    """
    return replace(net, layers=[_named(layer, custom) for layer in net.layers])


def _named(layer: Layer, custom: Container[str]) -> Layer:
    type_ = code_name(layer)
    known = layer.type not in custom and rule_of(type_) is not None
    return replace(layer, type=type_) if known or type_ in custom else layer


def code_name(layer: Layer) -> str:
    """Return the module and class of a Python layer; the type of any other."""
    if layer.type not in Python.types:
        return layer.type
    param = layer.decode(PYTHON).message
    return f"{param.module}.{param.layer}".strip(".") or layer.type


def add_python(call, type_: str, words: str) -> None:
    """Add a Python layer to what is written.

    Args:
        call: The Keras layer's call, a `Target`.
        type_: The module, and the class in it.
        words: Its `param_str`.
    """
    module, _, kind = type_.rpartition(".")
    param = {"module": module, "layer": kind, "param_str": words}
    call.add(Python.types[0], python_param=param)


class _Reader(yaml.SafeLoader):
    """YAML of plain values, and the tuples that PyYAML itself writes.

    Without aliases, by which a few words can stand for more than memory holds.
    """

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias")
        return super().compose_node(parent, index)


_Reader.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda reader, node: tuple(reader.construct_sequence(node)),
)


def param_dict(node) -> dict:
    """Return a Python layer's `param_str` as a dict: YAML, or Python's own notation.

    Raises:
        CaffeFormatError: If it is neither, or longer than anybody writes.
    """
    text = node.param.param_str
    if len(text) > _MOST_CHARACTERS:
        raise node.error(
            f"Expected at most {_MOST_CHARACTERS:,} characters; received: "
            f"{len(text):,}",
            "python_param.param_str",
        )
    try:
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        try:
            found = yaml.load(text, _Reader)  # noqa: S506  a SafeLoader
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            said = " ".join(str(error).split())
            raise node.error(
                f"Expected YAML; received {text[:200]!r}: {said[:200]}",
                "python_param.param_str",
            ) from None
    if not isinstance(found, dict):
        raise node.error(
            f"Expected names with values; received: {text[:200]!r}",
            "python_param.param_str",
        )
    return found
