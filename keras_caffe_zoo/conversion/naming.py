"""What a model's outputs are called in files: as Caffe's blobs."""

from __future__ import annotations

from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.node import unused


def named_outputs(model: keras.Model) -> dict:
    """Return a model's outputs by their names.

    They stand in the order of `model.outputs`. Those of a dict have its keys; others
    the name of Caffe's blob, or of their layer.
    """
    given = model.output if isinstance(model.output, dict) else {}
    keys: dict[int, list[str]] = {}
    for key in sorted(given):  # one tensor may have several
        keys.setdefault(id(given[key]), []).append(key)
    outputs: dict = {}
    for tensor in model.outputs:
        own = keys.get(id(tensor))
        name = own.pop(0) if own else _blob_name(model, tensor)
        outputs[unused(name, outputs)] = tensor
    return outputs


def _blob_name(model: keras.Model, tensor) -> str:
    """Return the blob that an output is, the last if layers in place renamed it."""
    history = tensor._keras_history
    place = [history.operation.name, history.tensor_index]
    blobs = getattr(model, "caffe_blobs", {})
    names = [name for name, found in blobs.items() if list(found) == place]
    return names[-1] if names else caffe_name(history.operation.name)
