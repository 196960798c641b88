"""A net as ONNX operations, before there is a file, and without the package `onnx`.

Tensors are Caffe's blobs: images (N, C, H, W). Each operation's output has a shape at
once, so that rules can ask for it; sizes that are not known are None. What can be
computed of constants is computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_caffe_zoo.onnx.folding import folded
from keras_caffe_zoo.onnx.shapes import shapes_of

Size = int | None
MAX_FOLDED = 1 << 20  # values; what is larger is left to the engine


@dataclass(eq=False)
class Value:
    """A tensor of a graph.

    Attributes:
        shape: Its sizes; None for those that are not known.
        dtype: NumPy's type of its numbers.
        name: Its name in the file; one is found for those without.
        array: Its numbers, of a constant.
    """

    shape: tuple[Size, ...]
    dtype: np.dtype
    name: str = ""
    array: np.ndarray | None = None

    @property
    def caffe_shape(self) -> tuple[Size, ...]:
        """Its shape in Caffe's order of axes, which is what it has."""
        return self.shape


@dataclass(eq=False)
class Op:
    """One operation.

    Attributes:
        type: ONNX's name of the type.
        inputs: What it reads; None for one that is left out.
        outputs: What it makes.
        attributes: ONNX's attributes.
        layer: Caffe's name of the layer that it belongs to.
    """

    type: str
    inputs: list[Value | None]
    outputs: list[Value]
    attributes: dict = field(default_factory=dict)
    layer: str = ""


@dataclass
class LayerOfNet:
    """What a layer of a Caffe net became.

    Attributes:
        name: Caffe's name of it.
        type: Caffe's name of its type.
        shapes: The shapes of its tops, in Caffe's order of axes.
        parameters: How many numbers it has learned that are no other layer's before.
    """

    name: str
    type: str
    shapes: list[tuple[Size, ...]]
    parameters: int


class Graph:
    """Operations in the order in which they run.

    Attributes:
        name: The net's name.
        layers: The net's layers, its inputs among them.
        pixels: What the net's data layers do to pixels, by input, where they tell.
        inputs: What is given to the graph.
        outputs: What it gives, by the names that it is to have.
        ops: The operations.
        layer: Caffe's name of the layer whose operations are added.
    """

    def __init__(self, name: str = ""):
        self.name = name
        self.layers: list[LayerOfNet] = []
        self.pixels: dict[str, Any] = {}
        self.inputs: list[Value] = []
        self.outputs: dict[str, Value] = {}
        self.ops: list[Op] = []
        self.layer = ""
        self._constants: dict[tuple, Value] = {}  # by their place in memory

    def input(self, name: str, shape: Sequence[Size], dtype="float32") -> Value:
        """Add an input."""
        value = Value(tuple(shape), np.dtype(dtype), name)
        self.inputs.append(value)
        return value

    def constant(self, array, name: str = "") -> Value:
        """Return a constant; the same array is the same constant.

        Args:
            array: Numbers; Python's integers become int64, its floats float32.
            name: The name in the file; one is found if not given.
        """
        found = _as_array(array)
        if found is not array:
            return Value(found.shape, found.dtype, name, found)
        place = (array.__array_interface__["data"][0], array.shape, array.strides)
        # The value keeps the array alive: its place stays its own.
        return self._constants.setdefault(
            (*place, array.dtype), Value(array.shape, array.dtype, name, array)
        )

    def op(self, type: str, *inputs, outputs: int = 1, **attributes):
        """Add an operation.

        Args:
            type: ONNX's name of the type.
            *inputs: Values, arrays or numbers; None for one that is left out.
            outputs: How many it makes.
            **attributes: ONNX's attributes; one that is None is left out.

        Returns:
            What it makes, a list if `outputs` is not 1.

        Raises:
            ValueError: If the inputs do not fit one another.
        """
        values = [
            x if x is None or isinstance(x, Value) else self.constant(x) for x in inputs
        ]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        made = [
            Value(tuple(shape), np.dtype(dtype))
            for shape, dtype in shapes_of(type, values, attributes, outputs)
        ]
        if outputs == 1 and math.prod(n or 0 for n in made[0].shape) <= MAX_FOLDED:
            array = folded(type, values, attributes)
            if array is not None:
                return self.constant(np.asarray(array, made[0].dtype))
        self.ops.append(Op(type, values, made, attributes, self.layer))
        return made[0] if outputs == 1 else made

    def maker(self, value: Value) -> Op | None:
        """Return the operation that makes a value; None of an input or a constant."""
        found = (op for op in reversed(self.ops) if any(y is value for y in op.outputs))
        return next(found, None)

    def drop_unused(self) -> None:
        """Leave out the operations that no output needs."""
        needed, kept = {id(x) for x in self.outputs.values()}, []
        for op in reversed(self.ops):
            if any(id(x) in needed for x in op.outputs):
                needed |= {id(x) for x in op.inputs}
                kept.append(op)
        self.ops = kept[::-1]

    def size(self, x: Value, axis: int):
        """Return a size of a tensor: an integer, or a value of no axes (int64)."""
        if x.shape[axis] is not None:
            return x.shape[axis]
        shape = self.op("Shape", x)
        return self.op("Gather", shape, np.int64(axis % len(x.shape)), axis=0)


def _as_array(array) -> np.ndarray:
    if isinstance(array, np.ndarray):
        return array
    found = np.asarray(array)
    if not isinstance(array, np.generic):
        if found.dtype == np.float64:
            with np.errstate(over="ignore"):  # what is too large is infinite
                return found.astype("float32")
        if found.dtype == np.int64 or not found.size:
            return found.astype("int64")
    return found
