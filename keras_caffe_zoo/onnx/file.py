"""An ONNX graph as a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from keras_caffe_zoo.files import settle
from keras_caffe_zoo.onnx.graph import Graph, Op, Value
from keras_caffe_zoo.onnx.opsets import OPSET, ops_at
from keras_caffe_zoo.rules.node import unused
from keras_caffe_zoo.version import package_version

MAX_READ = 1 << 12  # bytes of a constant whose numbers a shape may depend on
MAX_INSIDE = 1 << 30  # bytes of constants in the file itself; protobuf ends at 2 GiB


def check_onnx(extra: str = "onnx") -> None:
    """Check that the package that writes ONNX files is there.

    Args:
        extra: The extra of this package that brings it.

    Raises:
        ImportError: If not; says how to get it.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Expected the package onnx, to write ONNX files; received: none. Install "
            f'it: pip install "keras_caffe_zoo[{extra}]"'
        ) from error


def model_proto(graph: Graph, opset: int = OPSET):
    """Return a graph as an `onnx.ModelProto`.

    Args:
        graph: The graph.
        opset: The version of the standard's operators.

    Raises:
        ValueError: If that version lacks one of the operations.
    """
    from onnx import helper

    ops = ops_at(graph, opset)
    names = _names(graph.inputs, ops)
    constants = {id(x): x for op in ops for x in op.inputs if _is_constant(x)}
    used: set[str] = set()
    made = helper.make_graph(
        [_node(op, names, used) for op in ops],
        graph.name or "net",
        [_input(x, names, alone=len(graph.inputs) == 1) for x in graph.inputs],
        [_output(x, names) for x in graph.outputs.values()],
        [_tensor(x.array, names[id(x)]) for x in constants.values()],
    )
    versions = [helper.make_opsetid("", opset)]
    proto = helper.make_model(
        made,
        producer_name="keras_caffe_zoo",
        producer_version=package_version(),
        opset_imports=versions,
        ir_version=helper.find_min_ir_version_for(versions),
    )
    if any(None in x.shape for x in graph.outputs.values()):
        _name_open_sizes(proto)
    return proto


def _name_open_sizes(proto) -> None:
    """Give the open sizes of outputs the names of the inputs' that they are.

    An output's first axis may be the inputs', or that of rows which a layer found: what
    has one name has to be one size, so that only the standard's own rules can tell.
    """
    from onnx import ModelProto, helper, shape_inference

    light = ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    light.graph.name = proto.graph.name
    for part in ("node", "input", "output"):
        getattr(light.graph, part).extend(getattr(proto.graph, part))
    for tensor in proto.graph.initializer:
        if len(tensor.raw_data) <= MAX_READ:
            light.graph.initializer.append(tensor)
        else:  # its shape is all that matters
            info = helper.make_tensor_value_info(
                tensor.name, tensor.data_type, tensor.dims
            )
            light.graph.input.append(info)
    found = shape_inference.infer_shapes(light).graph.output
    for output, other in zip(proto.graph.output, found, strict=True):
        output.CopyFrom(other)


def write_model(proto, path: Path) -> None:
    """Write an `onnx.ModelProto`, checked.

    Of a large one the constants are in a second file, `NAME.onnx.data`. The files
    appear whole or not at all.
    """
    import onnx

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".onnx") as folder:
        beside = Path(folder) / path.name
        if is_large(proto):
            data = save_large(proto, beside)
            onnx.checker.check_model(beside)
            settle(data, path.with_name(data.name))
        else:
            onnx.checker.check_model(proto, full_check=True)
            onnx.save_model(proto, beside)
        settle(beside, path)


def is_large(proto) -> bool:
    """Tell whether an `onnx.ModelProto` has too many constants for one file."""
    return sum(len(x.raw_data) for x in proto.graph.initializer) > MAX_INSIDE


def save_large(proto, path: Path) -> Path:
    """Save an `onnx.ModelProto` with its constants in a second file; return its path.

    They are no longer in `proto` then.
    """
    import onnx

    data = path.with_name(f"{path.name}.data")
    options = {"save_as_external_data": True, "location": data.name}
    onnx.save_model(proto, path, **options)
    return data


def _is_constant(value: Value | None) -> bool:
    return value is not None and value.array is not None


def _names(inputs: list[Value], ops: list[Op]) -> dict[int, str]:
    """Return a name for each tensor: its own, or one made of its layer's."""
    values = [*inputs, *(x for op in ops for x in op.outputs)]
    names = {id(x): x.name for x in values if x.name}
    used = set(names.values())
    for op in ops:
        for value in (*op.inputs, *op.outputs):
            if value is None or id(value) in names:
                continue
            name = value.name or f"{op.layer}/{op.type}"
            names[id(value)] = unused(name, used)
            used.add(names[id(value)])
    return names


def _node(op: Op, names: dict[int, str], used: set[str]):
    from onnx import helper

    name = unused(op.layer or op.type, used)
    used.add(name)
    return helper.make_node(
        op.type,
        [names[id(x)] if x is not None else "" for x in op.inputs],
        [names[id(x)] for x in op.outputs],
        name,
        doc_string=op.layer or None,
        **{key: _attribute(value) for key, value in op.attributes.items()},
    )


def _attribute(value):
    """Return an attribute as ONNX has it: types by number, arrays as tensors."""
    from onnx import helper

    if isinstance(value, np.ndarray):
        return _tensor(value, "value")
    if isinstance(value, (type, np.dtype)):
        return helper.np_dtype_to_tensor_dtype(np.dtype(value))
    return value


def _tensor(array: np.ndarray, name: str):
    from onnx import numpy_helper

    # `np.ascontiguousarray` would give a number an axis.
    return numpy_helper.from_array(np.asarray(array, order="C"), name)


def _input(value: Value, names: dict[int, str], alone: bool):
    """Describe an input; its sizes that are not known have names.

    An engine takes sizes of one name to be equal, which those of several inputs need
    not be: there are images and regions of them.
    """
    name = names[id(value)]
    sizes = [f"{name}_{axis}" for axis in range(len(value.shape))]
    return _info(value, name, ["N", *sizes[1:]] if alone else sizes)


def _output(value: Value, names: dict[int, str]):
    """Describe an output; its sizes that are not known are for the engine to find."""
    return _info(value, names[id(value)], [None] * len(value.shape))


def _info(value: Value, name: str, sizes: list[str | None]):
    from onnx import helper

    type_ = helper.np_dtype_to_tensor_dtype(value.dtype)
    pairs = zip(value.shape, sizes, strict=True)
    shape = [size if known is None else known for known, size in pairs]
    return helper.make_tensor_value_info(name, type_, shape)
