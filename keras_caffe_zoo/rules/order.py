"""In which order a dense layer finds the values of the map that it reads flattened."""

from __future__ import annotations

from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import traits_of


def flat_channels(layer: keras.Layer) -> int:
    """Return how many channels the blob had that a dense layer reads flattened.

    1 where the layer's input is flat from the start, or flattened in Caffe's order.

    Raises:
        ValueError: If a layer before it may have changed the order; names it.
    """
    shape = tuple(layer.kernel.shape) if hasattr(layer, "kernel") else ()
    if len(shape) != 2:
        return shape[-2] if shape else 1
    if len(layer.input.shape) != 2:
        return 1  # it reads the last axis only
    return _channels_behind(layer.input, layer)


def _channels_behind(tensor, reader: keras.Layer) -> int:
    """Return the channels of the map in whose order a tensor's values stand."""
    layer = tensor._keras_history.operation
    order = traits_of(layer).order
    if order == "new" or order == "flattened in Caffe's order":
        return 1
    inputs = keras.tree.flatten(layer.input)
    if order == "flattened":
        first = getattr(layer, "data_format", None) == "channels_first"
        return _channels_of(inputs[0], reader, 1 if first else -1)
    if order == "first":
        return _channels_behind(inputs[0], reader)
    found = {_channels_behind(x, reader) for x in inputs} if order else set()
    if found == {1} or (order == "kept" and len(found) == 1):
        return found.pop()
    raise _refusal(layer, reader, order)


def _channels_of(tensor, reader: keras.Layer, axis: int) -> int:
    """Return the channels of what is flattened, a map or a tensor of other axes."""
    if len(tensor.shape) != 4:
        return _channels_behind(tensor, reader)
    before = tensor._keras_history.operation
    order = traits_of(before).order
    if order == "shuffled":
        raise _refusal(before, reader, order)
    return 1 if order == "permuted" else tensor.shape[axis]


def _refusal(layer, reader, order) -> ValueError:
    why = "it puts them in another order" if order else "no rule tells in which order"
    return ValueError(
        f"The weights of '{caffe_name(reader.name)}' stand in the order of a map that "
        f"was flattened, and layer '{caffe_name(layer.name)}' ({type(layer).__name__}) "
        f"is between: {why}. Put it before Flatten, or register a rule with its traits "
        "(keras_caffe_zoo.register)."
    )
