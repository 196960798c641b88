"""Rows that a model has and Caffe does not: room for what was not found."""

import numpy as np

from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.registry import rule_for


def source_of_rows(tensor):
    """Return the tensor whose rows, some of them spare, those of another are made of.

    That is the first output of the nearest layer before it, or its own, of a rule with
    `spare_rows`; `None` if there is none.
    """
    waiting, seen = [tensor], set()
    while waiting:
        found = waiting.pop(0)
        layer = found._keras_history.operation
        if rule_for(layer).spare_rows:
            return keras.tree.flatten(layer.output)[0]
        if id(layer) not in seen:
            seen.add(id(layer))
            waiting += keras.tree.flatten(layer.input)
    return None


def caffe_blob(tensor, array: np.ndarray, source: np.ndarray | None) -> np.ndarray:
    """Return what a model computed as the blob that Caffe has.

    Args:
        tensor: The symbolic tensor.
        array: Its value.
        source: That of its `source_of_rows`.
    """
    layer = tensor._keras_history.operation
    rule = rule_for(layer)
    blob = rule.blob(layer, array)
    if source is None or rule.spare_rows or len(source) != len(blob):
        return blob
    return blob[source[:, 0] >= 0]  # the number of an item
