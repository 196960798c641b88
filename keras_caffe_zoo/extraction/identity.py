"""What tells one extraction from another: the net's structure and its weights."""

import hashlib
import json

import keras
import numpy as np

# Of no consequence to the values: how weights began and how they are trained.
_IDLE = ("initializer", "regularizer", "constraint", "trainable", "seed")


def sha256_of_weights(model: keras.Model) -> str:
    """Return a digest of all weights of a model, in their order."""
    digest = hashlib.sha256()
    for weight in model.weights:
        array = keras.ops.convert_to_numpy(weight)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view("uint8").data)
    return digest.hexdigest()


def structure_of(model: keras.Model) -> str:
    """Return a digest of a model's graph, whatever Keras called its layers.

    (Keras counts the layers that were given no name, over the whole process.)
    """
    config = keras.saving.serialize_keras_object(model)
    names = {name: f"#{i}" for i, name in enumerate(_names(config))}
    plain = json.dumps(_renamed(config, names), sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()


def _names(config) -> list[str]:
    """Return the values of all keys `name`, each once, in order."""
    found: dict[str, None] = {}

    def walk(value):
        if isinstance(value, dict):
            if isinstance(value.get("name"), str):
                found.setdefault(value["name"])
            for one in value.values():
                walk(one)
        elif isinstance(value, list | tuple):
            for one in value:
                walk(one)

    walk(config)
    return list(found)


def _renamed(value, names: dict[str, str]):
    """Return a configuration with other names, without what is of no consequence."""
    if isinstance(value, dict):
        return {
            names.get(key, key): _renamed(one, names)
            for key, one in value.items()
            if not any(word in str(key) for word in _IDLE)
        }
    if isinstance(value, list | tuple):
        return [_renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value
