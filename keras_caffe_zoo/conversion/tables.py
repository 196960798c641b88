"""What was converted, layer by layer, as a table and for programs."""

from __future__ import annotations

from collections.abc import Sequence

from keras_caffe_zoo.columns import Column, shape_text, table_lines
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.onnx.graph import Graph
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.node import caffe_shape

_COLUMNS = (
    Column("layer", 26, names=True),
    Column("type", 20, names=True),
    Column("blob", 20),
    Column("parameters", right=True),
)


def model_rows(model: keras.Model) -> list[dict]:
    """Return a Keras model's layers: name, class, Caffe's shapes, parameters."""
    return [
        {
            "layer": caffe_name(layer.name),
            "type": type(layer).__name__,
            "shapes": [
                list(caffe_shape(tensor)) for tensor in keras.tree.flatten(layer.output)
            ],
            "parameters": layer.count_params(),
        }
        for layer in model.layers
    ]


def graph_rows(graph: Graph) -> list[dict]:
    """Return the layers of a graph: name, Caffe's type and shapes, parameters.

    Besides, the ONNX operations of each; none of one that is a part of another.
    """
    return [
        {
            "layer": layer.name,
            "type": layer.type,
            "shapes": [list(shape) for shape in layer.shapes],
            "parameters": layer.parameters,
            "operations": [op.type for op in graph.ops if op.layer == layer.name],
        }
        for layer in graph.layers
    ]


def layer_table(rows: Sequence[dict], parameters: int | None = None) -> str:
    """Return layers as a table of 80 columns, if it can be; shapes as (N, C, H, W).

    Args:
        rows: What `model_rows` or `graph_rows` returned.
        parameters: How many there are in all, where rows share some.
    """
    cells = [
        (
            row["layer"],
            row["type"],
            shape_text(row["shapes"][0]),
            f"{row['parameters']:,}" if row["parameters"] else "",
        )
        for row in rows
    ]
    if parameters is None:
        parameters = sum(row["parameters"] for row in rows)
    last = f"{len(rows)} layers, {parameters:,} parameters"
    return "\n".join([*table_lines(_COLUMNS, cells), last])
