"""From a prototxt and a caffemodel to an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_caffe_zoo.caffe import Net
from keras_caffe_zoo.conversion.deploy import DeployNet
from keras_caffe_zoo.conversion.exporter import open_net
from keras_caffe_zoo.conversion.net_builder import with_items
from keras_caffe_zoo.conversion.preparing import (
    PreparedNet,
    check_inputs,
    given_shapes,
    prepared_net,
)
from keras_caffe_zoo.files import check_writable
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.onnx.builder import OnnxBuilder
from keras_caffe_zoo.onnx.file import check_onnx
from keras_caffe_zoo.onnx.finishing import Finish, check_finish, write_onnx
from keras_caffe_zoo.onnx.graph import Graph
from keras_caffe_zoo.onnx.opsets import OPSET
from keras_caffe_zoo.precision.calibration import Agreement
from keras_caffe_zoo.rules.data import PixelTransform
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
    outputs: str | Sequence[str] | None = None,
    preprocessing: bool | str = False,
    mean=None,
    scale: float | None = None,
    precision: str = "float32",
    calibration: PathLike | None = None,
    phase: str = "TEST",
    level: int = 0,
    stages: Collection[str] = (),
    custom_layers: Mapping[str, Rule | type[Rule] | Callable] | None = None,
    python_config: Mapping[str, Any] | None = None,
    max_detections: int | None = None,
    ignore_fields: Collection[str] = (),
) -> Agreement | None:
    """Write a Caffe net as an ONNX file, without Keras and TensorFlow.

    The file has Caffe's order of axes, (N, C, H, W), and Caffe's names of blobs, and
    as a rule one operation for a layer.

    Args:
        prototxt: The net's definition, of any version.
        caffemodel: Its weights; None for a net that has none.
        path: The file to write, `NAME.onnx`.
        opset: The version of ONNX's operators, from 13 to 21.
        input_shape: As in `from_caffe`: `(H, W, C)` of an image; H and W may be None.
        fully_convolutional: As in `from_caffe`.
        outputs: The blob that the file gives, or those; what no layer reads if not
            given.
        preprocessing: Whether the file takes pictures as they are, RGB uint8
            `(N, H, W, 3)`, or gray `(N, H, W, 1)`, and does itself what the net wants:
            BGR, the mean subtracted, scaled. The name of a net of the zoo, such as
            `"caffenet"`, for what `preprocess_input` does for that. True for what the
            data layer of a training net's prototxt tells, or for `mean` and `scale`.
            Pictures are to have the net's size already.
        mean: What is subtracted instead, 0-255: one number, or one for each channel
            (B, G, R), or an image `(H, W, C)` no smaller than the input, whose centre
            counts, or the path of a `.binaryproto` with one.
        scale: What the difference is multiplied by instead; 1 if nobody tells.
        precision: `"float32"`; `"float16"`, in which inputs, outputs and what needs it
            stay float32, see `half`; or `"int8"`, for which the ranges of blobs are
            measured on pictures, see `int8`.
        calibration: The folder of these pictures, at most 400 of them. They are
            prepared as `preprocessing`, `mean`, `scale` or the data layer tell; every
            fourth is not measured, but compared with the answers in float32.
        phase: As in `from_caffe`.
        level: As in `from_caffe`.
        stages: As in `from_caffe`.
        custom_layers: Rules by type, or functions, which add ONNX operations here, as a
            rule's `onnx` does.
        python_config: As in `from_caffe`.
        max_detections: As in `from_caffe`.
        ignore_fields: As in `from_caffe`.

    Returns:
        How the net of integers agrees with that of floats; None for others.

    Raises:
        CaffeFormatError: As `from_caffe`; also if a layer has no ONNX operations.
        ValueError: If an argument is not as above, the net has operations that the
            opset lacks, or no picture can be read.
        ImportError: If the package onnx is not installed, or for int8 ONNX Runtime.
        OSError: If a file cannot be read or written.

    Example:
        >>> import onnx
        >>> kcz.to_caffe(kcz.mtcnn_r(weights=None), "r.prototxt", "r.caffemodel")
        >>> kcz.to_onnx("r.prototxt", "r.caffemodel", "r.onnx")
        >>> graph = onnx.load("r.onnx").graph
        >>> [node.op_type for node in graph.node[:3]]
        ['Conv', 'PRelu', 'MaxPool']
        >>> [value.name for value in graph.output]
        ['conv5-2', 'prob1']
    """
    if Path(path).suffix != ".onnx":
        raise ValueError(
            f"Expected a name that ends in .onnx; received: {path}. Other formats are "
            "written by the command `keras-caffe-zoo convert`, or by `convert` of a "
            "model"
        )
    check_onnx()
    finish = Finish(preprocessing, mean, scale, precision, calibration)
    check_finish(finish, opset)
    check_writable(path)
    graph = caffe_graph(
        prototxt,
        caffemodel,
        input_shape=input_shape,
        fully_convolutional=fully_convolutional,
        outputs=[outputs] if isinstance(outputs, str) else outputs,
        phase=phase,
        level=level,
        stages=stages,
        custom_layers=custom_layers,
        python_config=python_config,
        max_detections=max_detections,
        ignore_fields=ignore_fields,
    )
    return write_onnx(graph, Path(path), opset, finish)


def caffe_graph(
    prototxt: PathLike,
    caffemodel: PathLike | None,
    *,
    input_shape: tuple | Mapping[str, tuple] | None = None,
    fully_convolutional: bool = False,
    outputs: Sequence[str] | None = None,
    phase: str = "TEST",
    **options,
) -> Graph:
    """Return the ONNX graph of a Caffe net's files.

    Args:
        prototxt: As in `to_onnx`, like all others.
        caffemodel: None for a net without parameters.
        input_shape: The data blob's, or those of several.
        fully_convolutional: Whether inner products become convolutions.
        outputs: The blobs to end with; those that no layer reads if not given.
        phase: `"TEST"` or `"TRAIN"`.
        **options: What else `to_onnx` takes.

    Raises:
        CaffeFormatError: As `to_onnx`.
        ValueError: As `to_onnx`.
        OSError: If a file cannot be read.
    """
    net = prepared_net(prototxt, caffemodel, phase=phase, **options)
    net.blobs = net.blobs or {}  # a layer that has parameters asks for them
    return net_graph(net, input_shape, fully_convolutional, phase, outputs)


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
    ends = None if outputs is None else {x: x for x in outputs}

    def build(fixed):
        options = {"fixed": fixed, "phase": phase, "settings": net.settings}
        return _builder(net, shapes, fully_convolutional, options).finish(ends)

    graph = with_items(build, part.net.source)
    graph.pixels = _pixels(part)
    return graph


def _builder(
    net: PreparedNet, shapes: dict, fully_convolutional: bool, options: dict
) -> OnnxBuilder:
    """Return what makes a net's graph, for inputs of these shapes."""
    part, windows = net.part, None
    if fully_convolutional:
        known = OnnxBuilder(part.net, part.inputs, net.custom, **options)
        known.build()
        windows = known.windows
    return OnnxBuilder(part.net, shapes, net.custom, windows, net.blobs, **options)


