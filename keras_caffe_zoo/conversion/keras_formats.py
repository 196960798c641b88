"""The formats that Keras, or TensorFlow through it, writes."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from keras_caffe_zoo.conversion.naming import named_outputs
from keras_caffe_zoo.conversion.quiet import quiet
from keras_caffe_zoo.files import name_beside, replacing_path
from keras_caffe_zoo.lazy import caffe_model, keras
from keras_caffe_zoo.precision.litert import litert_half
from keras_caffe_zoo.rules.names import caffe_name

_NODE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")  # what TensorFlow takes
_NOT_BUILT_IN = re.compile(r"tf\.(\w+)\(")


def write_keras(model: keras.Model, path: Path) -> None:
    """Write a model as Keras saves it."""
    with replacing_path(path) as beside:
        model.save(beside)


def check_saved_model(path: Path) -> None:
    """Check that a SavedModel may be written to a folder.

    Raises:
        ValueError: If it would replace something else.
    """
    if path.exists() and not (path / "saved_model.pb").exists():
        raise ValueError(
            "Expected a new folder, or one with a SavedModel that may be replaced; "
            f"received: {path}, which is something else. To write into it, name a file "
            f"in it, such as {path / 'net.onnx'}"
        )


def write_saved_model(model: keras.Model, path: Path) -> None:
    """Write a model as a TensorFlow SavedModel."""
    beside = name_beside(path.with_suffix(""))
    old = beside.with_suffix(".old")
    try:
        with quiet():
            model.export(str(beside), verbose=False)
        if path.exists():
            os.replace(path, old)
        os.replace(beside, path)
    finally:
        for folder in (beside, old):
            shutil.rmtree(folder, ignore_errors=True)


def check_litert(path: Path) -> None:
    """Check that Keras runs on TensorFlow.

    Raises:
        ValueError: If not.
    """
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "Expected Keras on TensorFlow, which writes LiteRT's files; received: "
            f"{keras.config.backend()}. Write .onnx, or .keras and convert that with "
            "KERAS_BACKEND=tensorflow"
        )


def write_litert(model: keras.Model, path: Path, half: bool = False) -> None:
    """Write a model for LiteRT, with the names of Caffe's blobs.

    Args:
        model: The model.
        path: The file.
        half: Whether its weights are to be in half precision.

    Raises:
        ValueError: If it has operations that LiteRT has not built in.
    """
    import tensorflow as tf

    named, signature = _named(model)
    with tempfile.TemporaryDirectory() as folder, replacing_path(path) as beside:
        try:
            with quiet():
                named.export(folder, input_signature=signature, verbose=False)
                converter = tf.lite.TFLiteConverter.from_saved_model(folder)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
                if half:
                    litert_half(converter)
                beside.write_bytes(converter.convert())
        except Exception as error:  # the converter raises errors of its own kind
            missing = sorted(set(_NOT_BUILT_IN.findall(str(error))))
            if not missing:
                raise
            raise ValueError(
                "Expected a model of LiteRT's built-in operations, as any device has "
                f"them; '{model.name}' also needs: {', '.join(missing)}. Write .onnx "
                "or .xml"
            ) from error


def _named(model: keras.Model) -> tuple[keras.Model, list]:
    """Return a model whose outputs have Caffe's names, and the signature of its inputs.

    An input keeps Keras' name where TensorFlow takes no other.
    """
    inputs = list(model.inputs)
    named = caffe_model.CaffeModel(
        inputs if len(inputs) > 1 else inputs[0], named_outputs(model)
    )
    specs = [keras.InputSpec(x.dtype, x.shape, name=_input_name(x)) for x in inputs]
    return named, [specs] if len(specs) > 1 else specs


def _input_name(tensor) -> str:
    name = caffe_name(tensor.name)
    return name if _NODE_NAME.fullmatch(name) else tensor.name
