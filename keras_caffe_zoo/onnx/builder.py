"""One walk through a Caffe net that makes an ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from keras_caffe_zoo.conversion.net_builder import NetBuilder
from keras_caffe_zoo.onnx.graph import Graph, LayerOfNet, Value
from keras_caffe_zoo.onnx.merging import merge_factors
from keras_caffe_zoo.onnx.node import OnnxNode
from keras_caffe_zoo.rules.node import unused


class OnnxBuilder(NetBuilder):
    """An ONNX graph of a net in the making.

    Args:
        *args: As of `NetBuilder`, like all others.
        unwritten: Attributes of the nodes of single layers, by layer.
        **kwargs: As of `NetBuilder`.

    Attributes:
        graph: The graph.
    """

    node_class = OnnxNode

    def __init__(
        self, *args, unwritten: Mapping[str, dict] = MappingProxyType({}), **kwargs
    ):
        super().__init__(*args, **kwargs)
        self._unwritten = unwritten
        self.graph = Graph(self.net.name)
        self._shared: dict[str, np.ndarray] = {}
        self._settings |= {"graph": self.graph, "shared": self._shared}
        self._written: list[tuple[str, str, Value]] = []
        self._last: OnnxNode | None = None
        self._counted: set[str] = set()

    def finish(self, ends: Mapping[str, str] | None = None) -> Graph:
        """Return the graph of the whole net, its tensors named as Caffe's blobs.

        Args:
            ends: The blobs to end with, by the names that the outputs are to have;
                those that no layer reads, under their own, if not given.
        """
        self.build()
        found = self.outputs(None if ends is None else [*ends.values()])
        ends = ends or dict(zip(found, found, strict=True))
        inputs = {x.name for x in self.graph.inputs}
        self.graph.layer = ""
        for name, blob in ends.items():
            value = found[blob]
            taken = value in self.graph.outputs.values() or value in self.graph.inputs
            if taken or value.array is not None:  # an output is made by an operation
                value = self.graph.op("Identity", value)
            self.graph.outputs[name] = value
            overwritten = name in inputs  # by a layer in place
            value.name = unused(name, {*inputs, *ends}) if overwritten else name
        self.graph.drop_unused()
        merge_factors(self.graph)
        self._name_blobs()
        return self.graph

    def _name_blobs(self) -> None:
        """Name what a layer writes; what one in place overwrites has its layer's name.

        ONNX knows no layers in place: each tensor has a name of its own.
        """
        ends = (*self.graph.inputs, *self.graph.outputs.values())
        used = {x.name for x in ends}
        for blob, value in self.blobs.items():
            if not value.name and value.array is None:
                value.name = unused(blob, used)
                used.add(value.name)
        for layer, blob, value in self._written:
            if not value.name and value.array is None:
                value.name = unused(f"{layer}/{blob}", used)
                used.add(value.name)

    def _node(self, at, layer):
        node = super()._node(at, layer)
        for name, value in self._unwritten.get(layer.name, {}).items():
            setattr(node, name, value)
        return node

    def add_input(self, node, blob, shape):
        return self.graph.input(blob, shape)

    def builds(self, node):
        self.graph.layer = node.layer.name
        return self.custom[node.layer.type] if node.rule is None else node.rule.onnx

    def written(self, node, blob, tensor):
        self._written.append((node.layer.name, blob, tensor))
        if node is not self._last:
            count = self._count_parameters(node)
            layer = LayerOfNet(node.layer.name, node.layer.type, [], count)
            self.graph.layers.append(layer)
        self._last = node
        self.graph.layers[-1].shapes.append(tensor.shape)

    def _count_parameters(self, node) -> int:
        """Return how many numbers a layer has that no layer before it shares."""
        count = 0
        for index, shape in enumerate(node.shapes):
            name = node.shared_name(index)
            count += 0 if name in self._counted else math.prod(shape)
            self._counted |= {name} if name else set()
        return count
