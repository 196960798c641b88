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
from keras_caffe_zoo.onnx.graph import Graph, Value
from keras_caffe_zoo.onnx.preprocessing import image_input, image_shape, take_pixels
from keras_caffe_zoo.precision.calibration import Agreement, Calibration
from keras_caffe_zoo.precision.half import half
from keras_caffe_zoo.precision.int8 import check_onnxruntime, int8
from keras_caffe_zoo.preprocessing.recipe import Recipe, recipe_for
from keras_caffe_zoo.rules.node import NeedsBatch
from keras_caffe_zoo.rules.registry import rule_of
from keras_caffe_zoo.rules.rule import Rule

PathLike = str | os.PathLike
_PRECISIONS = ("float32", "float16", "int8")


def to_onnx(
    prototxt: PathLike,
    caffemodel: PathLike | None,
    path: PathLike,
    *,
    opset: int = OPSET,
    input_shape: tuple | Mapping[str, tuple] | None = None,
    fully_convolutional: bool = False,
    preprocessing: bool | str = False,
    mean=None,
    scale: float | None = None,
    precision: str = "float32",
    calibration: PathLike | None = None,
    **options,
) -> Agreement | None:
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
        **options: What else `from_caffe` takes: `phase`, `level`, `stages`,
            `custom_layers`, `python_config`, `max_detections`, `ignore_fields`.

    Returns:
        How the net of integers agrees with that of floats; None for others.

    Raises:
        CaffeFormatError: As `from_caffe`; also if a layer has no ONNX operations.
        ValueError: If an argument is not as above, or no picture can be read.
        ImportError: If the package onnx is not installed, or for int8 ONNX Runtime.
        OSError: If a file cannot be read or written.
    """
    check_onnx()
    _check_options(preprocessing, mean, scale, precision, calibration)
    net = prepared_net(prototxt, caffemodel, **options)
    net.blobs = net.blobs or {}  # a layer that has parameters asks for them
    graph = net_graph(
        net, input_shape, fully_convolutional, phase=options.get("phase", "TEST")
    )
    pictures = None
    if preprocessing or calibration is not None:
        x = image_input(graph)
        zoo = preprocessing if isinstance(preprocessing, str) else None
        recipe = net_recipe(net, x, zoo, mean, scale)
        if calibration is not None:
            height, width, channels = image_shape(x)
            options = {"items": x.shape[0] or 1}
            size = (height, width)
            pictures = Calibration(calibration, size, channels, recipe, **options)
        if preprocessing:
            take_pixels(graph, x, recipe)
    proto, found = model_proto(graph, net.part.net.name, opset), None
    if precision == "float16":
        proto = half(proto)
    elif pictures is not None:
        proto, found = int8(proto, pictures)
    write_model(proto, Path(path))
    return found


def _check_options(preprocessing, mean, scale, precision, calibration) -> None:
    """Refuse options that contradict one another, or would be passed over."""
    if precision not in _PRECISIONS:
        raise ValueError(
            f"Expected precision to be one of {_PRECISIONS}; received: {precision!r}"
        )
    if (precision == "int8") != (calibration is not None):
        raise ValueError(
            "Expected `calibration`, a folder of pictures, together with "
            f"precision='int8'; received: precision={precision!r}, "
            f"calibration={calibration!r}"
        )
    if precision == "int8":
        check_onnxruntime()
    for name, value in (("mean", mean), ("scale", scale)):
        if value is not None and not preprocessing and calibration is None:
            raise ValueError(
                f"Expected `{name}` together with `preprocessing` or `calibration`; "
                f"received: {name}={value!r} alone"
            )


def net_recipe(
    net: PreparedNet, x: Value, zoo: str | None = None, mean=None, scale=None
) -> Recipe:
    """Return what a net does to the image that is one of its inputs.

    Args:
        net: The net.
        x: The input.
        zoo: The net of the zoo that it is, if it is one.
        mean: As in `to_onnx`, like `scale`.
        scale: None for the data layer's.

    Raises:
        ValueError: If nobody tells, or an argument does not fit.
    """
    layer = net.part.data.get(x.name)
    pixels = layer and getattr(rule_of(layer.type), "pixels", None)
    told = pixels(layer) if pixels else None
    options = {"net": zoo, "told": told, "mean": mean, "scale": scale}
    return recipe_for(image_shape(x), **options)


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
