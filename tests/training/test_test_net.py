"""A test net's outputs against NumPy in float64, batch by batch, as Caffe does it."""

import keras
import numpy as np
import pytest

from keras_caffe_zoo import caffe_params
from keras_caffe_zoo.caffe import parse_prototxt
from keras_caffe_zoo.training import from_solver
from keras_caffe_zoo.training.solver.testing import TestNet

RNG = np.random.default_rng(3)
NET = """
name: "tiny"
layer { name: "data" type: "HDF5Data" top: "data" top: "label" }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "fc" top: "bn" }
layer { name: "prob" type: "Softmax" bottom: "bn" top: "prob" include { phase: TEST } }
layer { name: "acc" type: "Accuracy" bottom: "prob" bottom: "label" top: "acc"
  top: "each" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "bn" bottom: "label" top: "z_loss"
  loss_weight: 2 }
layer { name: "seen" type: "MultinomialLogisticLoss" bottom: "prob" bottom: "label"
  top: "seen" loss_weight: 0 include { phase: TEST } }
"""
SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 5'


@pytest.fixture
def training(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return from_solver(tmp_path / "solver.prototxt", input_shape={"data": (4,)})


def batches():
    sizes = (5, 5, 3)  # of these the last is smaller, and counts as much
    return [
        (RNG.normal(size=(n, 4)).astype("float32"), np.arange(n) % 2) for n in sizes
    ]


def expected(model, x, y):
    params = {
        k: [b.astype("float64") for b in v] for k, v in caffe_params(model).items()
    }
    mean, variance, factor = params["bn"]
    scores = x.astype("float64") @ params["fc"][0].T + params["fc"][1]
    scores = (scores - mean / factor) / np.sqrt(variance / factor + 1e-5)
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    loss = -np.log(chances[np.arange(len(y)), y]).mean()
    right = scores.argmax(1) == y
    each = [right[y == k].mean() if (y == k).any() else 0.0 for k in range(3)]
    return {"acc": right.mean(), "each": np.array(each), "seen": loss, "z_loss": loss}


def test_every_output_is_the_mean_of_its_batches(training):
    x = RNG.normal(2, 3, (16, 4)).astype("float32")
    training.model.train_on_batch(x, np.arange(16) % 3)
    net = TestNet(parse_prototxt(NET).filter("TEST"), "Test net #0", 3)
    assert net.inputs == ("data",) and net.labels == ("label",)
    assert net.weights == {"z_loss": 2}
    data = batches()
    wanted = [expected(training.model, *batch) for batch in data]
    for given in (data, iter([*data, None])):
        found = net.evaluate(training.model, given)
        assert list(found) == ["acc", "each", "seen", "z_loss"]
        for name, value in found.items():
            mean = np.mean([w[name] for w in wanted], axis=0)
            np.testing.assert_allclose(value, mean, rtol=1e-5, atol=1e-6)
    assert isinstance(found["acc"], float)


def test_the_parameters_are_those_of_the_moment_and_must_fit(training):
    net = TestNet(parse_prototxt(NET).filter("TEST"), "Test net #0", 1)
    x, y = batches()[0]
    training.model.train_on_batch(x, y)
    for _ in range(2):
        training.model.train_on_batch(x, y)
        found = net.evaluate(training.model, [({"data": x}, {"label": y})])
        wanted = expected(training.model, x, y)
        assert found["z_loss"] == pytest.approx(wanted["z_loss"], rel=1e-5)
    built = net.model
    net.evaluate(training.model, [(x, y)])
    assert net.model is built
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="fc")])
    with pytest.raises(ValueError, match="'fc' of Test net #0"):
        net.evaluate(other, [(x, y)])
    with pytest.raises(ValueError, match=r"none for \['label'\]"):
        net.evaluate(training.model, [x])
    with pytest.raises(ValueError, match="batches to test"):
        net.evaluate(training.model, [])
