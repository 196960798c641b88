"""Engines that run a model in Keras' place: ONNX Runtime and OpenVINO."""

from keras_caffe_zoo.runtimes.choice import (
    RUNTIMES,
    check_runtime,
    runtime_versions,
)
from keras_caffe_zoo.runtimes.digest import sha256_of_weights
from keras_caffe_zoo.runtimes.runner import Runner, kept_runner

__all__ = [
    "RUNTIMES",
    "Runner",
    "check_runtime",
    "kept_runner",
    "runtime_versions",
    "sha256_of_weights",
]
