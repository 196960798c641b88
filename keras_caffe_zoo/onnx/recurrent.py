"""Layers that go through time, as ONNX operations: those of each step, one by one.

ONNX's own LSTM and RNN know no `cont`, the blob that says where sequences begin.
"""

from __future__ import annotations

import numpy as np

MOST_STEPS = 1000


def lstm(node, x, cont, static, states: list, units: int) -> list:
    """Return the top and the last states of an LSTM, whose parameters the node has.

    Args:
        node: The layer, an `OnnxNode`.
        x: The blob (T, N, …), of a known number of steps.
        cont: (T, N), which is 0 where a sequence begins.
        static: A blob (N, …) that is the same at each step; None if there is none.
        states: The first states h and c, (1, N, units); none if they are 0.
        units: Size of a state.
    """
    if static is None and not states and _never_ends(node, cont):
        return [_whole(node, x, units)]
    parts = _inputs(node, x, static)
    weight = _matrix(node, -1)
    hidden, cell = states or (None, None)
    tops = []
    for gates, goes_on in zip(parts, _steps(node, cont), strict=True):
        if hidden is not None:
            kept = node.op("Mul", hidden, goes_on)
            gates = node.op("Add", gates, node.op("MatMul", kept, weight))
        ways, new = node.op("Split", gates, [3 * units, units], outputs=2, axis=2)
        ways = node.op("Split", node.op("Sigmoid", ways), outputs=3, axis=2)
        write, keep, read = ways
        new = node.op("Mul", write, node.op("Tanh", new))
        if cell is not None:
            old = node.op("Mul", node.op("Mul", goes_on, keep), cell)
            new = node.op("Add", old, new)
        cell = new
        hidden = node.op("Mul", read, node.op("Tanh", cell))
        tops.append(hidden)
    return [node.joined(tops, axis=0), hidden, cell]


def rnn(node, x, cont, static, states: list) -> list:
    """Return the top and the last state of an RNN; see `lstm`."""
    parts = _inputs(node, x, static)
    weight, (hidden,) = _matrix(node, -3), states or (None,)
    tops = []
    for inner, goes_on in zip(parts, _steps(node, cont), strict=True):
        if hidden is not None:
            kept = node.op("Mul", hidden, goes_on)
            inner = node.op("Add", inner, node.op("MatMul", kept, weight))
        hidden = node.op("Tanh", inner)
        tops.append(hidden)
    outer = node.op("MatMul", node.joined(tops, axis=0), _matrix(node, -2))
    outer = node.op("Add", outer, node.weight(len(node.shapes) - 1))
    return [node.op("Tanh", outer), hidden]


def _never_ends(node, cont) -> bool:
    """Tell whether the only sequence is known to begin with the first step."""
    if cont.array is not None:
        return bool((cont.array[1:] == 1).all())
    op = node.graph.maker(cont)
    return getattr(op, "type", "") == "ConstantOfShape" and op.attributes["value"] == 1


def _whole(node, x, units: int):
    """Return the top of an LSTM of one sequence: ONNX's own."""
    order = [0, 2, 1, 3]  # of the gates; Caffe's are i, f, o, g

    def ordered(array):
        gates = array.reshape(4, units, -1)[order]
        return gates.reshape(1, 4 * units, *array.shape[1:])

    weights = [ordered(node.array(index)) for index in (0, 2)]
    bias = ordered(node.array(1))
    bias = np.concatenate([bias, np.zeros_like(bias)], 1)
    inputs = [node.reshape(x, [0, 0, -1]), *weights, bias]
    y = node.op("LSTM", *inputs, hidden_size=units)
    return node.op("Squeeze", y, [1])


def _matrix(node, index: int):
    """Return a matrix of the layer's, turned round for rows that are multiplied."""
    index %= len(node.shapes)
    return node.constant(node.array(index).T, f"{node.layer.name}/{index}")


def _inputs(node, x, static) -> list:
    """Return what the inputs add to each step, (1, N, …)."""
    x = node.reshape(x, [0, 0, -1])
    x = node.op("Add", node.op("MatMul", x, _matrix(node, 0)), node.weight(1))
    if static is not None:
        static = node.reshape(static, [1, -1, node.shapes[2][1]])
        x = node.op("Add", x, node.op("MatMul", static, _matrix(node, 2)))
    return _steps(node, x)


def _steps(node, x) -> list:
    """Return a blob (T, N, …) step by step, (1, N, …); (T, N) as (1, N, 1)."""
    x = node.with_ones(x, 3 - len(x.shape))
    steps = x.shape[0]
    return [x] if steps == 1 else node.op("Split", x, outputs=steps, axis=0)
