"""What makes nets of full size cheap enough to be built in every test."""

import keras
import pytest

from keras_caffe_zoo.models._design import Design


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr(Design, "FC_UNITS", 16)


@pytest.fixture
def zeros(monkeypatch):
    """New weights are zeros, which are there at once, and not random numbers."""
    zero = keras.initializers.Zeros()
    monkeypatch.setattr(
        keras.initializers.VarianceScaling,
        "__call__",
        lambda _, shape, dtype=None: zero(shape, dtype),
    )
