"""The table of Keras classes, and what an encoder is given to work with.

An encoder is one small function for one class of Keras layer:

    @encodes(keras.layers.Dropout)
    def dropout(call):
        call.add("Dropout", dropout_param={"dropout_ratio": call.layer.rate})

It gets a `Target`, reads the layer's arguments, and adds one Caffe layer, or several.
Weights are not its concern: `convert/params.py` encodes them under the same name.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras

from keras_caffe_zoo.caffe import Layer, schema
from keras_caffe_zoo.convert.names import caffe_name
from keras_caffe_zoo.layers import _blobs

ENCODERS: dict[type, Callable] = {}


def encodes(*classes: type):
    """Register a function as the encoder of classes of Keras layers."""

    def register(function):
        ENCODERS.update(dict.fromkeys(classes, function))
        return function

    return register


def encoder_of(layer: keras.Layer) -> Callable | None:
    """Return the encoder of a layer's class, or of the nearest one it derives from."""
    return next((ENCODERS[c] for c in type(layer).__mro__ if c in ENCODERS), None)


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
        message = schema.LayerParameter(**params)
        name = self.new_layer(name) if name not in (None, self.name) else self.name
        layer = Layer(name, type, list(bottoms), list(tops), message)
        layer.message = layer.to_message()
        self.layers.append(layer)

    def add_activation(self) -> None:
        """Add the activation that the layer has built in, in place."""
        activation = getattr(self.layer, "activation", None)
        if activation in (None, keras.activations.linear):
            return
        encode = ENCODERS[keras.activations.get]
        encode(self, activation, self.tops, f"{self.name}_{_short(activation)}")

    def axis(self, axis: int) -> int:
        """Return Caffe's axis for an axis of the (first) input."""
        rank = len(self.inputs[0].shape)
        return _blobs.caffe_axis(axis % rank, rank)

    def error(self, why: str) -> ValueError:
        """Return an error that names the layer and says why Caffe cannot have it."""
        return ValueError(
            "Expected layers that Caffe has; received: layer "
            f"'{self.layer.name}' ({type(self.layer).__name__}): {why}."
        )


def _short(activation) -> str:
    return getattr(activation, "__name__", type(activation).__name__).lower()
