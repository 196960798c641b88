"""Losses of any blobs of a net: values and one step of SGD against NumPy in float64."""

import keras
import numpy as np
import pytest

from keras_caffe_zoo import CaffeFormatError, caffe_params
from keras_caffe_zoo.training import SoftmaxWithLoss, from_solver

RNG = np.random.default_rng(7)
SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 5'
DATA = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" }\n'
N, C = 6, 4


def fc(name, bottom, outputs, more=""):
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}"'
        f" inner_product_param {{ num_output: {outputs} bias_term: false "
        f'weight_filler {{ type: "gaussian" std: 0.5 }} }} {more} }}\n'
    )


def layer(kind, bottoms, top, more=""):
    ends = " ".join(f'bottom: "{blob}"' for blob in bottoms.split())
    return f'layer {{ name: "{top}" type: "{kind}" {ends} top: "{top}" {more} }}\n'


@pytest.fixture
def train(tmp_path):
    def train(net, solver=SOLVER, shape=(C,), **options):
        (tmp_path / "net.prototxt").write_text(f'name: "tiny" {net}')
        (tmp_path / "solver.prototxt").write_text(solver)
        shapes = shape if isinstance(shape, dict) else {"data": shape}
        path = tmp_path / "solver.prototxt"
        return from_solver(path, input_shape=shapes, **options).model

    return train


def matrices(model):
    return {k: v[0].astype("float64") for k, v in caffe_params(model).items()}


def check(model, x, y, loss, gradients, **logs):
    """Check what a step reports, and that it goes down the gradients."""
    before = matrices(model)
    found = model.train_on_batch(x, y, return_dict=True)
    for name, value in {"loss": loss, **logs}.items():
        assert float(found[name]) == pytest.approx(value, rel=2e-5, abs=1e-6), name
    assert set(found) == {"loss", *logs}
    after = matrices(model)
    for name, gradient in gradients.items():
        step = (before[name] - after[name]) / 0.1
        np.testing.assert_allclose(step, gradient, rtol=2e-4, atol=2e-5, err_msg=name)


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def log_loss(scores, labels):
    """Return the softmax loss of (N, C) and its gradient."""
    chances, rows = softmax(scores), np.arange(len(labels))
    slope = chances.copy()
    slope[rows, labels] -= 1
    return -np.log(chances[rows, labels]).mean(), slope / len(labels)


def numbers(*shape):
    return RNG.normal(size=shape).astype("float32")


def test_an_autoencoder_has_its_data_for_labels(train):
    net = (
        'layer { name: "data" type: "HDF5Data" top: "data" }'
        + layer("Flatten", "data", "flat")
        + fc("code", "data", 3)
        + fc("out", "code", 8)
        + layer("SigmoidCrossEntropyLoss", "out flat", "ce", "loss_weight: 1")
        + layer("EuclideanLoss", "flat out", "l2", "loss_weight: 0.5")
    )
    model = train(net, shape=(2, 2, 2))
    assert [x.name for x in model.inputs] == ["data"]
    x = RNG.uniform(size=(N, 2, 2, 2)).astype("float32")
    flat = np.moveaxis(x, -1, 1).reshape(N, 8).astype("float64")
    w = matrices(model)
    code = flat @ w["code"].T
    out = code @ w["out"].T
    ce = (np.log1p(np.exp(out)) - flat * out).sum() / N
    l2 = ((out - flat) ** 2).sum() / (2 * N)
    slope = (1 / (1 + np.exp(-out)) - flat) / N + 0.5 * (out - flat) / N
    gradients = {"out": slope.T @ code, "code": (slope @ w["out"]).T @ flat}
    logs = {"ce": ce, "l2": l2, "l2_weighted": 0.5 * l2}
    check(model, x, None, ce + 0.5 * l2, gradients, **logs)
    history = model.fit(x, batch_size=3, verbose=0).history
    assert {"loss", "ce", "l2", "l2_weighted"} == set(history)


SLICED = (
    DATA
    + 'layer { name: "cut" type: "Slice" bottom: "label" top: "a" top: "b"\n'
    + "  slice_param { axis: 1 slice_point: 1 } }\n"
    + 'layer { name: "half" type: "Power" bottom: "b" top: "b"\n'
    + "  power_param { scale: 0.5 } }\n"
    + fc("one", "data", 3)
    + fc("two", "data", 2)
    + layer("SoftmaxWithLoss", "one a", "loss", "loss_weight: 2")
    + layer("EuclideanLoss", "b two", "l2")
)


