"""SIGKILL at any moment: the resumed file equals the uninterrupted one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tiny

from keras_caffe_zoo import extract_features

SCRIPT = Path(__file__).with_name("kill_and_resume.py")
# Where a run kills itself, and how many parts there are then; each goes on where the
# one before it was. The first file of all is the job, then come the parts.
PLACES = {
    "before 1": 0,
    "before 3": 1,
    "after 2": 3,
    "before output": 6,
    "after output": 6,
}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def contents(path):
    with h5py.File(path) as file:
        rows = {name: file[name][:] for name in ("names", "index", "conv1", "fc2")}
        return rows | {f"bad {name}": data[:] for name, data in file["bad"].items()}


def write_pictures(folder, count):
    """Write pictures, the fourth of them and the last cut off."""
    tiny.write_pictures(folder, count)
    for broken in (3, count - 1):
        path = folder / f"{broken:04}.png"
        path.write_bytes(path.read_bytes()[:100])


def extracted(folder, out):
    options = {"preprocess": tiny.centre, "batch_size": 2, "block_size": 4}
    extract_features(tiny.net(), folder, ["conv1", "fc2"], out, **options)
    return contents(out)


def killed(folder, out, *options):
    """Extract a folder, killed meanwhile; return what is told of each run."""
    out.parent.mkdir()
    paths = [str(SCRIPT.parents[2]), str(SCRIPT.parent)]
    done = subprocess.run(
        [sys.executable, SCRIPT, folder, out, *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line[0] == "{"]


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


@pytest.mark.slow
def test_killed_at_every_step_the_file_equals_the_uninterrupted_one(tmp_path):
    folder, out = tmp_path / "photos", tmp_path / "out" / "killed.h5"
    write_pictures(folder, 22)
    wanted = extracted(folder, tmp_path / "whole.h5")
    assert wanted["index"].tolist() == [i for i in range(22) if i not in (3, 21)]
    runs = killed(folder, out, "places", *PLACES)
    assert {run["at"]: run["parts"] for run in runs} == PLACES
    assert {run["status"] for run in runs} == {-9}
    assert list(out.parent.iterdir()) == [out]  # and nothing left behind
    assert_same(contents(out), wanted)


@pytest.mark.slow
def test_killed_ten_times_at_random_the_file_equals_the_uninterrupted_one(tmp_path):
    folder, out = tmp_path / "photos", tmp_path / "out" / "killed.h5"
    write_pictures(folder, 150)
    wanted = extracted(folder, tmp_path / "whole.h5")
    runs = killed(folder, out, "random", "1", "10")
    assert [run["status"] for run in runs].count(-9) == 10
    outputs = sorted(out.parent.iterdir())
    assert outputs[0] == out
    assert all(path.suffix == ".h5" for path in outputs)
    for path in outputs:
        assert_same(contents(path), wanted)
