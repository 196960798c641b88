"""The engines: each takes (N, H, W, 3) and gives (N, 1000) or a map of them."""

import os
import tempfile
from pathlib import Path

import nets
import numpy as np

THREADS = 2


def limit_threads() -> None:
    """Give TensorFlow as many threads as the others; call before it runs anything."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)


def ours(name: str, params: dict, fully_convolutional: bool = False) -> dict:
    """Return our model as two engines: Keras' own call and a `tf.function`."""
    import tensorflow as tf

    from keras_caffe_zoo import models
    from keras_caffe_zoo.conversion.params import set_caffe_params

    build = getattr(models, name)
    model = build(weights=None, fully_convolutional=fully_convolutional)
    set_caffe_params(model, params)
    compiled = tf.function(lambda x: model(x, training=False))
    return {
        "ours, predict_on_batch": model.predict_on_batch,
        "ours, tf.function": lambda x: compiled(tf.constant(x)).numpy(),
    }


def onnx_runtime(name: str, params: dict, fully_convolutional: bool = False):
    """Return ONNX Runtime on a graph made node by node from the prototxt."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    graph = onnx_graph(nets.net(name), params, fully_convolutional)
    session = onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"]
    )

    def run(x):
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        (y,) = session.run(None, {"data": x})
        return np.moveaxis(y, 1, -1)

    return run


def onnx_graph(net, params: dict, fully_convolutional: bool) -> bytes:
    """Return the net as a serialized ONNX model, NCHW as in Caffe."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors, blob = [], [], "data"
    for layer in net.layers[1:]:
        weights = [f"{layer.name}/{i}" for i in range(len(params.get(layer.name, ())))]
        arrays = params.get(layer.name, ())
        kind, attributes = _onnx_node(layer, fully_convolutional)
        if layer.type == "InnerProduct" and fully_convolutional:
            side = 6 if layer.name == "fc6" else 1
            weight, bias = arrays
            arrays = [weight.reshape(len(bias), -1, side, side), bias]
        elif layer.name == "fc6":
            nodes.append(helper.make_node("Flatten", [blob], ["flat"]))
            blob = "flat"
        for key, array in zip(weights, arrays, strict=True):
            tensors.append(numpy_helper.from_array(array, key))
        output = f"{layer.name}:{layer.type}"  # ReLU is in place in Caffe, not here
        nodes.append(helper.make_node(kind, [blob, *weights], [output], **attributes))
        blob = output
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        net.name,
        [value("data", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [value(blob, TensorProto.FLOAT, None)],
        tensors,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return model.SerializeToString()


def _onnx_node(layer, fully_convolutional: bool) -> tuple[str, dict]:
    if layer.type == "Convolution":
        param = layer.param
        pad = param.pad[0]
        return "Conv", {
            "strides": [param.stride[0]] * 2,
            "pads": [pad] * 4,
            "group": param.group,
        }
    if layer.type == "Pooling":
        param = layer.param
        window = {"kernel_shape": [param.kernel_size] * 2, "ceil_mode": 1}
        return "MaxPool", {**window, "strides": [param.stride] * 2}
    if layer.type == "LRN":
        param = layer.param
        scale = {"alpha": param.alpha, "beta": param.beta, "bias": param.k}
        return "LRN", {"size": param.local_size, **scale}
    if layer.type == "InnerProduct":
        return ("Conv", {}) if fully_convolutional else ("Gemm", {"transB": 1})
    return {"ReLU": ("Relu", {}), "Softmax": ("Softmax", {"axis": 1})}[layer.type]


def opencv(name: str, params: dict, fully_convolutional: bool = False):
    """Return OpenCV's DNN module on a prototxt and a caffemodel. It ignores LRN's k."""
    import cv2

    cv2.setNumThreads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        text, weights = Path(folder, "net.prototxt"), Path(folder, "net.caffemodel")
        _write_caffe_files(name, params, fully_convolutional, text, weights)
        net = cv2.dnn.readNetFromCaffe(str(text), str(weights))

    def run(x):
        net.setInput(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        return np.moveaxis(net.forward(), 1, -1)

    return run


def _write_caffe_files(name, params, fully_convolutional, text, weights) -> None:
    from keras_caffe_zoo import models, to_caffe
    from keras_caffe_zoo.caffe import write_caffemodel
    from keras_caffe_zoo.conversion import set_caffe_params

    if not fully_convolutional:
        text.write_text(nets.prototxt(name))
        write_caffemodel(weights, params, nets.net(name))
        return
    model = getattr(models, name)(weights=None, fully_convolutional=True)
    set_caffe_params(model, params)
    to_caffe(model, text, weights, input_shape=(nets.MAP_SIZE, nets.MAP_SIZE, 3))
