"""Files of all formats in the engines that read them, to be compared."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_caffe_zoo.conversion.openvino_core import compiled
from keras_caffe_zoo.conversion.quiet import quiet
from keras_caffe_zoo.lazy import keras

Arrays = Mapping[str, np.ndarray]


class Engine(NamedTuple):
    """What runs files of a format.

    Attributes:
        name: What it is called.
        package: What must be installed; `""` for what the package needs anyway.
        run: Returns what a file computes: the outputs, by name or in the model's
            order, of a path, the inputs by name, and the outputs' names.
        optional: Whether files are run by it only where it is installed.
    """

    name: str
    package: str
    run: Callable[[str, Arrays, Sequence[str]], Arrays | list]
    optional: bool = False

    def is_installed(self) -> bool:
        """Tell whether the engine is there."""
        return not self.package or importlib.util.find_spec(self.package) is not None


def engines_of(form: str) -> list[Engine]:
    """Return the engines that run a format, those that are installed or needed.

    Args:
        form: The end of the file's name; see `formats.form_of`.

    Raises:
        ImportError: If one that is needed is not installed; says how to get it.
    """
    found = []
    for engine in _ENGINES[form]:
        if engine.is_installed():
            found.append(engine)
        elif not engine.optional:
            raise ImportError(
                f"Expected {engine.name}, to run {form} files; received: no package "
                f"{engine.package}. Install it: pip install {engine.package}"
            )
    return found


def _run_onnx(path, inputs, outputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))


def _run_opencv(path, inputs, outputs):
    import cv2

    with quiet():  # it logs what it then raises
        net = cv2.dnn.readNetFromONNX(path)
        for name, array in inputs.items():
            net.setInput(array, name)
        return list(net.forward(list(outputs)))


def _run_openvino(path, inputs, outputs):
    found = compiled(path)(dict(inputs))
    return {name: np.array(found[name]) for name in outputs}


def _run_litert(path, inputs, outputs):
    import tensorflow as tf

    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the class has a new name elsewhere
        run = tf.lite.Interpreter(path).get_signature_runner()
        return dict(run(**inputs))


def _run_keras(path, inputs, outputs):
    return _listed(keras.models.load_model(path)(_given(inputs), training=False))


def _run_saved_model(path, inputs, outputs):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # its variables live as long as it does
    return _listed(loaded.serve(_given(inputs)))


def _given(inputs: Arrays):
    arrays = list(inputs.values())
    return arrays if len(arrays) > 1 else arrays[0]


def _listed(found) -> Arrays | list:
    if isinstance(found, dict):
        return {key: np.asarray(value) for key, value in found.items()}
    found = found if isinstance(found, (list, tuple)) else [found]
    return [keras.ops.convert_to_numpy(x) for x in found]


_ENGINES = {
    ".keras": [Engine("Keras", "", _run_keras)],
    ".onnx": [
        Engine("ONNX Runtime", "onnxruntime", _run_onnx),
        Engine("OpenCV", "cv2", _run_opencv, optional=True),
    ],
    ".xml": [Engine("OpenVINO", "openvino", _run_openvino)],
    ".tflite": [Engine("LiteRT", "", _run_litert)],
    "/": [Engine("TensorFlow", "", _run_saved_model)],
}
