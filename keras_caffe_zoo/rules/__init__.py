"""Everything known of each type of Caffe layer, once: a rule for each."""

from keras_caffe_zoo.rules import (
    activation,
    data,
    inner_product,
    loss,
    merge,
    normalization,
    recurrent,
    shape,
    window,
)
from keras_caffe_zoo.rules.registry import (
    codec_of,
    register,
    role_of,
    rule_for,
    rule_of,
    supported_layers,
    traits_of,
)
from keras_caffe_zoo.rules.rule import STORED, Codec, Rule, Traits, Window

__all__ = [
    "STORED",
    "Codec",
    "Rule",
    "Traits",
    "Window",
    "activation",
    "codec_of",
    "data",
    "inner_product",
    "loss",
    "merge",
    "normalization",
    "recurrent",
    "register",
    "role_of",
    "rule_for",
    "rule_of",
    "shape",
    "supported_layers",
    "traits_of",
    "window",
]