def sliced():
    x = numbers(N, C)
    labels = np.concatenate([np.arange(N)[:, None] % 3, numbers(N, 2)], axis=1)
    return x, labels.astype("float32")


def check_sliced(model, x, labels, y):
    w, wide = matrices(model), x.astype("float64")
    ce, slope = log_loss(wide @ w["one"].T, labels[:, 0].astype(int))
    gap = wide @ w["two"].T - labels[:, 1:].astype("float64") / 2
    l2 = (gap**2).sum() / (2 * N)
    gradients = {"one": 2 * slope.T @ wide, "two": gap.T @ wide / N}
    logs = {"loss_unweighted": ce, "loss_weighted": 2 * ce, "l2": l2}
    check(model, x, y, 2 * ce + l2, gradients, **logs)


def test_labels_are_sliced_and_scaled(train):
    x, labels = sliced()
    model = train(SLICED)
    assert model.objectives == {"loss": 2, "l2": 1}
    check_sliced(model, x, labels, labels)
    model.reset_metrics()
    check_sliced(model, x, labels, {"label": labels})
    with pytest.raises(ValueError, match=r"label blob, \['label'\]"):
        model.evaluate(x, {"labels": labels}, verbose=0)


def test_what_makes_labels_is_saved_and_cloned(train, tmp_path):
    x, labels = sliced()
    model = train(SLICED)
    model.train_on_batch(x, labels)
    model.save(tmp_path / "m.keras")
    twin = keras.models.load_model(tmp_path / "m.keras")
    twin.reset_metrics()
    check_sliced(twin, x, labels, labels)
    clone = type(model).from_config(model.get_config())
    assert clone.objectives == model.objectives and clone.labels == model.labels
    assert len(clone.weights) == len(model.weights) == 2


def test_both_bottoms_of_a_euclidean_loss_learn(train):
    net = DATA + fc("a", "data", 3) + fc("b", "label", 3)
    model = train(net + layer("EuclideanLoss", "a b", "loss"), shape=PAIR)
    x, z = numbers(N, C), numbers(N, C)
    w = matrices(model)
    gap = x.astype("float64") @ w["a"].T - z.astype("float64") @ w["b"].T
    gradients = {"a": gap.T @ x / N, "b": -gap.T @ z / N}
    check(model, [x, z], None, (gap**2).sum() / (2 * N), gradients)
    assert set(model.predict([x, z], verbose=0)) == {"loss", "b"}


PAIR = {"data": (C,), "label": (C,)}
TEACHER = DATA + fc("a", "data", 3) + fc("b", "label", 3, "param { lr_mult: 0 }")


def test_labels_of_a_frozen_layer_need_no_gradient(train):
    net = TEACHER + layer("ArgMax", "b", "best")
    model = train(net + layer("SoftmaxWithLoss", "a best", "loss"), shape=PAIR)
    x, z = numbers(N, C), numbers(N, C)
    w = matrices(model)
    labels = (z.astype("float64") @ w["b"].T).argmax(1)
    loss, slope = log_loss(x.astype("float64") @ w["a"].T, labels)
    check(model, [x, z], None, loss, {"a": slope.T @ x, "b": 0 * w["b"]})


def test_labels_that_learn_are_refused_and_a_stopped_gradient_is_not(train):
    net = TEACHER.replace(" param { lr_mult: 0 }", "") + layer("ArgMax", "b", "best")
    with pytest.raises(CaffeFormatError, match="'loss'.*labels without a gradient"):
        train(net + layer("SoftmaxWithLoss", "a best", "loss"), shape=PAIR)
    down = "propagate_down: true propagate_down: false"
    model = train(net + layer("SoftmaxWithLoss", "a best", "loss", down), shape=PAIR)
    model = type(model).from_config(model.get_config())
    model.compile(keras.optimizers.SGD(0.1), SoftmaxWithLoss())
    before = matrices(model)
    model.train_on_batch([numbers(N, C), numbers(N, C)])
    np.testing.assert_array_equal(matrices(model)["b"], before["b"])
    assert (matrices(model)["a"] != before["a"]).any()


