"""One walk through a Caffe net that makes an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_caffe_zoo.conversion.net_builder import NetBuilder
from keras_caffe_zoo.onnx.graph import Graph, Value
from keras_caffe_zoo.onnx.merging import merge_factors
from keras_caffe_zoo.onnx.node import OnnxNode
from keras_caffe_zoo.rules.node import unused


class OnnxBuilder(NetBuilder):
    """An ONNX graph of a net in the making.

    Attributes:
        graph: The graph.
    """

    node_class = OnnxNode

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.graph = Graph()
        self._shared: dict[str, np.ndarray] = {}
        self._settings |= {"graph": self.graph, "shared": self._shared}
        self._written: list[tuple[str, str, Value]] = []

    def finish(self, ends: Sequence[str] | None = None) -> Graph:
        """Return the graph of the whole net, its tensors named as Caffe's blobs.

        Args:
            ends: The blobs to end with; those that no layer reads if not given.
        """
        self.build()
        outputs, inputs = self.outputs(ends), {x.name for x in self.graph.inputs}
        self.graph.layer = ""
        for blob, value in outputs.items():
            taken = value in self.graph.outputs.values() or value in self.graph.inputs
            if taken or value.array is not None:  # an output is made by an operation
                value = self.graph.op("Identity", value)
            self.graph.outputs[blob] = value
            overwritten = blob in inputs  # by a layer in place
            value.name = unused(blob, {*inputs, *outputs}) if overwritten else blob
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

    def add_input(self, node, blob, shape):
        return self.graph.input(blob, shape)

    def builds(self, node):
        self.graph.layer = node.layer.name
        return self.custom[node.layer.type] if node.rule is None else node.rule.onnx

    def written(self, node, blob, tensor):
        self._written.append((node.layer.name, blob, tensor))
