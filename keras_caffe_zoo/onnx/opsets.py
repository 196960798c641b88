"""ONNX's operations in other versions of the standard than the one we write for.

Rules write operator set 17. What another version changed is either nothing that we use
(more types, new attributes whose default is the old meaning), or is rewritten here; an
operation that a version does not have is refused.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from keras_caffe_zoo.onnx.graph import Graph, Op, Value

OPSET = 17
OPSETS = range(13, 22)  # 13: ReduceSum and Squeeze took their axes as an input; 21: the
# newest that all versions of onnx and ONNX Runtime know that we ask for

# Read in the standard's changelog: from 13 to 21 these got types, or attributes whose
# defaults mean what was meant before.
_TYPES_ONLY = (
    "Add AveragePool BatchNormalization Cast ConstantOfShape CumSum Div Equal Flatten "
    "GreaterOrEqual HardSwish Identity IsInf IsNaN LSTM LeakyRelu LessOrEqual Mul "
    "PRelu Pad Pow RNN Relu Reshape Resize ScatterElements ScatterND Shape Squeeze Sub "
    "Transpose Unsqueeze Where"
)
UNCHANGED = frozenset(_TYPES_ONLY.split())
# Their axes were an attribute, and became an input.
_REDUCTIONS = ("L1", "L2", "Max", "Mean", "Min", "Prod", "SumSquare")
_AXES_FROM_18 = frozenset(f"Reduce{x}" for x in _REDUCTIONS)
# What has a new name from 20 on: the ways in which GridSample interpolates.
_MODES_FROM_20 = {"bilinear": "linear", "bicubic": "cubic"}
REWRITTEN = _AXES_FROM_18 | {"GridSample", "RoiAlign", "Split"}


def check_opset(opset: int) -> None:
    """Check that files of a version of ONNX's operators can be written.

    Raises:
        ValueError: If not; says which can.
    """
    if opset not in OPSETS:
        raise ValueError(
            f"Expected an opset from {OPSETS.start} to {OPSETS.stop - 1}; received: "
            f"{opset!r}"
        )


def ops_at(graph: Graph, opset: int) -> list[Op]:
    """Return a graph's operations as a version of the standard has them.

    Raises:
        ValueError: If it lacks one; names it and its layer.
    """
    check_opset(opset)
    if opset >= OPSET:
        return [_later(op, opset) for op in graph.ops]
    for op in graph.ops:
        least = next(x for x in OPSETS if x == OPSET or _has(x, op))
        if opset < least:
            raise ValueError(
                f"Expected an opset of {least} at least, which has the operation "
                f"{op.type} as the layer '{op.layer}' needs it; received: {opset}"
            )
    return graph.ops


def _has(opset: int, op: Op) -> bool:
    """Tell whether an early version has an operation, and all that it is told."""
    from onnx import defs

    try:
        schema = defs.get_schema(op.type, opset)
    except defs.SchemaError:
        return False
    if op.type == "RoiAlign":  # its pixels' middles lay elsewhere before
        return opset >= 16
    return op.attributes.keys() <= schema.attributes.keys()


def _later(op: Op, opset: int) -> Op:
    attributes = dict(op.attributes)
    if opset < 18:
        return op
    if op.type in _AXES_FROM_18 and "axes" in attributes:
        axes = np.array(attributes.pop("axes"), "int64")
        given = Value(axes.shape, axes.dtype, array=axes)
        return replace(op, inputs=[op.inputs[0], given], attributes=attributes)
    if op.type == "Split" and len(op.inputs) == 1:
        return replace(op, attributes={**attributes, "num_outputs": len(op.outputs)})
    if op.type == "GridSample" and opset >= 20 and "mode" in attributes:
        mode = attributes["mode"]
        attributes["mode"] = _MODES_FROM_20.get(mode, mode)
        return replace(op, attributes=attributes)
    return op
