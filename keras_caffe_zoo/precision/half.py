"""ONNX files in half precision: half the size, and faster where the hardware has it."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.precision.chosen import chosen
from keras_caffe_zoo.rules.node import unused

_LARGEST = 65504  # of float16
_NORMAL = 2.0**-14  # the smallest that has all of float16's digits


def half(model):
    """Return an ONNX model whose weights and arithmetic are in half precision.

    So are convolutions, inner products, and what lies between them. Inputs and outputs
    stay float32, and so does what half precision is too coarse for: LRN, averages,
    Softmax, recurrent layers, detections, and layers with numbers beyond its range.

    Args:
        model: An `onnx.ModelProto`, which is not changed.
    """
    return _Half(model).run()


def float_names(proto) -> set[str]:
    """Return the names of all float32 tensors of a model."""
    import onnx

    light = onnx.ModelProto()
    light.CopyFrom(proto)
    for tensor in light.graph.initializer:  # types need no weights
        if tensor.data_type == onnx.TensorProto.FLOAT:
            del tensor.float_data[:]
            tensor.ClearField("raw_data")
    graph = onnx.shape_inference.infer_shapes(light).graph
    kind = onnx.TensorProto.FLOAT
    values = [*graph.input, *graph.value_info, *graph.output]
    found = {x.name for x in values if x.type.tensor_type.elem_type == kind}
    return found | {x.name for x in graph.initializer if x.data_type == kind}


class _Half:
    """One model on its way to half precision."""

    def __init__(self, proto):
        from onnx import numpy_helper

        self.proto = proto
        self.floats = float_names(proto)
        self.constants = {
            x.name: numpy_helper.to_array(x)
            for x in proto.graph.initializer
            if x.name in self.floats
        }
        self.before = list(proto.graph.node)  # the same objects, as long as this lives
        layers, self.made = chosen(self.before, self.floats, self._exact())
        self.members = {id(node) for layer in layers for node in layer}
        self.full = {x.name for x in proto.graph.output}  # tensors needed as float32
        for node in self.before:
            if id(node) not in self.members:
                self.full |= {*node.input, *_captured(node)}
        self.used = {x for node in self.before for x in [*node.input, *node.output]}
        self.nodes: list = []
        self.halves: dict[str, str] = {}  # the names of tensors in half precision
        self.tensors: list = []

    def run(self):
        """Return the model."""
        import onnx

        for node in self.before:
            self._add(node)
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        graph, gone = proto.graph, self.halves.keys() - self.full
        kept = [x for x in self.proto.graph.initializer if x.name not in gone]
        for field in ("node", "initializer", "value_info"):
            graph.ClearField(field)
        graph.node.extend(self.nodes)
        graph.initializer.extend([*kept, *self.tensors])
        return proto

    def _exact(self) -> set[str]:
        """Return the constants that half precision cannot hold."""
        found = {name for name, x in self.constants.items() if _beyond(x)}
        for node in self.before:
            if node.op_type == "BatchNormalization":  # divides by the variance's root
                variance = self.constants.get(node.input[4])
                if variance is None or (variance < _NORMAL).any():
                    found.add(node.input[4])
        return found

    def _add(self, node) -> None:
        if id(node) not in self.members:
            self.nodes.append(node)
            return
        import onnx

        changed = onnx.NodeProto()
        changed.CopyFrom(node)
        changed.input[:] = [self._half(x) for x in node.input]
        later = [x for x in node.output if x in self.made & self.full]
        self.halves |= {x: self._name(x) if x in later else x for x in node.output}
        changed.output[:] = [self.halves[x] for x in node.output]
        self.nodes.append(changed)
        for name in later:
            self._cast(self.halves[name], name, onnx.TensorProto.FLOAT)

    def _half(self, name: str) -> str:
        """Return the name of a tensor in half precision, made if there is none."""
        from onnx import TensorProto, numpy_helper

        if name not in self.floats or name in self.halves:
            return self.halves.get(name, name)
        if name not in self.constants:
            self.halves[name] = made = self._name(name)
            self._cast(name, made, TensorProto.FLOAT16)
            return made
        self.halves[name] = made = self._name(name) if name in self.full else name
        array = self.constants[name].astype("float16")
        self.tensors.append(numpy_helper.from_array(array, made))
        return made

    def _name(self, name: str) -> str:
        found = unused(f"{name}/half", self.used)
        self.used.add(found)
        return found

    def _cast(self, name: str, made: str, kind: int) -> None:
        from onnx import helper

        self.nodes.append(
            helper.make_node("Cast", [name], [made], f"{made}/Cast", to=kind)
        )


def _beyond(array: np.ndarray) -> bool:
    return bool(array.size) and not np.abs(array).max() <= _LARGEST


def _captured(node) -> set[str]:
    """Return what the graphs inside a node may read of the graph around it."""
    found = set()
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                found |= {*inner.input, *_captured(inner)}
            found |= {x.name for x in graph.output}
    return found
