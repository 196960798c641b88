"""A whole training as Caffe's solver does it: data by places, tests, log, resuming."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from data_files import DROPOUT_BODY, datum, write_lmdb
from PIL import Image

from keras_caffe_zoo import CaffeFormatError, caffe_params, from_caffe
from keras_caffe_zoo.caffe import read_caffemodel
from keras_caffe_zoo.cli import main
from keras_caffe_zoo.plots import show_curves
from keras_caffe_zoo.training import from_solver
from keras_caffe_zoo.training.solver.log import number, read_log
from keras_caffe_zoo.training.solver.loop import Events, SmoothedLoss
from keras_caffe_zoo.training.solver.requests import Requests

PICTURES = """
layer { name: "data" type: "ImageData" top: "data" top: "label"
  include { phase: TRAIN }
  transform_param { crop_size: 6 mirror: true mean_value: 100 scale: 0.02 }
  image_data_param { source: "/data/list.txt" batch_size: 4 shuffle: true } }
layer { name: "data" type: "ImageData" top: "data" top: "label"
  include { phase: TEST }
  transform_param { crop_size: 6 mean_value: 100 scale: 0.02 }
  image_data_param { source: "C:\\\\data\\\\list.txt" batch_size: 3 } }
"""
DATABASE = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 6 mirror: true mean_value: 100 scale: 0.02 }
  data_param { source: "/data/train_lmdb" batch_size: 4 backend: LMDB } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 6 mean_value: 100 scale: 0.02 }
  data_param { source: "/data/train_lmdb" batch_size: 3 backend: LMDB } }
"""
SOLVER = """
net: "models/net.prototxt" test_iter: 2 test_interval: 4 random_seed: 1
base_lr: 0.01 lr_policy: "step" gamma: 0.5 stepsize: 6 momentum: 0.9 display: 2
weight_decay: 0.001 max_iter: 8 snapshot: 3 snapshot_prefix: "tiny" average_loss: 3
"""


@pytest.fixture
def files(tmp_path):
    """Eleven pictures, bright and dark ones, their list, a net and its solver."""
    write_pictures(tmp_path)
    (tmp_path / "net.prototxt").write_text(f'name: "tiny" {PICTURES}{DROPOUT_BODY}')
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path


def write_pictures(folder):
    rng, lines = np.random.default_rng(0), []
    for i in range(11):
        pixels = rng.integers(0, 120, (8, 9, 3), "uint8") + np.uint8(130 * (i % 2))
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines.append(f"{i}.png {i % 2}\n")
    (folder / "list.txt").write_text("".join(lines))


def write_database(folder):
    rng = np.random.default_rng(0)
    values = []
    for i in range(11):
        pixels = rng.integers(0, 120, (8, 9, 3), "uint8") + np.uint8(130 * (i % 2))
        values.append(datum(pixels, i % 2))
    write_lmdb(folder / "train_lmdb", values)
    (folder / "net.prototxt").write_text(f'name: "tiny" {DATABASE}{DROPOUT_BODY}')


def solver_of(folder, change=lambda text: text):
    (folder / "solver.prototxt").write_text(change(SOLVER))
    return folder / "solver.prototxt"


class Heard(Events):
    def __init__(self):
        super().__init__()
        self.displays, self.tests = [], []

    def on_display(self, display):
        self.displays.append(display)

    def on_test(self, test):
        self.tests.append(test)


def float64_loss(x, y, params):
    """Return the loss of the tiny net without dropout, in NumPy float64."""
    conv, b = params["conv"]
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    maps = np.einsum("nchwij,ocij->nohw", windows, conv.astype("float64"))
    maps = np.maximum(maps + b[:, None, None], 0).reshape(len(x), -1)
    w, b = params["fc"]
    scores = maps @ w.T.astype("float64") + b
    scores -= scores.max(1, keepdims=True)
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    loss = -np.log(chances[np.arange(len(y)), y]).mean()
    return loss, (scores.argmax(1) == y).mean()


