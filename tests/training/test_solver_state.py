"""Trainings go on from a solver's state, as Caffe's formulas do in NumPy, float64.

The states are protobuf written by hand, and what we write is taken apart by hand.
"""

import keras
import numpy as np
import pytest
from support import GOLDENS, relative_error

from keras_caffe_zoo import (
    CaffeFormatError,
    caffe_params,
    from_caffe,
    read_caffemodel,
    read_solverstate,
    set_caffe_params,
    write_caffemodel,
    write_solverstate,
)
from keras_caffe_zoo.caffe import read_net
from keras_caffe_zoo.training import CaffeSnapshot, from_solver

NET = """
name: "little"
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 4 dim: 2 dim: 2 dim: 3 } shape { dim: 4 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 0 } param { lr_mult: 0 }
  convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 5 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
SOLVERS = {
    "SGD": 'momentum: 0.9 lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 4',
    "Nesterov": 'momentum: 0.8 lr_policy: "step" gamma: 0.5 stepsize: 2 iter_size: 2',
    "AdaGrad": 'delta: 1e-4 lr_policy: "inv" gamma: 0.1 power: 0.75',
    "RMSProp": 'rms_decay: 0.9 delta: 1e-4 lr_policy: "exp" gamma: 0.9',
    "AdaDelta": 'momentum: 0.9 delta: 1e-3 lr_policy: "fixed"',
    "Adam": 'momentum: 0.9 momentum2: 0.99 delta: 1e-4 lr_policy: "fixed" iter_size: 2',
}
RATES = {  # of iteration t, as Caffe's policies have them
    "SGD": lambda t: 0.1 * 0.5 ** ((t >= 2) + (t >= 4)),
    "Nesterov": lambda t: 0.1 * 0.5 ** (t // 2),
    "AdaGrad": lambda t: 0.1 * (1 + 0.1 * t) ** -0.75,
    "RMSProp": lambda t: 0.1 * 0.9**t,
    "AdaDelta": lambda t: 0.1,
    "Adam": lambda t: 0.1,
}
STEPS = {"SGD": {3: 1, 6: 2}, "Nesterov": {3: 1, 6: 2}}  # current_step after so many
PASSES = {"Nesterov": 2, "Adam": 2}
RNG = np.random.default_rng(4)
X = RNG.normal(size=(18, 4, 2, 2, 3))  # batches of images (C, H, W)
T = RNG.normal(size=(18, 4, 5))
CONV = [RNG.normal(size=(3, 2, 1, 1)), RNG.normal(size=3)]
FC = [RNG.normal(size=(5, 18)) / 4, RNG.normal(size=5)]


class Reference:
    """One of Caffe's solvers on the little net, in float64."""

    def __init__(self, kind):
        self.kind, self.iteration = kind, 0
        self.params = [p.copy() for p in FC]
        count = 4 if kind in ("Adam", "AdaDelta") else 2
        self.history = [np.zeros_like(FC[i % 2]) for i in range(count)]

    def gradients(self):
        passes, sums = PASSES.get(self.kind, 1), [0.0, 0.0]
        for batch in range(self.iteration * passes, (self.iteration + 1) * passes):
            conv = np.einsum("oc,nchw->nohw", CONV[0][:, :, 0, 0], X[batch])
            flat = (conv + CONV[1][:, None, None]).reshape(len(conv), -1)
            error = (flat @ self.params[0].T + self.params[1] - T[batch]) / len(conv)
            sums = [sums[0] + error.T @ flat, sums[1] + error.sum(0)]
        decay = (0.01, 0.0)
        pairs = zip(sums, decay, self.params, strict=True)
        return [g / passes + d * p for g, d, p in pairs]

    def train(self, iterations):
        for _ in range(iterations):
            rate = RATES[self.kind](self.iteration)
            for i, g in enumerate(self.gradients()):
                update = getattr(self, self.kind.lower())(i, g, rate * (1, 2)[i])
                self.params[i] = self.params[i] - update
            self.iteration += 1
        return self

    def sgd(self, i, g, rate):
        self.history[i] = 0.9 * self.history[i] + rate * g
        return self.history[i]

    def nesterov(self, i, g, rate):
        before = self.history[i]
        self.history[i] = 0.8 * before + rate * g
        return 1.8 * self.history[i] - 0.8 * before

    def adagrad(self, i, g, rate):
        self.history[i] = self.history[i] + g**2
        return rate * g / (np.sqrt(self.history[i]) + 1e-4)

    def rmsprop(self, i, g, rate):
        self.history[i] = 0.9 * self.history[i] + 0.1 * g**2
        return rate * g / (np.sqrt(self.history[i]) + 1e-4)

    def adadelta(self, i, g, rate):
        squares, updates = self.history[i], self.history[i + 2]
        squares = 0.9 * squares + 0.1 * g**2
        update = g * np.sqrt((updates + 1e-3) / (squares + 1e-3))
        self.history[i], self.history[i + 2] = squares, 0.9 * updates + 0.1 * update**2
        return rate * update

    def adam(self, i, g, rate):
        mean = 0.9 * self.history[i] + 0.1 * g
        square = 0.99 * self.history[i + 2] + 0.01 * g**2
        self.history[i], self.history[i + 2] = mean, square
        t = self.iteration + 1
        correction = np.sqrt(1 - 0.99**t) / (1 - 0.9**t)
        return rate * correction * mean / (np.sqrt(square) + 1e-4)


