"""Which operations of an ONNX file bear fewer bits: convolutions and what lies between.

Operations that belong to one of Caffe's layers, which their `doc_string` tells, go
together: what a layer of detections does with coordinates stays exact as a whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence

# What takes nearly all the time, and sums in more bits than it reads.
HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# What does no more than to move numbers, or one step of arithmetic, in between. Not
# among them: sums over many values and their squares (LRN, averages, norms), quotients
# and exponentials (Softmax), recurrent layers, all that finds or compares coordinates.
LIGHT = frozenset(
    [
        *("Abs", "Add", "BatchNormalization", "Clip", "Concat", "DepthToSpace"),
        *("Dropout", "Elu", "Expand", "Flatten", "GlobalMaxPool", "HardSigmoid"),
        *("HardSwish", "Identity", "LeakyRelu", "Max", "MaxPool", "Min", "Mul"),
        *("Neg", "PRelu", "Pad", "Relu", "Reshape", "Shape", "Sigmoid", "Slice"),
        *("SpaceToDepth", "Split", "Squeeze", "Sub", "Sum", "Tanh", "Tile"),
        *("Transpose", "Unsqueeze"),
    ]
)


def groups(nodes: Iterable) -> list[list]:
    """Return nodes by the layer that they belong to; one of none is alone."""
    found = []
    for layer, members in itertools.groupby(nodes, lambda node: node.doc_string):
        members = list(members)
        found += [members] if layer else [[node] for node in members]
    return found


def chosen(
    nodes: Sequence, floats: Collection[str], exact: Collection[str] = ()
) -> tuple[list[list], set[str]]:
    """Return the layers that bear fewer bits, in order, and the tensors they make.

    A layer does if it is a heavy one, or light and reads such a tensor.

    Args:
        nodes: The operations, of an `onnx.ModelProto`.
        floats: The names of the float32 tensors.
        exact: Constants that need all their bits, and so the layers that read them.
    """
    found, made = [], set()
    for group in groups(nodes):
        working = [x for x in group if not floats.isdisjoint([*x.input, *x.output])]
        reads = {name for node in working for name in node.input}
        types = {node.op_type for node in working}
        able = types <= HEAVY | LIGHT and all(not node.domain for node in working)
        if able and reads.isdisjoint(exact) and (types & HEAVY or reads & made):
            found.append(working)
            made |= {name for x in working for name in x.output} & set(floats)
    return found, made
