"""The shapes that a graph tells are those that the package onnx infers."""

import onnx
import pytest
from conversion import test_fork_goldens as forks
from conversion import test_golden_layers_import as layers
from onnx import helper
from support import GOLDENS

from keras_caffe_zoo.conversion.preparing import prepared_net
from keras_caffe_zoo.onnx.api import net_graph
from keras_caffe_zoo.onnx.file import model_proto
from keras_caffe_zoo.onnx.graph import Graph


def graph_of(folder, case, **options):
    weights = folder / f"{case}.caffemodel"
    net = prepared_net(
        folder / f"{case}.prototxt", weights if weights.exists() else None, **options
    )
    return net_graph(net)


def inferred(proto):
    """Return each tensor's type and shape, None for sizes without a number."""
    found = {}
    proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    for info in (*proto.graph.value_info, *proto.graph.output):
        type_ = info.type.tensor_type
        if type_.HasField("shape"):
            sizes = [x.dim_value if x.HasField("dim_value") else None
                     for x in type_.shape.dim]  # fmt: skip
            dtype = helper.tensor_dtype_to_np_dtype(type_.elem_type)
            found[info.name] = dtype, sizes
    return found


def check(graph):
    proto = model_proto(graph)
    for output in proto.graph.output:  # else onnx repeats what it is told
        output.type.tensor_type.ClearField("shape")
    theirs = inferred(proto)
    made = [value for op in graph.ops for value in op.outputs]
    names = [name for node in proto.graph.node for name in node.output]
    assert len(made) == len(names)
    compared = 0
    for value, name in zip(made, names, strict=True):
        if name in theirs:
            dtype, sizes = theirs[name]
            assert value.dtype == dtype, name
            assert len(value.shape) == len(sizes), name
            for ours, size in zip(value.shape, sizes, strict=True):
                assert None in (ours, size) or ours == size, name
            compared += 1
    assert compared


@pytest.mark.parametrize("case", layers.CASES)
def test_shapes_of_caffes_goldens(case):
    check(graph_of(GOLDENS, case))


@pytest.mark.parametrize("case", forks.CASES)
def test_shapes_of_the_forks_goldens(case):
    arrays = forks.golden(case)
    check(graph_of(forks.FORKS, case, python_config=forks.python_config(arrays)))


def test_an_operation_that_is_not_known_is_named():
    graph = Graph("net")
    with pytest.raises(ValueError, match="Sigmod. Did you mean 'Sigmoid'"):
        graph.op("Sigmod", graph.input("x", (1, 3)))
