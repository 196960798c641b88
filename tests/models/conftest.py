"""What makes random nets the same in every run, and full-size ones cheap to build."""

import gc

import keras
import pytest

from keras_caffe_zoo.models._classifier import ClassifierDesign


@pytest.fixture(autouse=True)
def seeded():
    """Some random nets have no gradient: a layer that is dead, a sure softmax."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def forgotten(request):
    """Whole nets go at once: a run of them all would take tens of gigabytes."""
    yield
    if request.node.get_closest_marker("slow"):
        keras.backend.clear_session()
        gc.collect()


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 16)


@pytest.fixture
def zeros(monkeypatch):
    """New weights are zeros, which are there at once, and not random numbers."""
    zero = keras.initializers.Zeros()
    monkeypatch.setattr(
        keras.initializers.VarianceScaling,
        "__call__",
        lambda _, shape, dtype=None: zero(shape, dtype),
    )