def test_a_solver_trains_with_data_by_places_and_tests_when_caffe_does(files):
    training = from_solver(files / "solver.prototxt", data=files)
    assert training.model.input_shape == (None, 6, 6, 3)
    before = caffe_params(training.model)
    out, heard = io.StringIO(), Heard()
    history = training.fit(callbacks=[training.log_lines(out), heard], verbose=0)
    assert [test.iteration for test in heard.tests] == [0, 4, 8]
    assert training.results == heard.tests
    # The first six records, cut in the middle, against NumPy.
    pixels = [
        np.asarray(Image.open(files / f"{i}.png"))[1:7, 1:7, ::-1] for i in range(6)
    ]
    x = np.moveaxis((np.stack(pixels) - 100.0) * 0.02, -1, 1)
    y = np.arange(6) % 2
    halves = [float64_loss(x[:3], y[:3], before), float64_loss(x[3:], y[3:], before)]
    found = {o.name: o.value for o in heard.tests[0].outputs}
    assert found["loss"] == pytest.approx(np.mean([h[0] for h in halves]), rel=1e-5)
    assert found["accuracy"] == pytest.approx(np.mean([h[1] for h in halves]))
    assert history.history["val_accuracy"][0] == found["accuracy"]
    assert len(history.history["val_loss"]) == 3
    assert [d.iteration for d in heard.displays] == [0, 2, 4, 6, 8]
    assert heard.displays[-1].last and not heard.displays[-1].outputs
    check_log(out.getvalue(), files / "train.log")


def check_log(text, path):
    """Read a log as Caffe's scripts do: by the words, and by columns."""
    lines = text.splitlines()
    glog = re.compile(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [a-z_]+\.cpp:\d+\] .+")
    assert all(glog.fullmatch(line) for line in lines)
    said = [line.partition("] ")[2] for line in lines]
    assert said[:3] == [
        "Solving tiny",
        "Learning Rate Policy: step",
        "Iteration 0, Testing net (#0)",
    ]
    assert re.fullmatch(r"    Test net output #0: accuracy = [\d.]+", said[3])
    loss = r"    Test net output #1: loss = ([\d.]+) \(\* 1 = ([\d.]+) loss\)"
    assert len(set(re.fullmatch(loss, said[4]).groups())) == 1
    assert re.fullmatch(
        r"Iteration 0 \([\d.e-]+ iter/s, [\d.e-]+s/2 iters\), loss = [\d.]+", said[5]
    )
    assert said[6].startswith("    Train net output #0: loss = ")
    assert said[7] == "Iteration 0, lr = 0.01"
    assert re.fullmatch(r"Iteration 8, loss = [\d.]+", said[-5])
    assert said[-1] == "Optimization Done."
    path.write_text(text)
    logged = read_log(path)
    assert list(logged.loss) == [0, 2, 4, 6, 8]
    assert logged.learning_rate == {0: 0.01, 2: 0.01, 4: 0.01, 6: 0.005}
    assert list(logged.tests[0, "accuracy"]) == [0, 4, 8]


@pytest.mark.slow
def test_a_displayed_loss_is_that_of_the_batches_alone(files):
    """Each against the loss of one `train_on_batch` on a twin."""
    solver = solver_of(files, lambda text: text.replace("display: 2", "display: 1"))
    training, twin = (from_solver(solver, data=files) for _ in range(2))
    heard = Heard()
    training.fit(callbacks=[heard], iterations=5, verbose=0)
    losses, wanted = [], []
    for batch in first_of(twin.data, 5):
        twin.model.reset_metrics()
        losses.append(twin.model.train_on_batch(*batch, return_dict=True)["loss"])
        wanted.append(np.mean(losses[-3:]))
    found = [display.loss for display in heard.displays]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    found = [display.outputs[0].value for display in heard.displays]
    np.testing.assert_allclose(found, losses, rtol=1e-6)


def first_of(data, count):
    return [batch for batch, _ in zip(data, range(count), strict=False)]


