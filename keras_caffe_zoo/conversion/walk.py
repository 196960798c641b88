"""A functional model's calls, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from keras_caffe_zoo.lazy import keras


class Call(NamedTuple):
    """One call of a layer.

    Attributes:
        layer: The layer (or operation).
        inputs: The symbolic tensors it reads.
        outputs: Those it makes.
    """

    layer: keras.Layer
    inputs: list
    outputs: list


def calls(model: keras.Model) -> Iterator[Call]:
    """Yield the calls of a functional model's layers, its inputs first."""
    order = {id(operation): i for i, operation in enumerate(model.operations)}
    for tensor in model.inputs:
        yield Call(tensor._keras_history.operation, [], [tensor])
    for depth in sorted(model._nodes_by_depth, reverse=True):
        nodes = model._nodes_by_depth[depth]
        for node in sorted(nodes, key=lambda node: order[id(node.operation)]):
            if not node.is_input:
                yield Call(node.operation, list(node.input_tensors), list(node.outputs))
