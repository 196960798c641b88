"""Solvers and training nets: what is taken from the files, and what is refused."""

import keras
import numpy as np
import pytest

from keras_caffe_zoo import CaffeFormatError, caffe_params, write_caffemodel
from keras_caffe_zoo.caffe import parse_prototxt
from keras_caffe_zoo.training import CaffeAdam, CaffeSGD, SoftmaxWithLoss, from_solver
from keras_caffe_zoo.training.solver.multipliers import declared

DATA = """
layer { name: "data" type: "Data" top: "data" top: "label"
  include { phase: TRAIN } transform_param { crop_size: 6 mirror: true }
  data_param { batch_size: 4 } }
layer { name: "data" type: "Data" top: "data" top: "label"
  include { phase: TEST } transform_param { crop_size: 6 }
  data_param { batch_size: 2 } }
"""
BODY = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 0 } param { lr_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "fc" type: "InnerProduct" bottom: "conv1" top: "fc"
  param { lr_mult: 10 decay_mult: 1 } param { lr_mult: 20 decay_mult: 0 }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
"""
LOSS = """
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "top2" type: "Accuracy" bottom: "fc" bottom: "label" top: "top2"
  include { phase: TEST } accuracy_param { top_k: 2 } }
"""
SGD = 'base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005 max_iter: 20'
RNG = np.random.default_rng(5)
X = RNG.standard_normal((8, 6, 6, 3)).astype("float32")
Y = np.arange(8) % 3


def write(folder, net=DATA + BODY + LOSS, solver=SGD, place='net: "net.prototxt"'):
    (folder / "net.prototxt").write_text(f'name: "tiny" {net}')
    path = folder / "solver.prototxt"
    path.write_text(f"{place} {solver}")
    return path


def test_everything_a_solver_says_is_taken(tmp_path):
    solver = SGD + (
        " test_iter: 5 test_interval: 10 snapshot: 7 iter_size: 2 "
        'snapshot_prefix: "models/tiny/tiny_train" snapshot_after_train: false'
    )
    training = from_solver(write(tmp_path, solver=solver))
    assert isinstance(training.optimizer, CaffeSGD)
    assert training.model.optimizer is training.optimizer
    assert training.optimizer.momentum == pytest.approx(0.9)
    assert training.optimizer.weight_decay == pytest.approx(0.0005)
    assert training.iterations == 20 and training.iter_size == 2
    assert training.test_interval == 10 and training.test_iterations == (5,)
    assert training.snapshot_interval == 7 and not training.snapshot_after_train
    assert training.snapshot_name == "tiny_train"
    assert training.net.name == "tiny"


def test_multipliers_freeze_layers_and_reach_the_optimizer(tmp_path):
    training = from_solver(write(tmp_path))
    model = training.model
    assert not model.get_layer("conv1").trainable
    assert training.optimizer.multipliers == {"fc/kernel": (10, 1), "fc/bias": (20, 0)}
    before = caffe_params(model)["conv1"]
    model.train_on_batch(X, Y)
    for a, b in zip(caffe_params(model)["conv1"], before, strict=True):
        np.testing.assert_array_equal(a, b)


SHARED = """
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" PARAM_A }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" PARAM_B }
"""


def shared(a, b):
    text = SHARED.replace("PARAM_A", a).replace("PARAM_B", b)
    return declared(parse_prototxt(text))


def test_a_shared_parameter_has_the_multipliers_that_are_given_first():
    found = shared(
        'param { name: "w" } param { name: "b" lr_mult: 2 }',
        'param { name: "w" lr_mult: 0.5 decay_mult: 3 } param { name: "b" }',
    )
    assert found == {name: [(0.5, 3), (2, 1)] for name in "ab"}
    same = 'param { name: "w" lr_mult: 2 }'
    assert shared(same, same) == {name: [(2, 1)] for name in "ab"}
    assert shared(same, "param { lr_mult: 3 }")["b"] == [(3, 1)]


@pytest.mark.parametrize("field", ["lr_mult", "decay_mult"])
def test_layers_that_share_a_parameter_agree_on_it(field):
    with pytest.raises(CaffeFormatError, match="Expected 2, as .* 'w'") as caught:
        shared(*(f'param {{ name: "w" {field}: {n} }}' for n in (2, 3)))
    assert f"param.{field}" in str(caught.value)
    assert "'b'" in str(caught.value)


def test_the_loss_is_the_mean_log_likelihood_of_the_labels(tmp_path):
    model = from_solver(write(tmp_path)).model
    scores = model.predict(X, verbose=0).astype("float64")
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = -np.log(chances[np.arange(8), Y]).mean()
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    better = (scores > scores[np.arange(8), Y][:, None]).sum(1)
    assert found["top2"] == pytest.approx((better < 2).mean())


@pytest.mark.parametrize(
    "place", ['net: "models/tiny/net.prototxt"', 'train_net: "C:\\\\x\\\\net.prototxt"']
)
def test_the_net_is_found_beside_the_solver(tmp_path, place):
    assert from_solver(write(tmp_path, place=place)).model.name == "tiny"


def test_a_net_inside_the_solver(tmp_path):
    place = f'net_param {{ name: "inside" {DATA + BODY + LOSS} }}'
    assert from_solver(write(tmp_path, place=place)).model.name == "inside"


def test_paths_in_a_solver_are_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.prototxt").write_text(DATA + BODY + LOSS)
    solver = write(tmp_path, place=f'net: "{elsewhere}/far.prototxt"')
    with pytest.raises(FileNotFoundError, match="net=…"):
        from_solver(solver)
    assert from_solver(solver, net=elsewhere / "far.prototxt").model.count_params()


def test_a_model_in_place_of_the_net_takes_its_multipliers(tmp_path):
    image = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, name="conv1")(image)
    x = keras.layers.Dense(3, name="fc")(keras.layers.Flatten()(x))
    model = keras.Model(image, keras.layers.Softmax(name="prob")(x))
    training = from_solver(write(tmp_path), model)
    assert training.model is model and not model.get_layer("conv1").trainable
    assert training.optimizer.multipliers["fc/bias"] == (20, 0)
    chances = model.predict(X, verbose=0).astype("float64")
    expected = -np.log(chances[np.arange(8), Y]).mean()
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(expected, rel=1e-5)


def test_a_model_without_the_net_is_told_of(tmp_path):
    solver = write(tmp_path, place='net: "lost.prototxt"')
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.warns(UserWarning, match="lr_mult"):
        training = from_solver(solver, model)
    assert training.optimizer.multipliers == {}


SECOND = """
layer { name: "aux/fc" type: "InnerProduct" bottom: "conv1" top: "aux/fc"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "aux/loss" type: "SoftmaxWithLoss" bottom: "aux/fc" bottom: "label"
  top: "aux/loss" loss_weight: 0.3 }
