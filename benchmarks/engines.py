"""The engines: each takes (N, H, W, 3) and gives a list of what the net ends with."""

import os
import tempfile
from pathlib import Path

import numpy as np

THREADS = 2


def limit_threads() -> None:
    """Give TensorFlow as many threads as the others; call before it runs anything."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def compiled(model):
    """Return a model as a `tf.function`."""
    import tensorflow as tf

    function = tf.function(lambda x: model(x, training=False))
    return lambda x: _listed(function(tf.constant(x)))


def ours(model, reduced=None) -> dict:
    """Return our model: Keras' own call, as a `tf.function`, and its folded twin.

    Args:
        model: The model.
        reduced: The same in bfloat16, if that is to be timed, too.
    """
    import keras_caffe_zoo as kcz

    calls = {
        "ours, predict_on_batch": lambda x: _listed(model.predict_on_batch(x)),
        "ours, tf.function": compiled(model),
        "ours, folded": compiled(kcz.fold(model)),
    }
    if reduced is not None:
        calls["ours, folded, bfloat16"] = compiled(kcz.fold(reduced))
    return calls


def runtime(model, name: str):
    """Return what `extract_features` and `predict_dense` run with `runtime=name`."""
    from keras_caffe_zoo.runtimes import Runner

    run = Runner(model, name, threads=THREADS)
    return lambda x: _listed(run(x))


def onnx_bytes(model) -> bytes:
    """Return a model as the ONNX file that `convert` writes."""
    from keras_caffe_zoo.onnx.api import model_graph
    from keras_caffe_zoo.onnx.file import model_proto

    return model_proto(model_graph(model)).SerializeToString()


def onnx_runtime(source: bytes):
    """Return ONNX Runtime on an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        source, options, providers=["CPUExecutionProvider"]
    )
    (name,) = (x.name for x in session.get_inputs())
    return lambda x: [_keras(y) for y in session.run(None, {name: _caffe(x)})]


def openvino(source: bytes, precision: str = "f32"):
    """Return OpenVINO on an ONNX file."""
    from keras_caffe_zoo.conversion.openvino_core import openvino_core

    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": THREADS,
        "PERFORMANCE_HINT": "LATENCY",
    }
    core = openvino_core()
    request = core.compile_model(core.read_model(source), "CPU", options)
    request = request.create_infer_request()
    return lambda x: [_keras(y) for y in request.infer([_caffe(x)]).values()]


def opencv(model):
    """Return OpenCV's DNN module on a prototxt and a caffemodel. It ignores LRN's k."""
    import cv2

    import keras_caffe_zoo as kcz

    cv2.setNumThreads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "net.prototxt"), Path(folder, "net.caffemodel")
        kcz.to_caffe(model, *files)
        net = cv2.dnn.readNetFromCaffe(*map(str, files))
    names = net.getUnconnectedOutLayersNames()

    def run(x):
        net.setInput(_caffe(x))
        return [_keras(y) for y in net.forward(names)]

    return run


def _caffe(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def _keras(y: np.ndarray) -> np.ndarray:
    return np.moveaxis(y, 1, -1) if y.ndim == 4 else y


def _listed(found) -> list[np.ndarray]:
    found = found if isinstance(found, (list, tuple)) else [found]
    return [np.asarray(y) for y in found]
