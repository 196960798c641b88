"""Processes that train together do what one process does with the joint batch."""

import importlib.util
import os
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from support import relative_error

from keras_caffe_zoo import demo

SCRIPT = pathlib.Path(__file__).parents[2] / "examples" / "distributed_finetune.py"
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)


@pytest.fixture
def example(monkeypatch):
    """The example as a module; it chooses JAX, for its own process only."""
    monkeypatch.setenv("KERAS_BACKEND", keras.config.backend())
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(folder, processes):
    """Run the example; return the loss of every step, the model, what was said."""
    options = ["--processes", str(processes), "--output", str(folder)]
    running = subprocess.Popen(
        [sys.executable, str(SCRIPT), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, with all that it starts
    )
    try:
        said, errors = running.communicate(timeout=240)
        assert running.returncode == 0, said + errors
        with pytest.raises(ProcessLookupError):  # none is left of the group
            os.killpg(running.pid, 0)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    model = keras.saving.load_model(folder / "even_or_odd.keras", compile=False)
    return np.loadtxt(folder / "losses.txt"), model, said


@needs_jax
@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path):
    losses, model, said = run(tmp_path / "one", 1)
    shared_losses, shared_model, shared_said = run(tmp_path / "two", 2)
    assert "processes: 1, devices: 1" in said
    assert "processes: 2, devices: 2" in shared_said
    # Equal but for the order in which float32 sums are taken. Measured: 3e-7, where
    # another dropout mask or order of the digits would make 1e-2 and more.
    np.testing.assert_allclose(shared_losses, losses, rtol=1e-5)
    assert len(losses) == 28 and losses[-1] < losses[0] / 2
    start = {w.path: keras.ops.convert_to_numpy(w) for w in demo.load().weights}
    for weight, shared in zip(model.weights, shared_model.weights, strict=True):
        expected, found = map(keras.ops.convert_to_numpy, (weight, shared))
        assert relative_error(found, expected) <= 1e-5, weight.path
        layer = weight.path.split("/")[0]
        if layer == "conv1":
            np.testing.assert_array_equal(found, start[weight.path])
        elif layer in ("conv2", "conv3", "fc4"):
            # They move little, and as they should, but for the weights' own rounding.
            learned = expected - start[weight.path]
            assert np.abs(learned).max() > 1e-4 * np.abs(expected).max()
            assert relative_error(found - start[weight.path], learned) <= 1e-3


@pytest.mark.parametrize("processes", [2, 4])
def test_the_shares_of_all_processes_are_the_batches_of_one(example, processes):
    x, y = np.arange(100), np.arange(100) % 2
    whole = example.Share(x, y)
    shares = [example.Share(x, y, i, processes) for i in range(processes)]
    epochs = []
    for _ in range(2):
        assert {len(share) for share in shares} == {len(whole)} == {2}
        for step in range(len(whole)):
            for joint, *parts in zip(
                whole[step], *(share[step] for share in shares), strict=True
            ):
                assert {len(part) for part in parts} == {example.BATCH // processes}
                np.testing.assert_array_equal(np.concatenate(parts), joint)
        epochs.append(np.concatenate([whole[step][0] for step in range(len(whole))]))
        assert len(set(epochs[-1])) == 80  # no digit twice
        for share in (whole, *shares):
            share.on_epoch_end()
    assert (epochs[0] != epochs[1]).any()


@pytest.mark.parametrize(
    ("script", "reason", "ends"),
    [
        ("sys.argv[-1] == '0' and sys.exit(1)", "failed", [1, -signal.SIGKILL]),
        ("", "Not done", [-signal.SIGKILL] * 2),
    ],
)
def test_when_a_process_fails_or_hangs_none_is_left(
    example, monkeypatch, tmp_path, script, reason, ends
):
    path, started, popen = tmp_path / "script.py", [], subprocess.Popen
    path.write_text(f"import sys, time\n{script}\ntime.sleep(1000)\n")

    def start(command):
        started.append(popen(command))
        return started[-1]

    monkeypatch.setattr(example, "__file__", str(path))
    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(SystemExit, match=reason):
        example.start(tmp_path, 2, timeout=1 if reason == "Not done" else 100)
    assert [process.returncode for process in started] == ends