def varint(value):
    out = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def sub(field, payload):
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def blob(array):
    dims = b"".join(varint(n) for n in np.shape(array))
    return sub(7, sub(1, dims)) + sub(5, np.asarray(array, "<f4").tobytes())


def fields(data):
    """Return (field, value) of a serialized message, numbers and bytes."""
    found, at = [], 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            at += 1
            value |= (data[at - 1] & 127) << shift
            shift += 7
            if data[at - 1] < 128:
                return value

    while at < len(data):
        tag = number()
        value = number()
        if tag & 7 == 2:
            value, at = data[at : at + value], at + value
        found.append((tag >> 3, value))
    return found


def array(message):
    parts = dict(fields(message))
    dims = list(fields(parts[7])[0][1])
    return np.frombuffer(parts[5], "<f4").reshape(dims)


def snapshot(folder, reference, name="little_iter_3.caffemodel"):
    """Write what Caffe would, byte by byte; return the state's path."""
    model = b""
    for layer, params in (("conv", CONV), ("fc", reference.params)):
        blobs = b"".join(sub(7, blob(x)) for x in params)
        model += sub(100, sub(1, layer.encode()) + blobs)
    (folder / name).write_bytes(model)
    t, kind = reference.iteration, reference.kind
    data = varint(8) + varint(t) + sub(2, b"/elsewhere/" + name.encode())
    for at in range(0, len(reference.history), 2):
        # Caffe keeps something of frozen parameters too: their decay.
        kept = [np.full_like(x, 7) for x in CONV] + reference.history[at : at + 2]
        data += b"".join(sub(3, blob(x)) for x in kept)
    path = folder / "little_iter_3.solverstate"
    path.write_bytes(data + varint(32) + varint(STEPS.get(kind, {}).get(t, 0)))
    return path


def write(folder, kind, net=NET):
    (folder / "net.prototxt").write_text(net)
    settings = f'net: "net.prototxt" type: "{kind}" base_lr: 0.1 weight_decay: 0.01'
    path = folder / "solver.prototxt"
    path.write_text(f"{settings} max_iter: 20 {SOLVERS[kind]}")
    return path


def train(training, first, last):
    training.model.run_eagerly = True  # quicker than a graph, for so few batches
    for batch in range(first, last):
        x = X[batch].transpose(0, 2, 3, 1).astype("float32")
        training.model.train_on_batch(x, T[batch].astype("float32"))