@pytest.mark.parametrize("over", [1, 3])
def test_losses_are_averaged_as_in_caffe(over):
    losses = np.random.default_rng(0).uniform(0, 5, 20)
    smoothed = SmoothedLoss(over)
    found = [smoothed.add(loss) for loss in losses]
    wanted = [losses[max(0, i + 1 - over) : i + 1].mean() for i in range(20)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_numbers_are_written_as_cpp_writes_them():
    values = (0, 1, 0.1234567, 1234567, 1e-5, 2.0 / 3, 100, float("nan"))
    wanted = "0 1 0.123457 1.23457e+06 1e-05 0.666667 100 nan"
    assert " ".join(map(number, values)) == wanted


TWO = """
test_iter: 3 test_state { stage: "deep" } test_state { }
"""


def test_all_test_nets_are_tested_under_their_names(files):
    solver = solver_of(files, lambda text: text + TWO)
    training = from_solver(solver, data=files)
    assert [test.net.name for test in training.tests] == ["deep", "test"]
    assert [test.net.iterations for test in training.tests] == [2, 3]


@pytest.mark.slow
def test_several_test_nets_are_in_the_history_under_their_names(files):
    solver = solver_of(files, lambda text: text + TWO)
    training = from_solver(solver, data=files)
    history = training.fit(iterations=1, verbose=0).history
    assert len(history["val_deep_accuracy"]) == len(history["val_test_loss"]) == 1


def test_a_test_net_that_is_missing_is_told_of(files):
    place = 'train_net: "net.prototxt" test_net: "lost.prototxt"'
    solver = solver_of(files, lambda s: s.replace('net: "models/net.prototxt"', place))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        training = from_solver(solver, data=files)
    said = " ".join(str(one.message) for one in found)
    assert re.search("lost.prototxt.*no metrics.*lost.prototxt.*it is not tested", said)
    assert training.tests == ()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("test_interval: 0", "test_interval.*above 0"),
        ("test_state { } test_state { }", "test_state.*Expected 1"),
        ('test_net: "a" test_net: "net.prototxt"', "test_iter.*Expected 2"),
    ],
)
def test_tests_that_caffe_refuses_are_refused(files, more, words):
    solver = solver_of(files, lambda s: s.replace("test_interval: 4", "") + more)
    if "interval" not in more:
        solver.write_text(f"{solver.read_text()} test_interval: 4")
    with warnings.catch_warnings(), pytest.raises(CaffeFormatError, match=words):
        warnings.simplefilter("ignore")  # of test nets that are not there
        from_solver(solver, data=files)


def test_what_lies_in_no_place_is_listed(files, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="'list.txt' .source of layer 'data'"):
        from_solver(files / "solver.prototxt", data=tmp_path / "empty")


def test_a_name_may_lead_anywhere_and_a_path_in_a_net_nowhere(files, tmp_path):
    (files / "net.prototxt").write_text(
        (files / "net.prototxt")
        .read_text()
        .replace("/data/list.txt", f"{files}/list.txt")
    )
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        from_solver(files / "solver.prototxt", data=[tmp_path / "empty"])
    place = {"list.txt": files / "list.txt"}
    assert from_solver(files / "solver.prototxt", data=place).data is not None


def test_shapes_come_from_a_dataset(files):
    import tensorflow as tf

    net = f'name: "tiny" {PICTURES}{DROPOUT_BODY}'.replace("crop_size: 6", "")
    (files / "net.prototxt").write_text(net)
    x, y = np.zeros((4, 5, 7, 3), "float32"), np.array([0, 1, 0, 1])
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(2)
    for given in (data, (x, y)):
        training = from_solver(files / "solver.prototxt", data=given)
        assert training.model.input_shape == (None, 5, 7, 3)


DUMMY = """
layer { name: "made" type: "DummyData" top: "a" top: "b"
  dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
    data_filler { type: "gaussian" std: 0.5 }
    data_filler { type: "constant" value: 2 } } }
layer { name: "extra" type: "DummyData" top: "c"
  dummy_data_param { num: 4 channels: 2 height: 1 width: 1
    data_filler { type: "uniform" min: 1 max: 2 } } }
layer { name: "c/flat" type: "Flatten" bottom: "c" top: "c/flat" }
layer { name: "ab" type: "Concat" bottom: "a" bottom: "c/flat" top: "ab" }
layer { name: "fc" type: "InnerProduct" bottom: "ab" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "b" top: "loss" }
"""


