"""ONNX files of integers, by ONNX Runtime's static quantization."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from keras_caffe_zoo.conversion.quiet import quiet
from keras_caffe_zoo.precision.calibration import Calibration, agreement
from keras_caffe_zoo.precision.chosen import chosen
from keras_caffe_zoo.precision.half import float_names
from keras_caffe_zoo.rules.node import unused

# Of the layers that bear it, those that ONNX Runtime computes in integers.
_TYPES = [
    *("Conv", "Gemm", "MatMul", "Relu", "Clip", "MaxPool", "Add", "Concat"),
    *("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"),
]


def check_onnxruntime() -> None:
    """Check that ONNX Runtime, which measures nets, is there.

    Raises:
        ImportError: If not; says how to get it.
    """
    try:
        import onnxruntime.quantization  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"Expected ONNX Runtime, to write int8 ONNX files; received: {error}. "
            'Install it: pip install "keras_caffe_zoo[int8]"'
        ) from error


def int8(proto, pictures: Calibration):
    """Return an ONNX model that computes in integers of 8 bits, and how it agrees.

    Weights are symmetric, with a scale for each channel; the ranges of activations are
    those that pictures show. What `half` keeps in float32 stays so here, too.

    Args:
        proto: An `onnx.ModelProto` of one input, an image.
        pictures: The pictures.

    Returns:
        `(proto, agreement)`; the proto has QuantizeLinear and DequantizeLinear around
        what is computed in integers.

    Raises:
        ValueError: If the model has several inputs.
        ImportError: If ONNX Runtime is not installed.
    """
    check_onnxruntime()
    _check_inputs(proto)
    made = _quantized(proto, pictures)
    found = agreement(pictures, _runner(proto, pictures), _runner(made, pictures), 1)
    return made, found


def _check_inputs(proto) -> None:
    names = [x.name for x in proto.graph.input]
    if len(names) != 1:
        raise ValueError(
            "Expected a net of one input, to measure it on pictures; received: "
            f"{', '.join(names) or 'none'}"
        )


def _quantized(proto, pictures: Calibration):
    import onnx
    from onnxruntime import quantization

    proto = _named(proto)
    nodes = list(proto.graph.node)
    layers, _ = chosen(nodes, float_names(proto))
    bear = {node.name for layer in layers for node in layer}
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            proto,
            path,
            _Reader(proto, pictures),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_TYPES,
            nodes_to_exclude=[node.name for node in nodes if node.name not in bear],
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            # Of integers, OpenCV 4 adds wrong ones to an inner product.
            extra_options={"QuantizeBias": False},
        )
        return onnx.load(path)


def _named(proto):
    """Return a copy whose nodes all have names, by which they are left out."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    used = {node.name for node in copy.graph.node}
    for node in copy.graph.node:
        if not node.name:
            node.name = unused(node.op_type, used)
            used.add(node.name)
    return copy


def _feed(proto, pictures: Calibration, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return a net's input of images: as they are, or prepared, channels first."""
    import onnx

    (x,) = proto.graph.input
    if x.type.tensor_type.elem_type == onnx.TensorProto.UINT8:
        return {x.name: images}
    return {x.name: pictures.blob(images)}


def _runner(proto, pictures: Calibration):
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    data = proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=providers)
    first = [session.get_outputs()[0].name]
    return lambda images: session.run(first, _feed(proto, pictures, images))[0]


class _Reader:
    """What ONNX Runtime's calibration takes its inputs from."""

    def __init__(self, proto, pictures: Calibration):
        images = pictures.images(pictures.measured)
        self._feeds = (_feed(proto, pictures, one) for one in images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)

    def set_range(self, start_index: int, end_index: int) -> None:
        raise NotImplementedError
