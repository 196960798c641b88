"""Chance inside a net, such as dropout's, as a function of a seed and of passes done.

A training that goes on from one of Caffe's snapshots, which know nothing of chance,
then draws what it would have drawn.
"""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np


def set_chance(model: keras.Model, seed: int, passes: int = 0) -> None:
    """Set all random states in a model to where they are after some passes.

    Args:
        model: A model that is trained.
        seed: Chooses what is drawn.
        passes: Forward passes in training that were done before.
    """
    for place, (generator, calls) in enumerate(_generators(model)):
        # 31 bits: some engines keep states as signed integers.
        key = np.random.SeedSequence([seed, place]).generate_state(1)[0] >> 1
        generator.state.assign(np.array([key, passes * calls % 2**31]))
        # PyTorch's dropout would not ask a generator that was made without a seed.
        generator._initial_seed = int(key)


def _generators(model: keras.Model):
    """Yield the random states of a model, and how often a pass draws from each."""
    for layer in model.layers:
        generator = getattr(layer, "seed_generator", None)
        if isinstance(layer, keras.Model):
            yield from _generators(layer)
        elif generator is not None:
            yield generator, max(len(layer._inbound_nodes), 1)


@contextlib.contextmanager
def traceless(model: keras.Model) -> Iterator[None]:
    """Give a model back its state after passes of training."""
    variables = model.non_trainable_variables
    values = [keras.ops.copy(variable.value) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
