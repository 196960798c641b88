"""Every test of training draws the same numbers, whichever tests ran before it."""

import keras
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def same_numbers(request, monkeypatch):
    """Begin anew Keras' random numbers, and the module's own, where it has some."""
    keras.utils.set_random_seed(0)
    if hasattr(request.module, "RNG"):
        monkeypatch.setattr(request.module, "RNG", np.random.default_rng(0))