def test_dummy_data_gives_its_fillers_values_and_layers_are_read_side_by_side(tmp_path):
    (tmp_path / "net.prototxt").write_text(DUMMY)
    solver = tmp_path / "solver.prototxt"
    solver.write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 3 random_seed: 2'
    )
    training = from_solver(solver, data=tmp_path)
    (x, y), (again, _) = first_of(training.data, 2)
    assert set(x) == {"a", "c"} and x["c"].shape == (4, 1, 1, 2)
    np.testing.assert_array_equal(y, np.full((4, 2), 2.0))
    assert 1 <= np.min(x["c"]) < np.max(x["c"]) < 2
    assert 0.2 < np.std(x["a"]) < 1 and np.any(x["a"] != again["a"])
    training.fit(verbose=0)
    assert int(training.optimizer.iterations) == 3


def test_a_net_inside_a_solver_is_imported(tmp_path):
    inside = f'name: "inside" {PICTURES}{DROPOUT_BODY}'
    solver = tmp_path / "solver.prototxt"
    solver.write_text(f'base_lr: 1 lr_policy: "fixed" net_param {{ {inside} }}')
    assert from_caffe(solver).name == "inside"
    solver.write_text(f"base_lr: 1 train_net_param {{ {inside} }}")
    assert from_caffe(solver, phase="TRAIN").name == "inside"
    solver.write_text('base_lr: 1 net: "models/net.prototxt"')
    with pytest.raises(CaffeFormatError, match="models/net.prototxt.*from_solver"):
        from_caffe(solver)


