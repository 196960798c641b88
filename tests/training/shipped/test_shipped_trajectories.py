"""Shipped solvers take the steps that Caffe takes, from the same parameters.

The reference computes in float64. A net of sigmoids stays as near as float32 is. One
with ReLU or max pooling stays so until a number on the edge falls to the other side in
float32 (another maximum of a window, a unit that is just on): then parameters part by
1e-3 at once, as the reference's own do when they start 1e-7 apart (`docs/training.md`).
"""

import numpy as np
import pytest
from shipped_solvers import SOLVERS
from trajectories import Pair, example_batches

from keras_caffe_zoo import caffe_params

LOSS, PARAMETERS = 1e-5, 1e-4  # of the largest
KINK = 1e-2  # what one such edge may do to parameters and, later, to losses
ITEMS = 8
SMALL = [name for name, shipped in SOLVERS.items() if not shipped.crop]
BIG = [name for name, shipped in SOLVERS.items() if shipped.crop]
QUICK = ("lenet", "hdf5_nonlinear", "autoencoder")
# Steps of about base_lr whatever the gradient is: near 0, rounding decides the sign.
ROUGH = ("lenet_adam", "lenet_rmsprop", "autoencoder_adagrad")


def relative(a, b):
    return abs(a - b) / max(abs(b), 1e-3)


def allowed(name, drifts, first=True):
    """Return how far parameters may be off; of rough solvers as far as they drift."""
    if name in ROUGH:
        return max(PARAMETERS, 10 * max(drifts))
    return PARAMETERS if first else KINK


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in SMALL],
)
def test_first_iterations_are_caffes(name, tmp_path):
    shipped = SOLVERS[name]
    pair = Pair(shipped, tmp_path, own_start="cifar" not in name)
    single = [pair.solver(pair.start, "float32")] if name in ROUGH else []
    for i, batch in enumerate(example_batches(shipped, 3, ITEMS)):
        ours, theirs, *_ = pair.step(*batch, *single)
        parameters, *drifts = pair.errors(*single)
        first = i == 0 or shipped.smooth
        assert relative(ours, theirs) <= (LOSS if first else max(LOSS, KINK * i)), i
        assert parameters <= allowed(name, drifts, first), i


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SMALL if SOLVERS[name].smooth])
def test_smooth_nets_stay_as_near_as_float32_is(name, tmp_path):
    pair = Pair(SOLVERS[name], tmp_path)
    single = [pair.solver(pair.start, "float32")] if name in ROUGH else []
    for batch in example_batches(SOLVERS[name], 40, 16):
        ours, theirs, *_ = pair.step(*batch, *single)
        assert relative(ours, theirs) <= LOSS
    parameters, *drifts = pair.errors(*single)
    assert parameters <= allowed(name, drifts)


@pytest.mark.slow
@pytest.mark.parametrize("name", BIG)
def test_an_iteration_of_a_large_net_is_caffes(name, tmp_path):
    pair = Pair(SOLVERS[name], tmp_path, twin=False)
    (batch,) = example_batches(SOLVERS[name], 1, 2)
    ours, theirs, _ = pair.step(*batch)
    assert relative(ours, theirs) <= LOSS
    for layer, blobs in caffe_params(pair.model).items():
        expected = pair.reference.network.of(layer)
        for before, ours, theirs in zip(
            pair.start[layer], blobs, expected, strict=True
        ):
            step = np.abs(theirs - before).max()
            rounding = 1e-7 * np.abs(before).max()  # of the parameters themselves
            error = np.abs(ours - theirs).max()
            assert error <= KINK * step + rounding, (layer, error / step)
