"""What a rule is given to write a Keras layer with, as one Caffe layer or several.

Weights are not its concern: the rule's codec encodes them under the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from keras_caffe_zoo.arithmetic import axes
from keras_caffe_zoo.caffe import Layer, Param, declared, schema
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.rule import Rule

_FUNCTIONS = {  # of keras.activations
    "relu": "ReLU",
    "relu6": "ReLU6",
    "sigmoid": "Sigmoid",
    "tanh": "TanH",
    "softplus": "BNLL",
    "elu": "ELU",
    "exponential": "Exp",
    "silu": "Swish",
}


def may_agree(one, other) -> bool:
    """Tell whether tensors have the same shape, but for sizes that are not known."""
    return len(one.shape) == len(other.shape) and all(
        a == b or None in (a, b) for a, b in zip(one.shape, other.shape, strict=True)
    )


@dataclass
class Target:
    """One call of a Keras layer on its way into a Caffe net.

    Attributes:
        layer: The Keras layer.
        inputs: Symbolic tensors it reads.
        outputs: Symbolic tensors it makes.
        bottoms: Caffe's names of the blobs that it reads.
        tops: Caffe's names of the blobs that it is to write.
        new_layer: Makes a name for one more layer.
        new_blob: Makes a name for a blob between two layers.
        layers: The Caffe layers made so far.
        name: Caffe's name of the layer.
        rule: The rule that writes it.
    """

    layer: keras.Layer
    inputs: list
    outputs: list
    bottoms: list[str]
    tops: list[str]
    new_layer: Callable[[str], str]
    new_blob: Callable[[str], str]
    layers: list[Layer] = field(default_factory=list)
    name: str = ""
    rule: Rule | None = None

    def __post_init__(self):
        self.name = self.name or caffe_name(self.layer.name)

    def add(self, type: str, bottoms=None, tops=None, name=None, **params) -> None:
        """Add a Caffe layer.

        Args:
            type: Caffe's type.
            bottoms: Names of the blobs it reads; this call's if not given.
            tops: Names of those it writes; this call's if not given.
            name: Its name, or like it; this layer's if not given.
            **params: Parameters such as `relu_param={"negative_slope": 0.1}`.
        """
        bottoms = self.bottoms if bottoms is None else bottoms
        tops = self.tops if tops is None else tops
        message = schema.LayerParameter()
        for param_name, values in params.items():
            param = self._declaration(type, param_name)
            message.raw.append(param.encode_text(param.message(**values)))
        name = self.new_layer(name) if name not in (None, self.name) else self.name
        layer = Layer(name, type, list(bottoms), list(tops), message)
        layer.message = layer.to_message()
        self.layers.append(layer)

    def _declaration(self, type: str, name: str) -> Param:
        """Return the declaration of a parameter message: this rule's, or the type's."""
        own = [self.rule.param, *self.rule.also] if self.rule else []
        known = [*filter(None, own), *declared(type).params]
        return next(param for param in known if param.name == name)

    def add_activation(self) -> None:
        """Add the activation that the layer has built in, in place."""
        activation = getattr(self.layer, "activation", None)
        if activation in (None, keras.activations.linear):
            return
        self.add_function(activation, self.tops, f"{self.name}_{_short(activation)}")

    def add_function(self, activation, bottoms: list[str], name: str) -> None:
        """Add an activation function, in place if its bottoms are this call's tops."""
        if activation is keras.activations.softmax:
            rank = len(self.outputs[0].shape)
            axis = 1 if rank == 4 else rank - 1
            self.add("Softmax", bottoms, name=name, softmax_param={"axis": axis})
            return
        for function, type_ in _FUNCTIONS.items():
            if activation is getattr(keras.activations, function):
                self.add(type_, bottoms, name=name)
                return
        raise self.error(f"its activation is {activation}")

    def axis(self, axis: int) -> int:
        """Return Caffe's axis for an axis of the (first) input."""
        rank = len(self.inputs[0].shape)
        return axes.caffe_axis(axis % rank, rank)

    def error(self, why: str) -> ValueError:
        """Return an error that names the layer and says why Caffe cannot have it."""
        return ValueError(
            f"Layer '{caffe_name(self.layer.name)}' ({type(self.layer).__name__}) "
            f"cannot be written for Caffe: {why}."
        )


def _short(activation) -> str:
    return getattr(activation, "__name__", type(activation).__name__).lower()
