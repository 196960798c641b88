"""An ONNX graph that takes and gives images as models do, channels last."""

from __future__ import annotations

from keras_caffe_zoo.arithmetic.axes import TO_CAFFE, TO_KERAS
from keras_caffe_zoo.onnx.graph import Graph, Op, Value


def channels_last(graph: Graph) -> Graph:
    """Have the inputs and outputs of four axes channels last; return the graph.

    The transpositions are operations of the graph, which engines make part of what
    they do to the images anyway. The names stay.
    """
    ops = []
    for at, blob in enumerate(graph.inputs):
        if len(blob.shape) == 4:
            name, blob.name = blob.name, ""
            image = _transposed(blob, TO_KERAS, name)
            ops.append(_transpose(image, blob, TO_CAFFE))
            graph.inputs[at] = image
    graph.ops[:0] = ops
    for name, blob in graph.outputs.items():
        if len(blob.shape) == 4:
            blob.name = ""
            graph.outputs[name] = _transposed(blob, TO_KERAS, name)
            graph.ops.append(_transpose(blob, graph.outputs[name], TO_KERAS))
    return graph


def _transposed(blob: Value, axes: tuple[int, ...], name: str) -> Value:
    return Value(tuple(blob.shape[axis] for axis in axes), blob.dtype, name)


def _transpose(x: Value, y: Value, axes: tuple[int, ...]) -> Op:
    return Op("Transpose", [x], [y], {"perm": list(axes)})
