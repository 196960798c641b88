"""From a prototxt and a caffemodel to an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_caffe_zoo.caffe import CaffeFormatError, Net
from keras_caffe_zoo.conversion.exporter import open_net
from keras_caffe_zoo.conversion.preparing import (
    PreparedNet,
    check_inputs,
    given_shapes,
    prepared_net,
)
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.onnx.builder import OnnxBuilder
from keras_caffe_zoo.onnx.file import OPSET, check_onnx, model_proto, write_model
from keras_caffe_zoo.onnx.graph import Graph
from keras_caffe_zoo.rules.node import NeedsBatch
from keras_caffe_zoo.rules.registry import rule_of
from keras_caffe_zoo.rules.rule import Rule

PathLike = str | os.PathLike


def to_onnx(
    prototxt: PathLike,
    caffemodel: PathLike | None,
    path: PathLike,
    *,
    opset: int = OPSET,
    input_shape: tuple | Mapping[str, tuple] | None = None,
    fully_convolutional: bool = False,
    **options,
) -> None:
    """Write a Caffe net as an ONNX file, without Keras and TensorFlow.

    The file has Caffe's order of axes, (N, C, H, W), and Caffe's names of blobs, and
    as a rule one operation for a layer.

    Args:
        prototxt: The net's definition, of any version.
        caffemodel: Its weights; None for a net that has none.
        path: The file to write.
        opset: The version of ONNX's operators.
        input_shape: As in `from_caffe`: `(H, W, C)` of an image; H and W may be None.
        fully_convolutional: As in `from_caffe`.
        **options: What else `from_caffe` takes: `phase`, `level`, `stages`,
            `custom_layers`, `python_config`, `max_detections`, `ignore_fields`.

    Raises:
        CaffeFormatError: As `from_caffe`; also if a layer has no ONNX operations.
        ValueError: If an argument is not as above.
        ImportError: If the package onnx is not installed.
        OSError: If a file cannot be read or written.
    """
    check_onnx()
    net = prepared_net(prototxt, caffemodel, **options)
    net.blobs = net.blobs or {}  # a layer that has parameters asks for them
    graph = net_graph(
        net, input_shape, fully_convolutional, phase=options.get("phase", "TEST")
    )
    write_model(model_proto(graph, net.part.net.name, opset), Path(path))


def net_graph(
    net: PreparedNet,
    input_shape: tuple | Mapping[str, tuple] | None = None,
    fully_convolutional: bool = False,
    phase: str = "TEST",
    outputs: Sequence[str] | None = None,
) -> Graph:
    """Return the ONNX graph of a net.

    Args:
        net: The net.
        input_shape: As in `to_onnx`.
        fully_convolutional: As in `to_onnx`.
        phase: `"TEST"` or `"TRAIN"`.
        outputs: The blobs to end with; those that no layer reads if not given.

    Raises:
        CaffeFormatError: As `to_onnx`.
    """
    part = net.part
    check_inputs(part)
    shapes = given_shapes(part, input_shape)
    for fixed in (False, True):
        options = {"fixed": fixed, "phase": phase, "settings": net.settings}
        try:
            windows = None
            if fully_convolutional:
                known = OnnxBuilder(
                    net.part.net, net.part.inputs, net.custom, **options
                )
                known.build()
                windows = known.windows
            return OnnxBuilder(
                net.part.net, shapes, net.custom, windows, net.blobs, **options
            ).finish(outputs)
        except NeedsBatch:
            if fixed:
                raise CaffeFormatError(
                    "Expected a net whose layers do not mix its items, or mix a known "
                    "number of them; received a layer that mixes an unknown number",
                    source=part.net.source,
                ) from None
    raise AssertionError("unreachable")


def model_graph(model: keras.Model) -> Graph:
    """Return the ONNX graph of a Keras model of Caffe's kinds of layers.

    Args:
        model: The model; sizes that it leaves open stay so.

    Raises:
        ValueError: If a layer is none of Caffe's, or has no ONNX operations.
    """
    return ended_graph(model)[0]


def ended_graph(model: keras.Model) -> tuple[Graph, list[str]]:
    """Return the ONNX graph of a Keras model, and the name of each output of the model.

    Args:
        model: As in `model_graph`.

    Raises:
        ValueError: As `model_graph`.
    """
    net, params, shapes, ends = open_net(model)
    _check_operations(net)
    blobs = {at: params.get(layer.name, []) for at, layer in enumerate(net.layers)}
    fixed = all(shape[:1] != (None,) for shape in shapes.values())
    builder = OnnxBuilder(net, shapes, {}, blobs=blobs, fixed=fixed)
    try:
        return builder.finish(), ends
    except NeedsBatch:
        raise ValueError(
            f"Expected a known number of items, which layers of '{model.name}' mix; "
            "received an open one. Build the model with a batch size"
        ) from None


def _check_operations(net: Net) -> None:
    """Check that every layer can be ONNX operations; name all that cannot."""
    without = [
        f"{layer.name} ({layer.type})"
        for layer in net.layers
        if (rule := rule_of(layer.type)).role not in ("input", "silence")
        and type(rule).onnx is Rule.onnx
    ]
    if without:
        raise ValueError(
            "Expected layers that have ONNX operations; received others. "
            f"{there_are(without)}"
        )