def test_propagate_down_stops_gradients_of_ordinary_layers(train):
    net = (
        DATA
        + fc("a", "data", 3)
        + fc("b", "a", 2, "propagate_down: false")
        + layer("EuclideanLoss", "b label", "l2")
        + layer("EuclideanLoss", "a aim", "l3")
    ).replace('top: "label"', 'top: "label" top: "aim"')
    model = train(net)
    x, y, aim = numbers(N, C), numbers(N, 2), numbers(N, 3)
    w = matrices(model)
    a = x.astype("float64") @ w["a"].T
    gaps = a @ w["b"].T - y, a - aim
    l2, l3 = ((gap**2).sum() / (2 * N) for gap in gaps)
    gradients = {"a": gaps[1].T @ x / N, "b": gaps[0].T @ a / N}
    check(model, x, {"label": y, "aim": aim}, l2 + l3, gradients, l2=l2, l3=l3)


def test_a_weight_makes_a_loss_of_an_ordinary_layer(train):
    net = (
        DATA.replace(' top: "label"', "")
        + fc("a", "data", 3)
        + layer("AbsVal", "a", "size", "loss_weight: 0.25")
    )
    model = train(net)
    x = numbers(N, C)
    a = x.astype("float64") @ matrices(model)["a"].T
    size = np.abs(a).sum()
    gradients = {"a": 0.25 * np.sign(a).T @ x}
    logs = {"size": size, "size_weighted": size / 4}
    check(model, x, None, size / 4, gradients, **logs)


def test_a_reduction_of_the_whole_batch_is_a_loss_beside_others(train):
    net = (
        DATA
        + fc("a", "data", 3)
        + layer("EuclideanLoss", "a label", "l2")
        + layer("Reduction", "a", "sum", "loss_weight: 0.1 reduction_param { axis: 0 }")
    )
    shapes = f"shape {{ dim: {N} dim: {C} }} shape {{ dim: {N} dim: 3 }}"
    data = f'type: "Input" input_param {{ {shapes} }}'
    model = train(net.replace('type: "HDF5Data"', data), shape={})
    x, y = numbers(N, C), numbers(N, 3)
    a = x.astype("float64") @ matrices(model)["a"].T
    l2, total = ((a - y) ** 2).sum() / (2 * N), a.sum()
    gradients = {"a": ((a - y) / N + 0.1).T @ x}
    logs = {"l2": l2, "sum": total, "sum_weighted": total / 10}
    check(model, x, y, l2 + total / 10, gradients, **logs)


def test_hdf5_data_tells_how_many_items_a_reduction_adds_up(train):
    batch = f"hdf5_data_param {{ batch_size: {N} }} }}"
    net = (
        DATA.replace(" }", f" {batch}")
        + fc("a", "data", 3)
        + layer(
            "Reduction",
            "a",
            "mean",
            "loss_weight: 2 reduction_param { operation: SUMSQ coeff: 0.5 }",
        )
    )
    model = train(net)
    x = numbers(N, C)
    a = x.astype("float64") @ matrices(model)["a"].T
    total = 0.5 * (a * a).sum()
    logs = {"mean": total, "mean_weighted": 2 * total}
    check(model, x, None, 2 * total, {"a": 2 * a.T @ x}, **logs)


def test_a_constant_matrix_of_an_infogain_loss_is_made(train):
    """DummyData beside other data is no label that anybody must give."""
    shape = "shape { dim: 1 dim: 1 dim: 3 dim: 3 }"
    filler = 'data_filler { type: "constant" value: 0.25 }'
    net = (
        DATA
        + f'layer {{ name: "H" type: "DummyData" top: "H" dummy_data_param {{ {shape}'
        + f" {filler} }} }}\n"
        + fc("a", "data", 3)
        + layer("InfogainLoss", "a label H", "loss")
    )
    model = train(net)
    x, y = numbers(N, C), np.arange(N) % 3
    chances = softmax(x.astype("float64") @ matrices(model)["a"].T)
    slope = 0.25 * (3 * chances - 1) / N
    loss = -0.25 * np.log(chances).sum() / N
    check(model, x, y, loss, {"a": slope.T @ x})


def test_a_loss_that_layers_read_is_one_of_them(train, tmp_path):
    net = (
        DATA
        + fc("a", "data", 3)
        + layer("SoftmaxWithLoss", "a label", "ce", "loss_weight: 0")
        + layer("Power", "ce", "square", "loss_weight: 3 power_param { power: 2 }")
    )
    model = train(net, shape={"data": (C,), "label": ()})
    x, y = numbers(N, C), np.arange(N) % 3
    loss, slope = log_loss(x.astype("float64") @ matrices(model)["a"].T, y)
    gradients = {"a": 3 * 2 * loss * slope.T @ x}
    logs = {"ce": loss, "square": loss**2, "square_weighted": 3 * loss**2}
    model.save(tmp_path / "m.keras")
    twin = keras.models.load_model(tmp_path / "m.keras")
    for one in (model, twin):
        check(one, [x, y], None, 3 * loss**2, gradients, **logs)


