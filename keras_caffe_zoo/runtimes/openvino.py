"""OpenVINO."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from keras_caffe_zoo.conversion.openvino_core import openvino_core


class OpenVino:
    """A net in OpenVINO, on the processor.

    It is compiled once, for batches and images of any size. Images change their axes as
    operations of the net, which OpenVINO makes part of how it packs them.

    Args:
        source: An ONNX file: its bytes, or its path where it is in several files.
        threads: How many; all if None.
        at_once: Batches that are computed at the same time, each with its share of the
            threads.
    """

    channels_last = True  # of the file

    def __init__(self, source: bytes | str, threads: int | None, at_once: int):
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16, where processors can
            "PERFORMANCE_HINT": "LATENCY" if at_once == 1 else "THROUGHPUT",
        }
        if at_once > 1:
            settings["NUM_STREAMS"] = at_once
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        core = openvino_core()
        self._net = core.compile_model(core.read_model(source), "CPU", settings)
        self._outputs = range(len(self._net.outputs))
        self._idle = deque()  # each call takes one of the requests, which keep memory

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs, in the file's order. Several threads may call it."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._net.create_infer_request()
        inputs = [np.ascontiguousarray(array) for array in arrays]
        found = request.infer(inputs, share_inputs=True)
        self._idle.append(request)  # not after an error: another will do
        return [found[at] for at in self._outputs]
