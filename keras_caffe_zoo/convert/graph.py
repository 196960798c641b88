"""The table of layer types, and what a handler is given to work with.

A handler is one small function for one type of Caffe layer:

    @handles("Dropout")
    def dropout(node, x):
        return keras.layers.Dropout(node.param.dropout_ratio, name=node.name)(x)

It gets a `Node` and one tensor for each bottom, and returns one for each top. Tensors
of 4-D blobs are channels last, all others in Caffe's order of axes. It makes layers
and gives them no weights: `set_caffe_params` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_caffe_zoo.caffe import CaffeFormatError, Layer
from keras_caffe_zoo.convert.names import conv_name, keras_name

HANDLERS: dict[str, Callable] = {}

# Caffe's axes N, C, H, W in a channels-last tensor.
_CHANNELS_LAST = {0: 0, 1: 3, 2: 1, 3: 2}


def handles(*types: str):
    """Register a function as the handler of Caffe layer types."""

    def register(function):
        HANDLERS.update(dict.fromkeys(types, function))
        return function

    return register


def supported_layers() -> list[str]:
    """Return the types of Caffe layers that `from_caffe` imports, sorted."""
    from keras_caffe_zoo.convert import handlers  # noqa: F401  fills the table

    return sorted(HANDLERS)


@dataclass
class Node:
    """One Caffe layer on its way into a Keras graph.

    Attributes:
        layer: The Caffe layer.
        source: The prototxt's name, for errors.
        fully_convolutional: Whether inner products become convolutions.
        windows: Height and width of the blob that each inner product flattens, by
            layer name; for `fully_convolutional`.
        suffix: Makes the Keras name unique where Caffe's is not.
        blobs: The layer's parameters, if a caffemodel was given.
    """

    layer: Layer
    source: str
    fully_convolutional: bool = False
    windows: dict[str, tuple[int, int]] = field(default_factory=dict)
    suffix: str = ""
    blobs: list = field(default_factory=list)

    @property
    def name(self) -> str:
        """The Keras layer's name."""
        return keras_name(self.layer.name) + self.suffix

    @property
    def conv_name(self) -> str:
        """The Keras layer's name if it became a convolution."""
        return conv_name(keras_name(self.layer.name)) + self.suffix

    @property
    def param(self) -> Any:
        """The layer's own parameters, `convolution_param` and the like."""
        stem = self.layer.type.lower()
        for descriptor in self.layer.message.DESCRIPTOR.fields:
            if descriptor.name.replace("_", "") == f"{stem}param":
                return getattr(self.layer.message, descriptor.name)
        raise KeyError(self.layer.type)

    def error(self, problem: str, name: str | None = None) -> CaffeFormatError:
        """Return an error that names the file, the layer, its type and a field."""
        problem = f"({self.layer.type}) {problem}"
        return CaffeFormatError(
            problem, source=self.source, layer=self.layer.name, field=name
        )

    def axis(self, axis: int, rank: int, name: str = "axis") -> int:
        """Return the Keras axis of a Caffe axis, of a blob with `rank` axes.

        Raises:
            CaffeFormatError: If the blob has no such axis.
        """
        if not -rank <= axis < rank:
            raise self.error(
                f"Expected an axis of a blob with {rank} axes; received: {axis}", name
            )
        axis %= rank
        return _CHANNELS_LAST[axis] if rank == 4 else axis


def caffe_shape(tensor) -> tuple[int | None, ...]:
    """Return a tensor's shape in Caffe's order of axes."""
    shape = tuple(tensor.shape)
    return (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape


def to_caffe_order(tensor, name: str):
    """Return a tensor with its axes in Caffe's order; `name` for the layer it takes."""
    if len(tensor.shape) != 4:
        return tensor
    return keras.layers.Permute((3, 1, 2), name=name)(tensor)


def to_channels_last(tensor, name: str):
    """Return a tensor in Caffe's order as the graph keeps it."""
    if len(tensor.shape) != 4:
        return tensor
    return keras.layers.Permute((2, 3, 1), name=name)(tensor)