@pytest.mark.parametrize("shape", [(3, 3), (1, 3, 3, 1)])  # channels last
def test_the_infogain_matrix_may_be_a_bottom(train, shape):
    net = DATA.replace('top: "label"', 'top: "label" top: "H"') + fc("a", "data", 3)
    model = train(net + layer("InfogainLoss", "a label H", "loss"))
    x, y = numbers(N, C), np.arange(N) % 3
    matrix = RNG.uniform(size=(3, 3)).astype("float32")
    a = x.astype("float64") @ matrices(model)["a"].T
    rows, chances = matrix[y].astype("float64"), softmax(a)
    slope = (chances * rows.sum(1, keepdims=True) - rows) / N
    loss = -(rows * np.log(chances)).sum() / N
    labels = {"label": y.reshape(N, 1, 1, 1), "H": matrix.reshape(shape)}
    check(model, x, labels, loss, {"a": slope.T @ x})


@pytest.mark.parametrize("axis", [2, -1])
def test_classes_are_along_any_axis(train, axis):
    net = (
        DATA
        + fc("a", "data", 3).replace("num_output", "axis: 2 num_output")
        + layer(
            "SoftmaxWithLoss", "a label", "loss", f"softmax_param {{ axis: {axis} }}"
        )
        + layer("Accuracy", "a label", "acc", f"accuracy_param {{ axis: {axis} }}")
    )
    model = train(net, shape=(5, C))
    x, y = numbers(N, 5, C), RNG.integers(0, 3, (N, 5))
    a = x.astype("float64").reshape(-1, C) @ matrices(model)["a"].T
    loss, slope = log_loss(a, y.reshape(-1))
    right = (a.argmax(1) == y.reshape(-1)).mean()
    check(model, x, y, loss, {"a": slope.T @ x.reshape(-1, C)}, acc=right)


def test_a_loss_without_weight_is_looked_at(train):
    net = (
        DATA
        + fc("a", "data", 3)
        + layer("SoftmaxWithLoss", "a label", "loss")
        + layer("HingeLoss", "a label", "hinge", "loss_weight: 0")
    )
    model = train(net)
    assert model.objectives == {"loss": 1, "hinge": 0}
    x, y = numbers(N, C), np.arange(N) % 3
    a = x.astype("float64") @ matrices(model)["a"].T
    loss, slope = log_loss(a, y)
    sign = np.where(np.eye(3)[y] == 1, -1, 1)
    hinge = np.maximum(0, 1 + sign * a).sum() / N
    check(model, x, y, loss, {"a": slope.T @ x}, hinge=hinge)


def test_accuracies_of_other_blobs_and_of_classes(train):
    """Of a layer that only the test net has, and of one that no loss reads."""
    test = "include { phase: TEST }"
    net = (
        DATA
        + fc("a", "data", 3)
        + fc("b", "a", 3)
        + layer("SoftmaxWithLoss", "b label", "loss")
        + layer("Softmax", "b", "prob", test)
        + layer("Accuracy", "prob label", "best", f'top: "each" {test}')
        + layer("Accuracy", "a label", "early", test)
    )
    model = train(net)
    x, y = numbers(N, C), np.array([0, 0, 1, 1, 1, 0])
    w = matrices(model)
    a = x.astype("float64") @ w["a"].T
    b = a @ w["b"].T
    right = b.argmax(1) == y
    each = {f"each/{k}": right[y == k].mean() if k < 2 else 0.0 for k in range(3)}
    logs = {"best": right.mean(), "early": (a.argmax(1) == y).mean(), **each}
    loss, slope = log_loss(b, y)
    found = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    assert found == pytest.approx({"loss": loss, **logs}, rel=1e-5)
    model.reset_metrics()
    check(model, x, y, loss, {"b": slope.T @ a}, **logs)
    assert set(model.predict(x, verbose=0)) == {"loss", "a"}


def test_weights_must_be_as_many_as_tops(train):
    net = DATA + fc("a", "data", 3)
    weights = "loss_weight: 1 loss_weight: 2"
    with pytest.raises(CaffeFormatError, match="a loss_weight for each of 1 tops"):
        train(net + layer("EuclideanLoss", "a label", "loss", weights))