def written(training, folder, **options):
    """Write a snapshot as `fit` does; return the paths of state and caffemodel."""
    callback = training.snapshots(folder, at_end=True, **options)
    callback.set_model(training.model)
    callback.on_train_begin()
    callback.on_train_end()
    now = int(training.optimizer.iterations)
    return callback.state_path(now), callback.path(now)


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_training_goes_on_where_caffe_was_and_caffe_where_we_are(tmp_path, kind):
    passes = PASSES.get(kind, 1)
    reference = Reference(kind).train(3)
    state = snapshot(tmp_path, reference)
    training = from_solver(write(tmp_path, kind), snapshot=state)
    assert int(training.optimizer.iterations) == 3
    assert set(training.loaded) == {"conv", "fc"}
    train(training, 3 * passes, 6 * passes)
    reference.train(3)
    for ours, theirs in zip(
        caffe_params(training.model)["fc"], reference.params, strict=True
    ):
        assert relative_error(ours, theirs.astype("float32")) <= 1e-6

    state, model = written(training, tmp_path / "out")
    with open(state, "rb") as file:
        found = fields(file.read())
    assert [field for field, _ in found] == [1, 2, *[3] * (len(found) - 3), 4]
    (_, iteration), (_, name), *blobs, (_, step) = found
    assert (iteration, name) == (6, model.encode())
    assert step == STEPS.get(kind, {}).get(6, 0)
    history = [array(value) for _, value in blobs]
    shapes = [(3, 2, 1, 1), (3,), (5, 18), (5,)]
    assert [x.shape for x in history] == shapes * (len(history) // 4)
    for at, theirs in enumerate(reference.history):
        ours = history[at // 2 * 4 + 2 + at % 2]
        assert relative_error(ours, theirs.astype("float32")) <= 2e-6
    assert not any(x.any() for at, x in enumerate(history) if at % 4 < 2)

    resumed = Reference(kind)
    resumed.iteration, resumed.params = 6, read_caffemodel(model)["fc"]
    resumed.history = [x for at, x in enumerate(history) if at % 4 > 1]
    resumed.train(3), reference.train(3)
    for ours, theirs in zip(resumed.params, reference.params, strict=True):
        assert relative_error(ours, theirs) <= 2e-6


@pytest.fixture(scope="module")
def caffes_batches():
    with np.load(GOLDENS / "solvers" / "data.npz") as arrays:
        arrays = dict(arrays)
    start = {}
    for key in arrays:
        if key.startswith("init/"):
            start.setdefault(key.split("/")[1], []).append(arrays[key])
    return arrays["data"].transpose(0, 1, 3, 4, 2), arrays["label"], start


CASES = sorted(p.stem for p in (GOLDENS / "solvers").glob("*.npz") if p.stem != "data")


@pytest.mark.parametrize("form", ["HDF5", "BINARYPROTO"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_snapshots_lead_to_what_real_caffe_reached(
    tmp_path, caffes_batches, case, form
):
    images, labels, start = caffes_batches
    path = GOLDENS / "solvers" / f"{case}.prototxt"
    training = from_solver(path)
    set_caffe_params(training.model, start)
    for i in range(10):
        training.model.train_on_batch(images[i], labels[i])
    state, _ = written(training, tmp_path, snapshot_format=form)
    resumed = from_solver(path, snapshot=state)
    for i in range(10, 40):
        training.model.train_on_batch(images[i], labels[i])
        resumed.model.train_on_batch(images[i], labels[i])
    with np.load(path.with_suffix(".npz")) as expected:
        for layer, blobs in caffe_params(resumed.model).items():
            for i, x in enumerate(blobs):
                wanted = expected[f"iter40/{layer}/{i}"]
                assert relative_error(x, wanted) <= 1e-4, (layer, i)
    pairs = zip(
        values(training.model.weights), values(resumed.model.weights), strict=True
    )
    for a, b in pairs:  # what was interrupted is what was not, to the last bit
        np.testing.assert_array_equal(a, b)


WIDE = """
name: "wide"
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 4 dim: 2 dim: 2 dim: 3 } shape { dim: 4 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 1 group: 2
    weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "scale"
  scale_param { bias_term: true } }
layer { name: "ip1" type: "InnerProduct" bottom: "scale" top: "ip1"
  inner_product_param { num_output: 6 transpose: true
    weight_filler { type: "xavier" } } }
layer { name: "a" type: "InnerProduct" bottom: "ip1" top: "a" param { name: "w" }
  param { name: "b" lr_mult: 2 }
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
  param { lr_mult: 0 } inner_product_param { num_output: 6 } }
layer { name: "c" type: "InnerProduct" bottom: "b" top: "c" param { name: "w" }
  param { name: "b" lr_mult: 2 } inner_product_param { num_output: 6 } }
layer { name: "slope" type: "PReLU" bottom: "c" top: "c"
  prelu_param { channel_shared: true } }
layer { name: "out" type: "InnerProduct" bottom: "c" top: "out"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "out" bottom: "label" top: "loss" }
"""
# Of each parameter that a layer owns, in the order of Caffe's net.learnable_params().
SHAPES = [
    *[(4, 1, 1, 1), (4,)],  # conv
    *[(4,), (4,), (1,)],  # bn
    *[(4,), (4,)],  # scale
    *[(24, 6), (6,)],  # ip1, transposed
    *[(6, 6), (6,)],  # a
    (6,),  # b's bias
    (),  # slope
    *[(5, 6), (5,)],  # out
]


@pytest.mark.parametrize(
    "kind, form",
    [
        ("SGD", "HDF5"),
        pytest.param("Adam", "BINARYPROTO", marks=pytest.mark.slow),
        pytest.param("Nesterov", "BINARYPROTO", marks=pytest.mark.slow),
        pytest.param("AdaDelta", "HDF5", marks=pytest.mark.slow),
    ],
)
def test_all_kinds_of_parameters_have_their_place(tmp_path, kind, form):
    passes = PASSES.get(kind, 1)
    solver = write(tmp_path, kind, WIDE)
    training = from_solver(solver)
    train(training, 0, 3 * passes)
    state, model = written(training, tmp_path / "out", snapshot_format=form)
    found = read_solverstate(state)
    sets = len(found.history) // len(SHAPES)
    assert [x.shape for x in found.history] == SHAPES * sets
    own = {f"{i}": x for i, x in enumerate(found.history)}
    zeros = {i for i, x in own.items() if not x.any()}
    assert zeros == {"2", "3", "4", "11"} | {
        str(len(SHAPES) + i) for i in (2, 3, 4, 11) if sets == 2
    }
    params = caffe_params(training.model)
    (ip1,) = (x for x in read_net(model, gaps=True).layers if x.name == "ip1")
    np.testing.assert_array_equal(ip1.blobs[0], params["ip1"][0].T)
    twin = from_caffe(tmp_path / "net.prototxt", model, phase="TRAIN")
    for name, blobs in caffe_params(twin).items():
        for a, b in zip(blobs, params[name], strict=True):
            np.testing.assert_array_equal(a, b)
    keras.utils.set_random_seed(77)
    resumed = from_solver(solver, snapshot=state)
    train(training, 3 * passes, 6 * passes)
    train(resumed, 3 * passes, 6 * passes)
    for a, b in zip(
        values(training.model.weights), values(resumed.model.weights), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert len(resumed.model.weights) == len(SHAPES)


@pytest.fixture
def little(tmp_path):
    """A training, and the state that Caffe would have written of it after three."""
    training = from_solver(write(tmp_path, "SGD"))
    return training, snapshot(tmp_path, Reference("SGD").train(3))


def values(variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def weights_of(training):
    return values([*training.model.weights, *training.optimizer.momentums])


def assert_untouched(training, before):
    assert int(training.optimizer.iterations) == 0
    for a, b in zip(values(training.model.weights), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_caffemodel_is_looked_for_beside_the_state_alone(little, tmp_path):
    training, state = little
    (tmp_path / "elsewhere").mkdir()
    model = tmp_path / "little_iter_3.caffemodel"
    moved = model.rename(tmp_path / "elsewhere" / "m")
    whole = read_solverstate(state)
    for name in (whole.learned_net, str(moved), "elsewhere/m", "..", "a\\..", ""):
        whole.learned_net = name
        write_solverstate(state, whole)
        with pytest.raises(FileNotFoundError, match="beside .*Pass weights="):
            training.restore(state)
    training.restore(state, weights=moved)
    assert int(training.optimizer.iterations) == 3


@pytest.mark.parametrize("count", [3, 5, 8])
def test_another_solvers_history_is_refused_whole(little, count):
    training, state = little
    before = values(training.model.weights)
    whole = read_solverstate(state)
    whole.history = (whole.history * 2)[:count]
    write_solverstate(state, whole)
    match = f"history of 4 arrays, 1 for each of 4 parameters.*received: {count}"
    with pytest.raises(CaffeFormatError, match=match):
        training.restore(state)
    assert_untouched(training, before)


def test_another_nets_snapshot_is_refused_whole(little, tmp_path):
    training, state = little
    before = values(training.model.weights)
    whole = read_solverstate(state)
    whole.history[2] = np.zeros((5, 17), "float32")
    write_solverstate(state, whole)
    with pytest.raises(CaffeFormatError, match=r"'fc'.*\(5, 18\).*\(5, 17\)"):
        training.restore(state)
    other = tmp_path / "other.caffemodel"
    write_caffemodel(other, {"conv": [x.astype("float32") for x in CONV]})
    with pytest.raises(CaffeFormatError, match="none for: 'fc'"):
        training.restore(state, weights=other)
    assert_untouched(training, before)


def test_old_files_have_four_axes(little):
    training, state = little
    whole = read_solverstate(state)
    data = varint(8) + varint(3) + sub(2, b"little_iter_3.caffemodel")
    for x in whole.history:
        dims = (1,) * (4 - x.ndim) + x.shape
        legacy = b"".join(varint(i << 3) + varint(n) for i, n in enumerate(dims, 1))
        data += sub(3, legacy + sub(5, x.tobytes()))
    training.restore(state)
    expected = weights_of(training)
    state.write_bytes(data)
    training.restore(state)
    for a, b in zip(weights_of(training), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "step, rates",
    [
        (1, [0.05, 0.025, 0.025]),  # as the solver's own values have it
        (0, [0.05, 0.025, 0.025]),  # a step at once, and one in the next iteration
        (2, [0.025, 0.025, 0.025]),
        (3, [0.1 / 8] * 3),
    ],
)
def test_steps_are_counted_from_the_states_own(little, step, rates):
    training, state = little
    whole = read_solverstate(state)
    whole.current_step = step
    write_solverstate(state, whole)
    training.restore(state)
    policy = training.optimizer._learning_rate
    found = [float(policy(t)) for t in (3, 4, 5)]
    np.testing.assert_allclose(found, rates, rtol=1e-6)


def test_more_steps_than_iterations_are_refused(little):
    training, state = little
    whole = read_solverstate(state)
    whole.current_step = 4
    write_solverstate(state, whole)
    with pytest.raises(CaffeFormatError, match="at most 3 steps .* received: 4"):
        training.restore(state)


def test_a_state_as_weights_is_told_from_a_damaged_file(little, tmp_path):
    _, state = little
    with pytest.raises(CaffeFormatError, match=r"solverstate.*snapshot="):
        from_solver(tmp_path / "solver.prototxt", weights=state)


def test_the_solver_says_in_which_format(little, tmp_path):
    training, _ = little
    training.solver.snapshot_format = 0  # HDF5
    state, model = written(training, tmp_path / "out")
    assert state.endswith("_iter_0.solverstate.h5")
    assert model.endswith("_iter_0.caffemodel.h5")
    assert read_solverstate(state).learned_net == model
    with pytest.raises(ValueError, match="snapshot_format to be one of"):
        CaffeSnapshot("s", snapshot_format="h5")


def test_names_that_hdf5_cannot_have_are_told_before_the_training(tmp_path):
    net = NET.replace('name: "fc"', 'name: "fc/a"')
    training = from_solver(write(tmp_path, "SGD", net))
    with pytest.raises(ValueError, match="'fc/a'.*BINARYPROTO"):
        written(training, tmp_path / "out", snapshot_format="HDF5")
    assert not (tmp_path / "out").exists()


def test_other_optimizers_have_no_state(little, tmp_path):
    model = little[0].model
    model.compile("adam", "mse")
    callback = CaffeSnapshot(tmp_path / "out" / "s")
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_train_end()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["s_iter_0.caffemodel"]