"""


def test_several_losses_share_the_labels_and_are_weighted(tmp_path):
    model = from_solver(write(tmp_path, DATA + BODY + SECOND + LOSS)).model
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    parts = model.predict(X, verbose=0)
    loss = SoftmaxWithLoss()
    aux, main = (float(loss(Y, parts[name])) for name in ("aux/loss", "loss"))
    assert found["loss"] == pytest.approx(0.3 * aux + main, rel=1e-5)
    by_blob = model.evaluate(X, {"label": Y}, verbose=0, return_dict=True)
    assert by_blob == found
    by_loss = model.evaluate(X, {"aux/loss": Y, "loss": Y}, verbose=0, return_dict=True)
    assert by_loss == found
    with pytest.raises(ValueError, match="label blob"):
        model.evaluate(X, {"labels": Y}, verbose=0)


@pytest.mark.slow
def test_a_net_with_several_losses_saves_and_loads(tmp_path):
    model = from_solver(write(tmp_path, DATA + BODY + SECOND + LOSS)).model
    model.train_on_batch(X, Y)
    model.save(tmp_path / "m.keras")
    twin = keras.models.load_model(tmp_path / "m.keras")
    for _ in range(3):
        np.testing.assert_array_equal(
            twin.train_on_batch(X, Y), model.train_on_batch(X, Y)
        )


SIAMESE = """
layer { name: "pair" type: "Input" top: "data" top: "other" top: "sim"
  input_param { shape { dim: 4 dim: 5 } shape { dim: 4 dim: 5 } shape { dim: 4 } } }
