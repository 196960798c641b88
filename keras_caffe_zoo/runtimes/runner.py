"""A Keras model as a function of arrays, computed by another engine."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_caffe_zoo.arithmetic.axes import caffe_shape
from keras_caffe_zoo.detection_rows import with_spare_rows
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.messages import said, there_are
from keras_caffe_zoo.onnx.api import model_graph
from keras_caffe_zoo.onnx.channels import channels_last
from keras_caffe_zoo.onnx.file import is_large, model_proto, save_large
from keras_caffe_zoo.onnx.graph import Graph
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import rule_for
from keras_caffe_zoo.runtimes.choice import check_runtime
from keras_caffe_zoo.runtimes.digest import sha256_of_weights
from keras_caffe_zoo.runtimes.onnxruntime import OnnxRuntime
from keras_caffe_zoo.runtimes.openvino import OpenVino

_ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}
_STREAMING = 2  # batches at once: one fills the cores where the other leaves some idle


class Runner:
    """A Keras model as a function, which another engine computes in float32.

    It takes a batch, or a list of the model's inputs, and returns what the model's
    `predict_on_batch` does: images channels last. It has the weights that the model had
    when it was made. Several threads may call it.

    Args:
        model: A model of Caffe's kinds of layers.
        runtime: `"onnxruntime"` or `"openvino"`.
        pool: Whether to average maps over the image.
        threads: How many threads; as many as there are cores if not given.
        streaming: Whether there will be many batches, which are given to it several at
            a time, rather than one that somebody waits for.

    Attributes:
        batches_at_once: How many batches are best given to it at a time.

    Raises:
        ValueError: If a layer has no ONNX operations (names all that have none), or the
            engine cannot run the model. Nothing else runs it then.
        ImportError: If the engine is not installed.

    Example:
        >>> from keras_caffe_zoo import demo
        >>> from keras_caffe_zoo.runtimes import Runner
        >>> model, (digits, labels) = demo.load(), demo.held_out_digits()
        >>> run = Runner(model, "onnxruntime")
        >>> run(demo.windows(digits[:5])).argmax(-1).tolist(), labels[:5].tolist()
        ([7, 4, 3, 8, 1], [7, 4, 3, 8, 1])
    """

    def __init__(
        self,
        model: keras.Model,
        runtime: str,
        *,
        pool: bool = False,
        threads: int | None = None,
        streaming: bool = False,
    ):
        check_runtime(runtime)
        engine = _ENGINES[runtime]
        self.batches_at_once = _STREAMING if streaming else 1
        with _refused(model, runtime, ValueError):
            graph = _graph(model, pool)
        if engine.channels_last:
            channels_last(graph)
        # Engines raise errors of their own kinds.
        with _source(model_proto(graph)) as source, _refused(model, runtime, Exception):
            self._engine = engine(source, threads, self.batches_at_once)
        self._inputs = len(model.inputs)
        self._rooms = [_room(tensor) for tensor in model.outputs]
        self._outputs = keras.tree.map_structure(lambda _: 0, model.output)

    def __call__(self, inputs: np.ndarray | Sequence[np.ndarray]):
        arrays = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
        if len(arrays) != self._inputs:
            raise ValueError(f"Expected {self._inputs} inputs; received: {len(arrays)}")
        found = self._engine([array.astype("float32", copy=False) for array in arrays])
        found = [
            with_spare_rows(y, len(arrays[0]), room) if room else y
            for y, room in zip(found, self._rooms, strict=True)
        ]
        return keras.tree.pack_sequence_as(self._outputs, found)


def kept_runner(model: keras.Model, runtime: str) -> Runner:
    """Return the runner of a model, the same again while it has the same weights.

    Example:
        >>> from keras_caffe_zoo import demo
        >>> from keras_caffe_zoo.runtimes import kept_runner
        >>> model = demo.load()
        >>> kept_runner(model, "onnxruntime") is kept_runner(model, "onnxruntime")
        True
    """
    kept = vars(model).setdefault("_runners", {})  # not for Keras to look after
    digest = sha256_of_weights(model)
    if runtime not in kept or kept[runtime][0] != digest:
        kept[runtime] = digest, Runner(model, runtime)
    return kept[runtime][1]


@contextlib.contextmanager
def _refused(model: keras.Model, runtime: str, kind: type[Exception]) -> Iterator[None]:
    """Say of an error whose it is, and what to do."""
    try:
        yield
    except kind as error:
        raise ValueError(
            f"Expected a model that runtime={runtime!r} can run; received "
            f"'{model.name}': {said(error)}. Use runtime='keras'"
        ) from error


def _graph(model: keras.Model, pool: bool) -> Graph:
    """Return a model's graph, with the model's outputs in their order."""
    _check_precision(model)
    graph = model_graph(model)
    _check_shapes(model, graph)
    if pool:
        _pool(graph)
    return graph


def _check_precision(model: keras.Model) -> None:
    """Refuse layers that round in another way than the engine will."""
    others = [
        f"{caffe_name(layer.name)} ({layer.dtype_policy.name})"
        for layer in model.layers
        if layer.dtype_policy.name != "float32"
    ]
    if others:
        raise ValueError(
            f"Expected layers of float32; received others. {there_are(others)}"
        )


def _check_shapes(model: keras.Model, graph: Graph) -> None:
    """Refuse outputs that are no blobs of Caffe's, but, say, flattened ones."""
    pairs = zip(model.outputs, graph.outputs.items(), strict=True)
    for tensor, (name, value) in pairs:
        wanted, found = caffe_shape(tensor.shape), value.shape
        if _room(tensor):
            continue  # see `with_spare_rows`
        if len(wanted) != len(found) or any(
            None not in sizes and len(set(sizes)) > 1
            for sizes in zip(wanted, found, strict=True)
        ):
            raise ValueError(
                f"Expected the output {name!r} to have the shape {wanted} in Caffe's "
                f"order of axes; its ONNX operations make {found}"
            )


def _room(tensor) -> int | None:
    """Return how many rows a layer that detects has for an item; None of others."""
    rows = rule_for(tensor._keras_history.operation).rows
    return tensor.shape[1] if rows == "of one item" else None


def _pool(graph: Graph) -> None:
    for name, blob in graph.outputs.items():
        if len(blob.shape) == 4:
            blob.name = ""
            mean = graph.op("ReduceMean", blob, axes=[2, 3], keepdims=0)
            mean.name, graph.outputs[name] = name, mean


@contextlib.contextmanager
def _source(proto) -> Iterator[bytes | str]:
    """Yield an `onnx.ModelProto` as bytes, or the path of a file if it is large."""
    if not is_large(proto):
        yield proto.SerializeToString()
        return
    # Where files in use cannot be deleted, the system will do it.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "net.onnx"
        save_large(proto, path)
        yield str(path)
