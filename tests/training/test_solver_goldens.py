"""Fifteen solvers of real Caffe, forty iterations each: the same losses, parameters."""

import keras
import numpy as np
import pytest
from support import GOLDENS, every, relative_error

from keras_caffe_zoo import caffe_params, set_caffe_params
from keras_caffe_zoo.training import from_solver

SOLVERS = GOLDENS / "solvers"
CASES = sorted(p.stem for p in SOLVERS.glob("*.npz") if p.stem != "data")
QUICK = ("adam", "sgd_clip", "sgd_step")  # with `fit`, whose steps are the same


@pytest.fixture(scope="module")
def batches():
    """The batches that Caffe trained on, and the parameters it started from."""
    with np.load(SOLVERS / "data.npz") as arrays:
        arrays = dict(arrays)
    images = arrays["data"].transpose(0, 1, 3, 4, 2)
    start = {}
    for key in arrays:
        if key.startswith("init/"):
            start.setdefault(key.split("/")[1], []).append(arrays[key])
    return images, arrays["label"], start


def answers(case):
    with np.load(SOLVERS / f"{case}.npz") as arrays:
        return dict(arrays)


def assert_parameters(model, expected, iteration):
    for layer, blobs in caffe_params(model).items():
        for i, blob in enumerate(blobs):
            wanted = expected[f"iter{iteration}/{layer}/{i}"]
            assert relative_error(blob, wanted) <= 1e-4, (iteration, layer, i)


def test_there_are_fifteen():
    assert len(CASES) == 15


@pytest.mark.parametrize("case", every(3, CASES))
def test_train_on_batch_is_one_iteration(case, batches):
    images, labels, start = batches
    training, expected = from_solver(SOLVERS / f"{case}.prototxt"), answers(case)
    set_caffe_params(training.model, start)
    assert training.iterations == len(images) == 40
    losses = []
    for i in range(40):
        losses.append(training.model.train_on_batch(images[i], labels[i]))
        if i + 1 in (1, 2, 10, 40):
            assert_parameters(training.model, expected, i + 1)
    np.testing.assert_allclose(losses, expected["loss"], rtol=1e-4)
    assert int(training.optimizer.iterations) == 40


class Losses(keras.callbacks.Callback):
    """Each batch's loss, out of the mean that Keras tells."""

    def __init__(self):
        self.means = []

    def on_train_batch_end(self, batch, logs=None):
        self.means.append(logs["loss"])

    def of_batches(self):
        sums = np.array(self.means, "float64") * np.arange(1, len(self.means) + 1)
        return np.diff(sums, prepend=0)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=() if case in QUICK else pytest.mark.slow)
        for case in CASES
    ],
)
def test_fit_reaches_the_same_parameters(case, batches):
    images, labels, start = batches
    training, expected = from_solver(SOLVERS / f"{case}.prototxt"), answers(case)
    set_caffe_params(training.model, start)
    losses = Losses()
    training.model.fit(
        images.reshape(-1, *images.shape[2:]),
        labels.reshape(-1),
        batch_size=8,
        shuffle=False,
        verbose=0,
        callbacks=[losses],
    )
    assert_parameters(training.model, expected, 40)
    np.testing.assert_allclose(losses.of_batches(), expected["loss"], rtol=1e-4)