def blob_shapes(
    net: PreparedNet,
    shapes: Mapping[str, tuple[int | None, ...]],
    fully_convolutional: bool = False,
    phase: str = "TEST",
) -> tuple[dict[str, tuple[int | None, ...]], int]:
    """Return the shapes of a net's blobs, by name, and how many parameters it has.

    A size that only an engine will know, as that of rows which a layer finds, is None.

    Args:
        net: The net.
        shapes: The shapes of the data blobs.
        fully_convolutional: As in `to_onnx`.
        phase: `"TEST"` or `"TRAIN"`.

    Raises:
        CaffeFormatError: As `to_onnx`.
    """
    options = {"fixed": True, "phase": phase, "settings": net.settings}
    builder = _builder(net, dict(shapes), fully_convolutional, options)
    builder.build()
    count = sum(layer.parameters for layer in builder.graph.layers)
    return {blob: value.shape for blob, value in builder.blobs.items()}, count


def _pixels(part: DeployNet) -> dict[str, PixelTransform]:
    """Return what a net's data layers do to pixels, by blob, where they tell."""
    found = {}
    for blob, layer in part.data.items():
        pixels = layer and getattr(rule_of(layer.type), "pixels", None)
        if told := pixels and pixels(layer):
            found[blob] = told
    return found


def model_graph(model: keras.Model) -> Graph:
    """Return the ONNX graph of a Keras model of Caffe's kinds of layers.

    Args:
        model: The model; sizes that it leaves open stay so.

    Raises:
        ValueError: If a layer is none of Caffe's, or has no ONNX operations.
    """
    try:
        net = open_net(model)
    except ValueError as error:
        raise ValueError(
            "Expected a model of layers that Caffe has, too: those of keras_caffe_zoo, "
            f"and Keras' own where they compute the same; '{model.name}' has others. "
            "Replace them, or write .keras, .tflite or a SavedModel.\n"
            f"{error}"
        ) from error
    _check_operations(net.net)
    blobs = {at: net.params.get(x.name, []) for at, x in enumerate(net.net.layers)}
    fixed = all(shape[:1] != (None,) for shape in net.shapes.values())
    options = {"blobs": blobs, "fixed": fixed, "unwritten": net.unwritten}
    builder = OnnxBuilder(net.net, net.shapes, {}, **options)
    try:
        return builder.finish(net.ends)
    except NeedsBatch:
        raise ValueError(
            f"Expected a known number of items, since a layer of '{model.name}' mixes "
            "them; received a model that leaves it open. Make its inputs with "
            "keras.Input(batch_shape=…)"
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
