"""What a model's outputs are called in files: as Caffe's blobs."""

from __future__ import annotations

from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.node import unused


def named_outputs(model: keras.Model) -> dict:
    """Return a model's outputs by their names.

    Those of a dict have its keys; others the name of Caffe's blob, or of their layer.
    """
    if isinstance(model.output, dict):
        return dict(model.output)
    outputs: dict = {}
    for tensor in model.outputs:
        outputs[unused(_blob_name(model, tensor), outputs)] = tensor
    return outputs


def _blob_name(model: keras.Model, tensor) -> str:
    """Return the blob that an output is, the last if layers in place renamed it."""
    history = tensor._keras_history
    place = [history.operation.name, history.tensor_index]
    blobs = getattr(model, "caffe_blobs", {})
    names = [name for name, found in blobs.items() if list(found) == place]
    return names[-1] if names else caffe_name(history.operation.name)