layer { name: "feat" type: "InnerProduct" bottom: "data" top: "feat"
  param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "feat_p" type: "InnerProduct" bottom: "other" top: "feat_p"
  param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "ContrastiveLoss" bottom: "feat" bottom: "feat_p"
  bottom: "sim" top: "loss" contrastive_loss_param { margin: 1.5 } }
"""


def test_a_siamese_net_shares_and_trains(tmp_path):
    model = from_solver(write(tmp_path, SIAMESE)).model
    a, b = RNG.standard_normal((2, 6, 5)).astype("float32")
    same = np.array([1, 0, 1, 0, 0, 1], "float32")
    w, bias = caffe_params(model)["feat"]
    gap = np.linalg.norm((a - b) @ w.T.astype("float64"), axis=1)
    losses = np.where(same == 1, gap**2, np.maximum(1.5 - gap, 0) ** 2)
    found = model.evaluate([a, b], same, verbose=0)
    assert found == pytest.approx(losses.sum() / 12, rel=1e-5)
    model.train_on_batch([a, b], same)
    params = caffe_params(model)
    np.testing.assert_array_equal(params["feat"][0], params["feat_p"][0])


def test_parameters_start_from_a_caffemodel_where_it_has_them(tmp_path):
    conv = RNG.standard_normal((4, 3, 3, 3)).astype("float32")
    bias = RNG.standard_normal(4).astype("float32")
    other = np.zeros((1, 1), "float32")
    write_caffemodel(tmp_path / "w.caffemodel", {"conv1": [conv, bias], "no": [other]})
    training = from_solver(write(tmp_path), weights=tmp_path / "w.caffemodel")
    params = caffe_params(training.model)
    np.testing.assert_array_equal(params["conv1"][0], conv)
    assert training.loaded == ("conv1",)
    assert 0.05 < params["fc"][0].std() < 0.2  # from its filler


def test_the_solvers_seed_makes_the_start_the_same(tmp_path):
    solver = write(tmp_path, solver=SGD + " random_seed: 4")
    first, second = (caffe_params(from_solver(solver).model) for _ in range(2))
    np.testing.assert_array_equal(first["fc"][0], second["fc"][0])


NORM = """
layer { name: "bn" type: "BatchNorm" bottom: "conv1" top: "conv1" }
"""


def test_batch_norm_takes_the_batch_in_training_and_its_sums_in_tests(tmp_path):
    net = DATA + BODY.replace('layer { name: "fc"', NORM + 'layer { name: "fc"') + LOSS
    model = from_solver(write(tmp_path, net)).model
    before = model.evaluate(X, Y, verbose=0)[0]  # all sums are 0: no mean, no variance
    model.train_on_batch(X, Y)
    sums = caffe_params(model)["bn"]
    conv = keras.Model(model.input, model.get_layer("conv1").output)(X)
    np.testing.assert_allclose(sums[0], np.mean(conv, (0, 1, 2)), atol=1e-5)
    assert sums[2] == 1
    assert model.evaluate(X, Y, verbose=0)[0] != pytest.approx(before)


def test_adam_takes_its_moments(tmp_path):
    solver = 'type: "Adam" base_lr: 1e-3 lr_policy: "fixed" max_iter: 2 momentum: 0.8 '
    solver += "momentum2: 0.95 delta: 1e-4"
    optimizer = from_solver(write(tmp_path, solver=solver)).optimizer
    assert isinstance(optimizer, CaffeAdam)
    moments = (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon)
    assert moments == pytest.approx((0.8, 0.95, 1e-4))


def test_an_old_solver_type_is_understood(tmp_path):
    solver = SGD.replace("momentum: 0.9", "solver_type: ADAGRAD")
    optimizer = from_solver(write(tmp_path, solver=solver)).optimizer
    assert type(optimizer).__name__ == "CaffeAdaGrad"


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        ('base_lr: 0.1 lr_policy: "plateau" max_iter: 2', "lr_policy.*plateau"),
        ('base_lr: 0.1 lr_policy: "step" gamma: 0.1 max_iter: 2', "stepsize"),
        ('base_lr: 0.1 lr_policy: "fixed"', "max_iter"),
        (SGD + ' type: "LBFGS"', "'type'.*LBFGS"),
        (SGD + ' type: "AdaGrad"', "momentum.*AdaGrad"),
        (SGD + ' type: "RMSProp"', "momentum.*RMSProp"),
        (SGD + ' regularization_type: "L0"', "regularization_type"),
        (SGD + " iter_size: 0", "iter_size"),
        (SGD + " larc: true", "larc"),
        (SGD + ' layer { name: "x" }', "definition of a net"),
        (SGD + ' train_net: "net.prototxt"', "one of net"),
    ],
)
def test_what_a_solver_cannot_mean_is_refused(tmp_path, solver, words):
    with pytest.raises(CaffeFormatError, match=words):
        from_solver(write(tmp_path, solver=solver))


@pytest.mark.parametrize(("clip", "left"), [("0", 0), ("-3", 1)])
def test_clipping_to_0_leaves_the_decay_alone_and_below_0_clips_nothing(
    tmp_path, clip, left
):
    solver = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 2 weight_decay: 0.5 '
    training = from_solver(write(tmp_path, solver=f"{solver} clip_gradients: {clip}"))
    before = caffe_params(training.model)["fc"][0].astype("float64")  # lr_mult: 10
    training.model.train_on_batch(X, Y)
    after = caffe_params(training.model)["fc"][0]
    moved = np.abs(after - before * (1 - 10 * 0.1 * 0.5)).max()
    assert (moved > 1e-4) == left


LEARNED = """
layer { name: "two" type: "SoftmaxWithLoss" bottom: "fc" bottom: "fc" top: "two" }
"""
OVERWRITTEN = """
layer { name: "late" type: "ReLU" bottom: "fc" top: "fc" }
"""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", "a loss.*received none"),
        (LOSS + OVERWRITTEN, "'loss'.*overwrites"),
        (LEARNED, "'two'.*labels without a gradient"),
        (
            LOSS.replace('bottom: "label" top: "loss"', 'top: "loss"'),
            "'loss'.*2 bottoms",
        ),
        (
            LOSS.replace('top: "loss"', 'top: "loss" loss_param { by_freq: true }', 1),
            "by_freq",
        ),
    ],
)
def test_what_cannot_be_trained_the_same_way_is_refused(tmp_path, more, words):
    with pytest.raises(CaffeFormatError, match=words):
        from_solver(write(tmp_path, DATA + BODY + more))


def test_fields_of_forks_in_multipliers_are_refused(tmp_path):
    body = BODY.replace("lr_mult: 10", "lr_mult: 10 lars_mult: 2")
    with pytest.raises(CaffeFormatError, match="lars_mult"):
        from_solver(write(tmp_path, DATA + body + LOSS))


def test_a_metric_of_what_the_model_does_not_compute_is_told_of(tmp_path):
    more = LOSS.replace(
        'bottom: "fc" bottom: "label" top: "top2"',
        'bottom: "late" bottom: "label" top: "top2"',
    )
    late = BODY[BODY.index('layer { name: "fc"') :].replace('"fc"', '"late"')
    late = late.replace('top: "late"', 'top: "late" include { phase: TEST }')
    with pytest.warns(UserWarning, match="'top2' of 'late', 'label'"):
        from_solver(write(tmp_path, DATA + BODY + late + more))


def test_metrics_of_one_name_that_differ_are_told_of(tmp_path):
    in_both = LOSS.replace("include { phase: TEST }", "")
    assert in_both != LOSS
    from_solver(write(tmp_path, DATA + BODY + in_both))
    other = LOSS[LOSS.index('layer { name: "top2"') :]
    other = other.replace("TEST", "TRAIN").replace("top_k: 2", "top_k: 1")
    with pytest.warns(UserWarning, match="'top2' each.*the test net's"):
        from_solver(write(tmp_path, DATA + BODY + LOSS + other))


def test_fit_trains_as_long_as_the_solver_and_snapshots(tmp_path):
    import tensorflow as tf

    solver = SGD.replace("20", "23") + " snapshot: 10 test_interval: 5 test_iter: 2"
    training = from_solver(write(tmp_path, solver=solver))
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    snapshots = training.snapshots(tmp_path / "out")
    history = training.fit(data, data, callbacks=[snapshots], verbose=0)
    assert int(training.optimizer.iterations) == 23
    assert len(history.history["val_loss"]) == 5  # after 5, 10, 15, 20 and 23
    names = {p.name for p in (tmp_path / "out").iterdir()}
    kinds = ("caffemodel", "solverstate")
    assert names == {f"tiny_iter_{n}.{kind}" for n in (10, 20, 23) for kind in kinds}


@pytest.mark.slow  # three models and a dataset
def test_arrays_are_data_in_batches_of_the_nets(tmp_path):
    """Of 8 items: batches of 3 of them run over the end."""
    net = (DATA + BODY + LOSS).replace("batch_size: 4", "batch_size: 3")
    path = write(tmp_path, net.replace("crop_size: 6 mirror: true", "crop_size: 0"))
    training = from_solver(path, data=(X, Y), seed=1)
    twin = from_solver(path, input_shape=X.shape[1:], seed=1)
    assert training.model.input_shape == (None, *X.shape[1:])
    training.fit(iterations=2, verbose=0)
    training.fit(iterations=4, verbose=0)  # goes on where it is
    for at in range(4):
        rows = np.arange(3 * at, 3 * at + 3) % 8
        twin.model.train_on_batch(X[rows], Y[rows])
    for name, blobs in caffe_params(twin.model).items():
        found = caffe_params(training.model)[name]
        for a, b in zip(found, blobs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match=r"as many items each; received: \[7, 8\]"):
        from_solver(path, data=(X, Y[:7]))


def test_stages_of_the_solver_choose_layers(tmp_path):
    body = BODY.replace('top: "fc"\n', 'top: "fc" include { stage: "on" }\n')
    with pytest.raises(CaffeFormatError, match="'fc'"):
        from_solver(write(tmp_path, DATA + body + LOSS))
    solver = SGD + ' train_state { stage: "on" } test_state { stage: "on" }'
    model = from_solver(write(tmp_path, DATA + body + LOSS, solver=solver)).model
    assert model.get_layer("fc").units == 3


def test_a_test_net_of_its_own_gives_the_metrics(tmp_path):
    (tmp_path / "test.prototxt").write_text(DATA + BODY + LOSS)
    bare = LOSS.split('layer { name: "top2"')[0]
    place = 'train_net: "net.prototxt" test_net: "test.prototxt" test_iter: 1'
    training = from_solver(write(tmp_path, DATA + BODY + bare, place=place))
    found = training.model.evaluate(X, Y, verbose=0, return_dict=True)
    assert set(found) == {"loss", "top2"}
    (tmp_path / "test.prototxt").unlink()
    with pytest.warns(UserWarning, match="no metrics"):
        from_solver(tmp_path / "solver.prototxt")


def test_a_caffemodel_that_the_solver_names_is_told_of(tmp_path):
    solver = write(tmp_path, solver=SGD + ' weights: "/etc/net.caffemodel"')
    with pytest.warns(UserWarning, match="weights=…"):
        from_solver(solver)
