"""Write a model in the format that a file's name asks for."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from keras_caffe_zoo.conversion.precision import without_bfloat16
from keras_caffe_zoo.conversion.quiet import quiet
from keras_caffe_zoo.files import replacing_path, settle
from keras_caffe_zoo.lazy import caffe_model, keras
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.node import unused

_NODE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")  # what TensorFlow takes
_NOT_IN_OPENVINO = re.compile(r"Conversion is failed for: (.*)")
_NOT_BUILT_IN = re.compile(r"tf\.(\w+)\(")


def convert(model: keras.Model, path: str | os.PathLike) -> None:
    """Write a model in the format that a file's name asks for.

    The file appears whole or not at all; nothing is printed. The number of items stays
    free where the model leaves it free. In ONNX, LiteRT and OpenVINO files the inputs
    and outputs have the names of Caffe's blobs; tensors are as in Keras, images
    channels last, and the precision is float32 where the model's is bfloat16.

    Args:
        model: The model, from `from_caffe`, a builder, or any functional model.
        path: `NAME.keras` for a Keras model, `NAME.onnx` for ONNX, `NAME.tflite` for
            LiteRT, `NAME.xml` for OpenVINO (with `NAME.bin` beside it), a name that
            ends in / for a TensorFlow SavedModel.

    Raises:
        ValueError: If the name asks for no format that there is; if the model has
            operations that the format lacks; if a SavedModel would replace a folder
            that is none.
        ImportError: If the format needs a package that is not installed.
        FileNotFoundError: If the folder does not exist.
    """
    check_target(path)
    if _is_folder(path):
        _write_folder(model, Path(path))
    else:
        _FORMATS[Path(path).suffix].write(model, Path(path))


def check_target(path: str | os.PathLike) -> None:
    """Check that `convert` could write to a path, before any work is done.

    Raises:
        ValueError: If the name asks for no format that there is.
        ImportError: If the format needs a package that is not installed.
        FileNotFoundError: If the folder does not exist.
    """
    suffix = Path(path).suffix
    if not _is_folder(path) and suffix not in _FORMATS:
        raise ValueError(
            f"Expected a name that ends in {', '.join(_FORMATS)}, or in / for a "
            f"SavedModel; received: {path}"
        )
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(f"Expected an existing folder for {path}")
    if _is_folder(path):
        _check_folder(Path(path))
    else:
        _FORMATS[suffix].check()


def _is_folder(path) -> bool:
    return os.fspath(path).endswith(("/", os.sep))


def _check_folder(path: Path) -> None:
    is_other = path.is_dir() and any(path.iterdir())
    if path.is_file() or (is_other and not (path / "saved_model.pb").exists()):
        raise ValueError(
            "Expected a new folder, or one with a SavedModel that may be replaced; "
            f"received: {path}, which is something else"
        )


def _write_folder(model: keras.Model, path: Path) -> None:
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
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


def _write_keras(model: keras.Model, path: Path) -> None:
    with replacing_path(path) as beside:
        model.save(beside)


def _write_onnx(model: keras.Model, path: Path) -> None:
    named, signature = _named(model)
    with replacing_path(path) as beside, quiet():
        options = {"input_signature": signature, "verbose": False}
        named.export(str(beside), format="onnx", **options)


def _write_litert(model: keras.Model, path: Path) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder, replacing_path(path) as beside:
        try:
            with quiet():
                _export_named(model, folder)
                converter = tf.lite.TFLiteConverter.from_saved_model(folder)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
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


def _write_openvino(model: keras.Model, path: Path) -> None:
    import openvino

    with tempfile.TemporaryDirectory() as folder, replacing_path(path) as beside:
        try:
            with quiet():
                _export_named(model, folder)
                found = openvino.Core().read_model(folder)
                openvino.save_model(found, beside, compress_to_fp16=False)
            settle(beside.with_suffix(".bin"), path.with_suffix(".bin"))
        except RuntimeError as error:
            missing = _NOT_IN_OPENVINO.findall(str(error))
            if not missing:
                raise
            raise ValueError(
                f"Expected a model of operations that OpenVINO reads; '{model.name}' "
                f"also has: {', '.join(missing)}. Write .onnx or .tflite"
            ) from error
        finally:
            beside.with_suffix(".bin").unlink(missing_ok=True)


def _export_named(model: keras.Model, folder: str) -> None:
    """Write a SavedModel whose inputs and outputs have the names of Caffe's blobs."""
    named, signature = _named(model)
    named.export(folder, input_signature=signature, verbose=False)


def _named(model: keras.Model) -> tuple[keras.Model, list]:
    """Return a model whose outputs have Caffe's names, and the signature of its inputs.

    An input keeps Keras' name where TensorFlow takes no other.
    """
    model = without_bfloat16(model)
    inputs, outputs = list(model.inputs), model.output
    if not isinstance(outputs, dict):
        outputs = {}
        for tensor in model.outputs:
            outputs[unused(_blob_name(model, tensor), outputs)] = tensor
    named = caffe_model.CaffeModel(inputs if len(inputs) > 1 else inputs[0], outputs)
    specs = [keras.InputSpec(x.dtype, x.shape, name=_input_name(x)) for x in inputs]
    return named, [specs] if len(specs) > 1 else specs


def _input_name(tensor) -> str:
    name = caffe_name(tensor.name)
    return name if _NODE_NAME.fullmatch(name) else tensor.name


def _blob_name(model: keras.Model, tensor) -> str:
    """Return the blob that an output is, the last if layers in place renamed it."""
    history = tensor._keras_history
    place = [history.operation.name, history.tensor_index]
    blobs = getattr(model, "caffe_blobs", {})
    names = [name for name, found in blobs.items() if list(found) == place]
    return names[-1] if names else caffe_name(history.operation.name)


def _check_nothing() -> None:
    pass


def _check_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise _missing("ONNX", "onnx", error) from error


def _check_openvino() -> None:
    _check_engine()
    try:
        import openvino  # noqa: F401
    except ImportError as error:
        raise _missing("OpenVINO's files", "openvino", error) from error


def _missing(what: str, extra: str, error: ImportError) -> ImportError:
    return ImportError(
        f"Expected the packages that write {what}; received: {error}. Install them "
        f'with: pip install "keras_caffe_zoo[{extra}]"'
    )


def _check_engine() -> None:
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "Expected Keras on TensorFlow, through which LiteRT and OpenVINO read a "
            f"model; received: {keras.config.backend()}. Write .keras, and convert "
            "that with KERAS_BACKEND=tensorflow"
        )


class _Format(NamedTuple):
    write: Callable[[keras.Model, Path], None]
    check: Callable[[], None]


_FORMATS = {
    ".keras": _Format(_write_keras, _check_nothing),
    ".onnx": _Format(_write_onnx, _check_onnx),
    ".tflite": _Format(_write_litert, _check_engine),
    ".xml": _Format(_write_openvino, _check_openvino),
}
