"""What Caffe prints of a training net: its outputs, and gradients with debug_info."""

import io
import re

import keras
import numpy as np
import pytest

from keras_caffe_zoo import caffe_params
from keras_caffe_zoo.training import from_solver

NET = """
name: "tiny"
layer { name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "list.txt" batch_size: 5 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "fc" top: "fc" }
layer { name: "out" type: "InnerProduct" bottom: "fc" top: "out"
  param { name: "w" } param { lr_mult: 0 }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 1 } } }
layer { name: "right" type: "Accuracy" bottom: "out" bottom: "label" top: "right"
  top: "each" }
layer { name: "seen" type: "MultinomialLogisticLoss" bottom: "prob" bottom: "label"
  top: "seen" loss_weight: 0 }
layer { name: "z" type: "SoftmaxWithLoss" bottom: "out" bottom: "label" top: "z_loss"
  loss_weight: 2 }
layer { name: "half" type: "Power" bottom: "fc" top: "half"
  power_param { scale: 0.5 } }
""".replace(
    'layer { name: "right"',
    """layer { name: "prob" type: "Softmax" bottom: "out" top: "prob" }
layer { name: "right\"""",
    1,
)
SOLVER = """
net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2 display: 1
random_seed: 1 debug_info: DEBUG
"""
RNG = np.random.default_rng(5)
X = RNG.normal(size=(10, 6)).astype("float32")
Y = RNG.integers(0, 3, 10)


def training_of(folder, debug="false", net=NET):
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(SOLVER.replace("DEBUG", debug))
    return from_solver(folder / "solver.prototxt", input_shape={"data": (6,)})


def batches():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)


def passed(params, x, y):
    """Return a pass of the net, forward and backward, in NumPy float64."""
    (w, b), (v, c) = ([a.astype("float64") for a in params[n]] for n in ("fc", "out"))
    before = x @ w.T + b
    fc = np.maximum(before, 0)
    out = fc @ v.T + c
    prob = np.exp(out) / np.exp(out).sum(1, keepdims=True)
    d_out = 2 * (prob - np.eye(3)[y]) / len(y)
    d_fc = d_out @ v
    d_before = d_fc * (before > 0)
    right = out.argmax(1) == y
    blobs = {
        "each": [right[y == k].mean() if (y == k).any() else 0.0 for k in range(3)],
        "half": fc / 2,
        "right": right.mean(),
        "seen": -np.log(prob[np.arange(len(y)), y]).mean(),
        "z_loss": -np.log(prob[np.arange(len(y)), y]).mean(),
    }
    params = {"fc": (d_before.T @ x, d_before.sum(0)), "out": (d_out.T @ fc, 0 * c)}
    return blobs, {"out": d_out, "fc": d_fc, "before": d_before}, params


def lines_of(training):
    out = io.StringIO()
    log = training.log_lines(out, plain=True)
    history = training.fit(batches(), callbacks=[log], iterations=1, verbose=0)
    return out.getvalue().splitlines(), history.history


def test_all_outputs_of_the_training_net_are_printed_in_the_order_of_names(tmp_path):
    training = training_of(tmp_path)
    blobs, _, _ = passed(caffe_params(training.model), X[:5], Y[:5])
    lines, history = lines_of(training)
    told = [re.match(r"    Train net output #(\d+): (\S+) = (\S+)", x) for x in lines]
    told = [match.groups() for match in told if match]
    assert [int(number) for number, _, _ in told] == list(range(len(told)))
    wanted = [(name, v) for name, x in blobs.items() for v in np.ravel(x)]
    assert [name for _, name, _ in told] == [name for name, _ in wanted]
    np.testing.assert_allclose(
        [float(value) for _, _, value in told], [v for _, v in wanted], rtol=2e-5
    )
    assert [x for x in lines if "z_loss" in x][0].endswith(
        f"(* 2 = {2 * blobs['z_loss']:g} loss)"
    )
    assert history["right"][0] == pytest.approx(blobs["right"])


def test_where_no_dict_is_asked_for_nothing_is_told_twice(tmp_path):
    plain = re.sub(
        r'layer { name: "(right|seen|half)".*?\n(?=layer|$)', "", NET, flags=re.S
    )
    model = training_of(tmp_path, net=plain).model
    told = model.test_on_batch(X, Y, return_dict=True)
    assert set(told) == {"loss", "z_loss", "z_loss_weighted"}
    assert model.metrics_names == ["loss"]
    for found in (
        model.train_on_batch(X, Y),
        training_of(tmp_path, net=plain).model.evaluate(X, Y, verbose=0),
    ):
        assert float(found) == pytest.approx(float(told["loss"]), rel=1e-5)
    model = training_of(tmp_path).model
    names = ["loss", "seen", "right", "each/0", "each/1", "each/2"]
    assert model.metrics_names == names
    told = training_of(tmp_path).model.test_on_batch(X, Y, return_dict=True)
    np.testing.assert_allclose(
        model.test_on_batch(X, Y), [told[name] for name in names], rtol=1e-6
    )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a gradient tape")
def test_gradients_are_told_as_caffe_tells_them(tmp_path):
    training = training_of(tmp_path, "true")
    params = caffe_params(training.model)
    _, blobs, diffs = passed(params, X[:5], Y[:5])
    lines, _ = lines_of(training)

    def size(array):
        return f"{np.abs(array).mean():.4g}"

    found = [line.removeprefix("    [Backward] ") for line in lines if "[Back" in line]
    wanted = [
        ("Layer z, bottom blob out", blobs["out"]),
        ("Layer out, bottom blob fc", blobs["fc"]),
        ("Layer out, param blob 0", diffs["out"][0]),
        ("Layer relu, bottom blob fc", blobs["before"]),
        ("Layer fc, param blob 0", diffs["fc"][0]),
        ("Layer fc, param blob 1", diffs["fc"][1]),
    ]
    shown = [line.rpartition(" diff: ") for line in found[:-1]]
    assert [start for start, _, _ in shown] == [start for start, _ in wanted]
    for (_, _, value), (_, array) in zip(shown, wanted, strict=True):
        assert f"{float(value):.4g}" == size(array)
    both = [
        np.concatenate([np.ravel(x) for arrays in of.values() for x in arrays])
        for of in (params, diffs)
    ]
    norms = [[np.abs(x).sum(), np.sqrt((x.astype("float64") ** 2).sum())] for x in both]
    told = re.fullmatch(
        r"All net params \(data, diff\): L1 norm = \((\S+), (\S+)\); "
        r"L2 norm = \((\S+), (\S+)\)",
        found[-1],
    )
    np.testing.assert_allclose(
        [float(x) for x in told.groups()], np.ravel(np.transpose(norms)), rtol=2e-5
    )
    assert any(
        line.startswith("    [Forward] Layer out, param blob w ") for line in lines
    )
