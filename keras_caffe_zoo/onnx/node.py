"""What a rule is given to write a layer's ONNX operations with.

Tensors are `Value`s, in Caffe's order of axes. As for Keras, a rule says the shapes of
the layer's parameters first (`node.learns`), and then asks for them.
"""

from __future__ import annotations

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
        return self.op("Reshape", x, self.sizes(sizes))

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
        name = self.shared_name(index)
        if self.blobs:
            found = np.asarray(self.blobs[index], "float32").reshape(shape)
        elif name in self.shared:
            found = self.shared[name].reshape(shape)
        elif self.blobs is None:
            return np.broadcast_to(np.float32(0), shape)
        else:
            raise self.error(
                f"Expected parameters of the shapes {self.shapes} in the caffemodel; "
                "received none"
            )
        return self.shared.setdefault(name, found) if name else found

    def weight(self, index: int) -> Value:
        """Return a parameter in Caffe's layout as a constant of the graph."""
        return self.constant(self.array(index), f"{self.layer.name}/{index}")

    def shared_name(self, index: int) -> str:
        """Return the name by which layers share a parameter; `""` if it has none."""
        specs = self.layer.message.param
        return specs[index].name if index < len(specs) else ""
