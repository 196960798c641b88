"""ONNX Runtime."""

import os
from collections.abc import Sequence

import numpy as np

from keras_caffe_zoo.arithmetic.axes import TO_CAFFE, TO_KERAS

_ERRORS_ONLY = 3


class OnnxRuntime:
    """A net in ONNX Runtime, on the processor.

    Images change their axes here: as operations of the net, ONNX Runtime would take
    five times as long for them.

    Args:
        source: An ONNX file: its bytes, or its path where it is in several files.
        threads: How many; all if None.
        at_once: Batches that are computed at the same time.
    """

    channels_last = False  # of the file

    def __init__(self, source: bytes | str, threads: int | None, at_once: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if at_once > 1:  # callers compute as well, each beside the same other threads
            threads = max(1, (threads or os.cpu_count() or 1) - (at_once - 1))
        options.intra_op_num_threads = threads or 0  # 0: as many as there are cores
        # Not one that happens to be first where several are installed: they round in
        # other ways.
        processor = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(source, options, processor)
        self._inputs = [one.name for one in self._session.get_inputs()]

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs, in the file's order. Several threads may call it."""
        blobs = [_moved(array, TO_CAFFE) for array in arrays]
        inputs = dict(zip(self._inputs, map(np.ascontiguousarray, blobs), strict=True))
        return [_moved(blob, TO_KERAS) for blob in self._session.run(None, inputs)]


def _moved(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return array.transpose(axes) if array.ndim == 4 else array
