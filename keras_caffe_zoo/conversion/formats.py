"""Write a model in the format that a file's name asks for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from keras_caffe_zoo.conversion.keras_formats import (
    check_litert,
    check_saved_model,
    write_keras,
    write_litert,
    write_saved_model,
)
from keras_caffe_zoo.conversion.precision import without_bfloat16
from keras_caffe_zoo.files import check_folder, check_writable
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.onnx.api import model_graph
from keras_caffe_zoo.onnx.file import check_onnx
from keras_caffe_zoo.onnx.finishing import PLAIN, Finish, write_onnx
from keras_caffe_zoo.onnx.graph import Graph
from keras_caffe_zoo.onnx.openvino import check_openvino, write_openvino
from keras_caffe_zoo.onnx.opsets import OPSET, check_opset
from keras_caffe_zoo.precision.calibration import Agreement
from keras_caffe_zoo.precision.int8 import check_onnxruntime
from keras_caffe_zoo.precision.openvino_files import check_nncf
from keras_caffe_zoo.weights import entry_of

FOLDER = "/"  # what a SavedModel's name ends in
LITERT = ".tflite"
WEIGHTS = ".h5"


def convert(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    opset: int | None = None,
    preprocessing: bool | str = False,
    mean=None,
    scale: float | None = None,
    precision: str = "float32",
    calibration: str | os.PathLike | None = None,
) -> Agreement | None:
    """Write a model in the format that a file's name asks for.

    The file appears whole or not at all; nothing is printed. The number of items stays
    free where the model leaves it free, and so do the sizes of images. In ONNX, LiteRT
    and OpenVINO files the inputs and outputs have the names of Caffe's blobs. A model
    of bfloat16 is written in float32, but for `.keras` and a SavedModel. To open a
    `.keras`, `import keras_caffe_zoo` and then call `keras.saving.load_model`.

    =========== ================== ======================= ========================
    name        format             an image's axes         what writes it
    =========== ================== ======================= ========================
    NAME.keras  Keras              Keras', (N, H, W, C)    Keras
    NAME.onnx   ONNX               Caffe's, (N, C, H, W)   onnx
    NAME.xml    OpenVINO, NAME.bin Caffe's, (N, C, H, W)   openvino and onnx
    NAME.tflite LiteRT             Keras', (N, H, W, C)    Keras on TensorFlow
    NAME/       SavedModel         Keras', (N, H, W, C)    Keras on TensorFlow
    =========== ================== ======================= ========================

    Args:
        model: The model, from `from_caffe` or a builder; for `.onnx` and `.xml` any
            functional model of layers that Caffe has, for the others any model.
        path: The file, or folder, whose name says the format.
        opset: The version of ONNX's operators, from 13 to 21, of an `.onnx`; 17 if not
            given.
        preprocessing: Whether an `.onnx` or `.xml` takes pictures as they are, as in
            `to_onnx`; True of a zoo model is that net's.
        mean: As in `to_onnx`, of `.onnx` and `.xml`.
        scale: As in `to_onnx`, of `.onnx` and `.xml`.
        precision: `"float32"`; `"float16"` of `.onnx`, `.xml` and `.tflite`; `"int8"`
            of `.onnx` and `.xml`.
        calibration: The folder of pictures that int8 is measured on, as in `to_onnx`.

    Returns:
        Of int8, how it agrees with float32; else None.

    Raises:
        ValueError: If the name asks for no format that there is, or an option is none
            of that format; if the model has layers or operations that the format lacks;
            if a SavedModel would replace a folder that is none.
        ImportError: If the format needs a package that is not installed.
        FileNotFoundError: If the folder does not exist.

    Example:
        >>> x = keras.Input((None, None, 3), name="data")
        >>> y = kcz.CaffePool2D("max", kernel_size=3, strides=2, name="pool1")(x)
        >>> kcz.convert(keras.Model(x, y), "net.onnx")
        >>> import onnxruntime
        >>> session = onnxruntime.InferenceSession("net.onnx")
        >>> image = np.zeros((1, 3, 6, 8), "float32")  # Caffe's order of axes
        >>> session.run(["pool1"], {"data": image})[0].shape  # and its rounding up
        (1, 3, 3, 4)
    """
    entry = entry_of(model.name)
    if preprocessing is True and mean is None and entry is not None:
        preprocessing = entry.name
    finish = Finish(preprocessing, mean, scale, precision, calibration)
    check_target(path, opset=opset, finish=finish)
    form = form_of(path)
    if form in GRAPH_FORMATS:
        graph = model_graph(without_bfloat16(model))
        return write_graph(graph, path, opset=opset, finish=finish)
    if form == LITERT:
        half = finish.precision == "float16"
        write_litert(without_bfloat16(model), Path(path), half=half)
    else:
        _KERAS_FORMATS[form].write(model, Path(path))
    return None


def write_graph(
    graph: Graph,
    path: str | os.PathLike,
    *,
    opset: int | None = None,
    finish: Finish = PLAIN,
) -> Agreement | None:
    """Write a graph of ONNX operations as `.onnx` or `.xml`.

    Args:
        graph: The graph.
        path: The file.
        opset: As in `convert`.
        finish: What the graph gets before.

    Returns:
        Of int8, how it agrees with float32.

    Raises:
        ValueError: If the opset, or OpenVINO, lacks one of the operations; if nobody
            tells what the net does to pixels.
    """
    if form_of(path) == ".onnx":
        return write_onnx(graph, Path(path), opset or OPSET, finish)
    return write_openvino(graph, Path(path), finish)


def check_target(
    path: str | os.PathLike, *, opset: int | None = None, finish: Finish = PLAIN
) -> None:
    """Check that `convert` could write to a path, before any work is done.

    Args:
        path: The file, or folder.
        opset: As in `convert`.
        finish: What the graph gets before.

    Raises:
        ValueError: If the name asks for no format that there is, or for none that has
            an opset, or can be finished so.
        ImportError: If the format needs a package that is not installed.
        FileNotFoundError: If the folder does not exist.
    """
    form = form_of(path)
    (check_folder if form == FOLDER else check_writable)(path)
    if opset is not None:
        check_opset(opset)
        if form != ".onnx":
            raise ValueError(
                f"Expected an opset for an .onnx file only; received: {path}"
            )
    finish.check()
    if form in GRAPH_FORMATS:
        check_package, check_int8 = GRAPH_FORMATS[form]
        check_package()
        if finish.precision == "int8":
            check_int8()
        return
    if finish.preprocessing:
        raise ValueError(
            f"Expected an .onnx or .xml file, to take pictures; received: {path}"
        )
    if finish.precision == "int8":
        raise ValueError(f"Expected an .onnx or .xml file, for int8; received: {path}")
    if finish.precision == "float16" and form != LITERT:
        raise ValueError(
            f"Expected an .onnx, .xml or .tflite file, for float16; received: {path}"
        )
    _KERAS_FORMATS[form].check(Path(path))


def form_of(path: str | os.PathLike, by_command: bool = False) -> str:
    """Return the end of a file's name that says its format; `"/"` for a folder.

    Args:
        path: The file, or folder.
        by_command: Whether the command is to write it, which writes weights alone, too.

    Raises:
        ValueError: If it says none that there is, or is that of a folder that is named
            after another format.
    """
    form = FOLDER if os.fspath(path).endswith((FOLDER, os.sep)) else Path(path).suffix
    problem = f"Expected {endings(by_command)}; received: {path}"
    meant = _meant(Path(path).name) if form == FOLDER else None
    if meant and (meant != WEIGHTS or by_command):
        raise ValueError(
            f"{problem}, a folder, which would be a TensorFlow SavedModel. For "
            f"{ENDINGS[meant]}, name a file, such as {_inside(path, meant)}"
        )
    if form in ENDINGS and (form != WEIGHTS or by_command):
        return form
    if Path(path).is_dir():
        raise ValueError(
            f"{problem}, a folder. Name a file in it, such as {_inside(path, '.onnx')}"
        )
    raise ValueError(problem)


def _inside(path: str | os.PathLike, ending: str) -> Path:
    """Return the name of a file in a folder that is there, or else in this one."""
    return (Path(path) if Path(path).is_dir() else Path()) / f"net{ending}"


def endings(by_command: bool = False) -> str:
    """Return what the names may end in of all files that are written of a net."""
    names = [x for x in ENDINGS if x != FOLDER and (x != WEIGHTS or by_command)]
    return (
        f"a name that ends in {', '.join(names)}, or in {FOLDER} for a TensorFlow "
        "SavedModel"
    )


def _meant(folder: str) -> str | None:
    """Return the ending of the format that a folder is named after, if it is one.

    Whoever writes `-o openvino/` wants no SavedModel.
    """
    words = re.split(r"[^a-z0-9]+", folder.casefold())
    if _OF_TENSORFLOW.intersection(words):
        return None
    return next((_NAMED_AFTER[x] for x in words if x in _NAMED_AFTER), None)


# What is written, by the end of its name; the weights alone by the command.
ENDINGS = {
    ".keras": "Keras",
    LITERT: "LiteRT",
    ".onnx": "ONNX",
    ".xml": "OpenVINO",
    WEIGHTS: "the weights alone",
    FOLDER: "a TensorFlow SavedModel",
}
_OF_TENSORFLOW = {"saved", "savedmodel", "tensorflow", "tf"}
_NAMED_AFTER = {
    **{x: ".onnx" for x in ("onnx", "onnxruntime", "opencv")},
    **{x: ".xml" for x in ("openvino", "xml", "ir")},
    **{x: LITERT for x in ("tflite", "litert")},
    "keras": ".keras",
    **{x: WEIGHTS for x in ("h5", "hdf5")},
}


def _nothing(path: Path) -> None:
    pass


class _KerasFormat(NamedTuple):
    write: Callable[[keras.Model, Path], None]
    check: Callable[[Path], None]


# What is written of a Keras model, and what is checked before.
_KERAS_FORMATS = {
    ".keras": _KerasFormat(write_keras, _nothing),
    LITERT: _KerasFormat(write_litert, check_litert),
    FOLDER: _KerasFormat(write_saved_model, check_saved_model),
}
# What is written of a graph, without Keras where that comes from Caffe's files; and
# what is checked before, of all and of int8.
GRAPH_FORMATS = {
    ".onnx": (check_onnx, check_onnxruntime),
    ".xml": (check_openvino, check_nncf),
}
