"""A Keras model as a function of arrays, compiled once by Keras' own engine."""

from collections.abc import Callable, Sequence

import keras
import numpy as np


def compiled(model: keras.Model, batch_size: int) -> Callable:
    """Return a model as a function, compiled once for all batches.

    The function takes a batch, or a list of batches for the model's inputs, and returns
    arrays in the structure of the model's outputs. Several threads may call it.

    Args:
        model: The model.
        batch_size: The most rows that batches will have. Engines other than TensorFlow
            compile for each size anew, so that smaller ones are filled up to it.
    """
    if keras.config.backend() == "jax":
        run = _jitted(model)
        return lambda batch: _padded(model, run, batch, batch_size)
    if keras.config.backend() != "tensorflow":
        run = model.predict_on_batch
        return lambda batch: _padded(model, run, batch, batch_size)
    import tensorflow as tf

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]
    function = tf.function(
        lambda *x: model(_packed(model, x), training=False),
        input_signature=specs,
    )
    function.get_concrete_function()  # now, so that progress is the pictures' alone

    def run(batch: np.ndarray | Sequence[np.ndarray]):
        arrays = [batch] if isinstance(batch, np.ndarray) else batch
        pairs = zip(arrays, specs, strict=True)
        typed = [x.astype(spec.dtype.name, copy=False) for x, spec in pairs]
        return keras.tree.map_structure(lambda y: y.numpy(), function(*typed))

    return run


def _jitted(model: keras.Model) -> Callable:
    """Return a model as a function that JAX compiles for each size of batch.

    (`predict_on_batch` gives the weights' memory away while it runs, so that nobody
    else may read them then.)
    """
    import jax

    call = jax.jit(
        lambda learned, rest, x: model.stateless_call(learned, rest, x, training=False)
    )

    def run(batch):
        learned = [v.value for v in model.trainable_variables]
        rest = [v.value for v in model.non_trainable_variables]
        answers, _ = call(learned, rest, batch)
        return keras.tree.map_structure(np.asarray, answers)

    return run


def _padded(model, run: Callable, batch, size: int):
    """Run a batch filled up to one size, since each size would be compiled anew."""
    arrays = [batch] if isinstance(batch, np.ndarray) else batch
    rows = len(arrays[0])
    missing = max(0, size - rows)
    filled = [np.pad(x, [(0, missing)] + [(0, 0)] * (x.ndim - 1)) for x in arrays]
    answers = run(_packed(model, filled))
    return keras.tree.map_structure(lambda y: y[:rows], answers)


def _packed(model: keras.Model, inputs: Sequence):
    """Return inputs in the model's own structure: Keras may warn of any other."""
    return keras.tree.pack_sequence_as(model.input, list(inputs))
