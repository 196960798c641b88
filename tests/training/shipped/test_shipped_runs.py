"""Every shipped solver trains from its files as they stand, and tests as it says."""

import keras
import numpy as np
import pytest
from shipped_data import write_data
from shipped_solvers import SOLVERS

from keras_caffe_zoo.training import from_solver

QUICK = ("hdf5_logistic",)
BIG = [name for name, shipped in SOLVERS.items() if shipped.crop]
TESTED = {  # what Caffe prints of each test net
    "lenet_auto": [{"loss"}],
    "autoencoder": [{"cross_entropy_loss", "l2_error"}] * 2,
    "lenet_consolidated": [{"accuracy", "loss"}] * 2,
    "siamese": [{"loss"}],
    "pascal": [{"accuracy"}],  # its loss has no top, which Caffe does not print
    "googlenet": [
        {f"loss{i}/{x}" for i in (1, 2, 3) for x in ("top-1", "top-5")}
        | {"loss1/loss1", "loss2/loss1", "loss3/loss3"}
    ],
}


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in SOLVERS],
)
def test_it_trains_from_its_files(name, tmp_path):
    shipped = SOLVERS[name].shortened(2, batch=4 if name in BIG else None)
    shipped = shipped if "sigmoid" not in name else shipped.shortened(2, batch=20)
    data = tmp_path / "data"
    data.mkdir()
    write_data(shipped, data, count=12 if name in BIG else 120)
    training = from_solver(shipped.write(tmp_path), data=data, seed=0)
    before = [w.numpy() for w in training.model.trainable_weights]
    history = training.fit(verbose=0).history
    assert int(training.optimizer.iterations) == 2
    assert np.isfinite(history["loss"]).all()
    after = [w.numpy() for w in training.model.trainable_weights]
    assert all(np.isfinite(w).all() for w in after)
    for a, b in zip(before, after, strict=True):
        # A bias may get no gradient: that of the siamese features falls out of their
        # differences.
        assert a.ndim == 1 or not np.array_equal(a, b)
    family = name.split("_")[0]
    wanted = TESTED.get(name) or TESTED.get(family) or [{"accuracy", "loss"}]
    last = training.results[-len(wanted) :]
    assert [test.iteration for test in last] == [2] * len(wanted)
    for test, outputs in zip(last, wanted, strict=True):
        assert {output.name for output in test.outputs} >= outputs
        assert all(np.isfinite(output.value).all() for output in test.outputs)


@pytest.mark.slow
def test_lenet_learns_digits_as_its_solver_says(tmp_path):
    keras.utils.set_random_seed(0)
    shipped = SOLVERS["lenet"].shortened(150)
    data = tmp_path / "data"
    data.mkdir()
    write_data(shipped, data, count=640)
    training = from_solver(shipped.write(tmp_path), data=data, seed=0)
    training.fit(verbose=0)
    outputs = {one.name: one.value for one in training.results[-1].outputs}
    assert outputs["accuracy"] > 0.9
