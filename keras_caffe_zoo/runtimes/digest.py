"""A digest of weights, by which they are known again."""

from __future__ import annotations

import hashlib

import numpy as np

from keras_caffe_zoo.lazy import keras


def sha256_of_weights(model: keras.Model) -> str:
    """Return a digest of all weights of a model, in their order.

    Example:
        >>> from keras_caffe_zoo.runtimes import sha256_of_weights
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.set_weights([np.zeros((2, 1)), np.zeros(1)])
        >>> before = sha256_of_weights(model)
        >>> model.set_weights([np.ones((2, 1)), np.zeros(1)])
        >>> sha256_of_weights(model) == before
        False
    """
    digest = hashlib.sha256()
    for weight in model.weights:
        array = keras.ops.convert_to_numpy(weight)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view("uint8").data)
    return digest.hexdigest()
