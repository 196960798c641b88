"""What a rule is given to write a layer's ONNX operations with.

Tensors are `Value`s, in Caffe's order of axes. As for Keras, a rule says the shapes of
the layer's parameters first (`node.learns`), and then asks for them.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_caffe_zoo.onnx.graph import Graph, Value
from keras_caffe_zoo.rules.node import Node


@dataclass
class OnnxNode(Node):
    """One Caffe layer on its way into an ONNX graph.

    Attributes:
        graph: What the operations are added to.
        shared: The parameters that layers share, by their name in the prototxt.
    """

    graph: Graph = field(default_factory=Graph)
    shared: MutableMapping[str, np.ndarray] = field(default_factory=dict)

    def op(self, type: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add an operation; see `Graph.op`."""
        return self.graph.op(type, *inputs, outputs=outputs, **attributes)

    def constant(self, array: Any, name: str = "") -> Value:
        """Return a constant; see `Graph.constant`."""
        return self.graph.constant(array, name)

    def axis(self, axis: int, rank: int, name: str = "axis") -> int:
        """Return the axis of a tensor that is a Caffe axis: the same, from 0 on.

        Raises:
            CaffeFormatError: If the blob has no such axis.
        """
        return self.caffe_axis(axis, rank, name)

    def size(self, x: Value, axis: int) -> int | Value:
        """Return a size of a tensor; see `Graph.size`."""
        return self.graph.size(x, axis)

    def reshape(self, x: Value, sizes: Sequence[int | Value]) -> Value:
        """Return a tensor in another shape.

        Args:
            x: The tensor.
            sizes: Integers, values of no axes (see `size`), and at most one -1.
        """
        found, unknown = list(sizes), [isinstance(size, Value) for size in sizes]
        if sum(unknown) == 1 and -1 not in found:  # what is left is this one
            found[unknown.index(True)] = -1
        y = self.op("Reshape", x, self.sizes(found))
        if None in y.shape:  # those that were told are known nevertheless
            told = [size if isinstance(size, int) else None for size in sizes]
            pairs = zip(told, y.shape, strict=True)
            y.shape = tuple(a if a and a > 0 else b for a, b in pairs)
        return y

    def reshape_like(self, x: Value, other: Value) -> Value:
        """Return a tensor in the shape of another that has as many values."""
        unknown = other.shape.count(None)
        if unknown > 1:
            return self.op("Reshape", x, self.op("Shape", other))
        return self.reshape(x, [-1 if size is None else size for size in other.shape])

    def counted(self, size: int | Value, dtype: type = np.int64) -> Value:
        """Return the numbers 0, 1, … below a size."""
        found = self.op("Range", 0, size, 1)
        return found if dtype is np.int64 else self.op("Cast", found, to=dtype)

    def joined(self, parts: Sequence[Value], axis: int) -> Value:
        """Return tensors one behind the other along an axis; a single one as it is."""
        return self.op("Concat", *parts, axis=axis) if len(parts) > 1 else parts[0]

    def with_ones(self, x: Value, count: int) -> Value:
        """Return a tensor with so many axes of size 1 behind its own."""
        sizes = [size or 0 for size in x.shape]  # 0 is the size that it has
        return self.op("Reshape", x, sizes + [1] * count) if count else x

    def sizes(self, sizes: Sequence[int | Value]) -> Value:
        """Return sizes, integers or values of no axes, as one tensor."""
        if all(isinstance(size, int) for size in sizes):
            return self.constant(np.array(sizes, "int64"))
        parts = [
            self.op("Unsqueeze", size, [0]) if isinstance(size, Value) else [size]
            for size in sizes
        ]
        return self.op("Concat", *parts, axis=0)

    def array(self, index: int) -> np.ndarray:
        """Return a parameter in Caffe's layout, float32.

        Zeros that take no memory, where the graph is built for its shapes alone.

        Raises:
            CaffeFormatError: If no file has it.
        """
        shape = self.shapes[index]
        if self.blobs is None:
            return np.broadcast_to(np.float32(0), shape)
        name = self.shared_name(index)
        shared = self._shared(index, name)
        if not self.blobs and shared is None:
            raise self.error(
                f"Expected parameters of the shapes {self.shapes} in the caffemodel; "
                "received none"
            )
        found = shared
        if self.blobs:
            found = np.asarray(self.blobs[index], "float32").reshape(shape)
        if name:
            self.shared.setdefault(name, self._stored(index, found))
        # A file has one constant for the same memory.
        same = shared is not None and np.array_equal(found, shared)
        return shared if same else found

    def weight(self, index: int) -> Value:
        """Return a parameter in Caffe's layout as a constant of the graph."""
        return self.constant(self.array(index), f"{self.layer.name}/{index}")

    def _shared(self, index: int, name: str) -> np.ndarray | None:
        found = self.shared.get(name)
        if found is None or found.size != math.prod(self.shapes[index]):
            return None  # the builder refuses what does not fit
        return self._stored(index, found).reshape(self.shapes[index])

    def _stored(self, index: int, array: np.ndarray) -> np.ndarray:
        """Return a parameter in the file's layout, and back: layers share it there."""
        if self.rule is None:
            return array
        return self.rule.stored(self, index, array)

    def shared_name(self, index: int) -> str:
        """Return the name by which layers share a parameter; `""` if it has none."""
        specs = self.layer.message.param
        return specs[index].name if index < len(specs) else ""