@pytest.mark.slow
def test_debug_info_tells_of_blobs_and_parameters(files):
    solver = solver_of(files, lambda text: text + " debug_info: true")
    training = from_solver(solver, data=files)
    params, out = caffe_params(training.model), io.StringIO()
    training.fit(
        callbacks=[training.log_lines(out, plain=True)], iterations=1, verbose=0
    )
    lines = out.getvalue().splitlines()
    size = np.abs(params["conv"][0]).mean(dtype="float64")
    assert f"    [Forward] Layer conv, param blob 0 data: {size:g}" in lines
    blobs = [
        re.match(r"    \[Forward\] Layer (\w+), top blob (\w+) data", x) for x in lines
    ]
    blobs = [match.groups() for match in blobs if match]
    assert blobs[:4] == [
        ("data", "data"),
        ("conv", "conv"),
        ("relu", "conv"),
        ("drop", "conv"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("iter_size", [1, 2])
def test_debug_info_changes_nothing(files, iter_size):
    solver = solver_of(files, lambda text: f"{text} iter_size: {iter_size}")
    plain = from_solver(solver, data=files)
    solver = solver_of(files, lambda s: f"{s} iter_size: {iter_size} debug_info: true")
    told = from_solver(solver, data=files)
    for training in (plain, told):
        training.fit(
            callbacks=[training.log_lines(io.StringIO())], iterations=3, verbose=0
        )
    for a, b in zip(plain.model.get_weights(), told.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["pictures", "database"])
def test_interrupted_and_resumed_equals_uninterrupted(
    files, source, monkeypatch, capsys
):
    """Ctrl-C after five iterations of the net with dropout, then --snapshot."""
    if source == "database":
        write_database(files)
    command = [
        "train",
        "--solver",
        str(files / "solver.prototxt"),
        "--data",
        str(files),
    ]
    assert main([*command, "-o", str(files / "whole")]) == 0
    with monkeypatch.context() as patch:
        told = "keras_caffe_zoo.cli._training.Told.on_train_batch_end"
        patch.setattr(told, interrupt_at(5))
        assert main([*command, "-o", str(files / "two")]) == 130
    assert "stopped after 5 iterations" in capsys.readouterr().out
    state = files / "two" / "tiny_iter_5.solverstate"
    capsys.readouterr()
    assert (
        main([*command, "-o", str(files / "two"), "--snapshot", str(state), "--json"])
        == 0
    )
    events = json.loads(capsys.readouterr().out)
    assert events[-1] == {"event": "end", "iteration": 8, "finished": True}
    assert [e["iteration"] for e in events if e["event"] == "test"] == [8]
    first, second = (
        read_caffemodel(files / folder / "tiny_iter_8.caffemodel")
        for folder in ("whole", "two")
    )
    for name, blobs in first.items():
        for a, b in zip(blobs, second[name], strict=True):
            np.testing.assert_array_equal(a, b)
    logs = [read_log(files / folder / "train.log") for folder in ("whole", "two")]
    assert logs[0].tests == logs[1].tests
    assert logs[0].loss.keys() == logs[1].loss.keys()
    assert (files / "two" / "curves.png").stat().st_size > 5000


def test_a_test_is_broken_off_where_the_training_is_to_stop(files):
    training = from_solver(files / "solver.prototxt", data=files)
    snapshots = training.snapshots(files / "out")
    requests = Requests(snapshots)
    log = io.StringIO()
    requests.stop()  # before the first test
    callbacks = [training.log_lines(log, plain=True), requests, snapshots]
    training.fit(callbacks=callbacks, verbose=0)
    lines = log.getvalue().splitlines()
    assert "Test interrupted." in lines and not training.results
    assert not any("Test net output" in line for line in lines)
    assert int(training.optimizer.iterations) == 1
    assert (files / "out" / "tiny_iter_1.solverstate").exists()


def interrupt_at(iteration):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == iteration:
            os.kill(os.getpid(), signal.SIGINT)

    return on_train_batch_end


@pytest.mark.slow
@pytest.mark.parametrize("source", ["pictures", "database"])
def test_a_killed_process_goes_on_from_its_last_snapshot(files, source):
    if source == "database":
        write_database(files)
    solver = solver_of(files, lambda s: s.replace("max_iter: 8", "max_iter: 400"))
    solver.write_text(solver.read_text().replace("snapshot: 3", "snapshot: 50"))
    command = [
        sys.executable,
        "-m",
        "keras_caffe_zoo",
        "train",
        "--solver",
        str(solver),
    ]
    whole, two = files / "whole", files / "two"
    subprocess.run([*command, "-o", str(whole)], check=True, capture_output=True)
    process = subprocess.Popen([*command, "-o", str(two)], stdout=subprocess.DEVNULL)
    states = []
    while not states and process.poll() is None:
        time.sleep(0.02)
        states = sorted(two.glob("*.solverstate")) if two.exists() else []
    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (two / "tiny_iter_400.caffemodel").exists()
    resume = ["-o", str(two), "--snapshot", str(states[-1])]
    subprocess.run([*command, *resume], check=True, capture_output=True)
    name = "tiny_iter_400.caffemodel"
    assert (whole / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize(
    "option", [["--weights", "a"], ["--snapshot", "a.solverstate"]]
)
def test_the_command_names_what_is_missing(files, option, capsys):
    command = ["train", "--solver", str(files / "solver.prototxt"), "-o", str(files)]
    assert main([*command, *option]) == 2
    assert "No such file" in capsys.readouterr().err
    assert main([*command, "--data", str(files / "nowhere")]) == 2
    assert "--data: a folder" in capsys.readouterr().err
    assert main([*command, "-o", str(files / "list.txt")]) == 2
    assert "Expected a folder for snapshots" in capsys.readouterr().err


def test_curves_are_drawn_in_two_plots(tmp_path):
    tests = {"accuracy": {0: 0.1, 5: 0.9}, "loss": {0: 2.0, 5: 1.0}}
    figure = show_curves({0: 2.0, 1: 1.0}, tests, output=tmp_path / "c.png")
    drawn = [[line.get_label() for line in axes.get_lines()] for axes in figure.axes]
    assert drawn == [["training", "test: loss"], ["accuracy"]]
    assert (tmp_path / "c.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="received: none"):
        show_curves({}, {})
