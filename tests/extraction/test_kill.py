"""SIGKILL at random moments: the resumed file equals the uninterrupted one."""

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

KILLS, PICTURES = 10, 150
SCRIPT = Path(__file__).with_name("kill_and_resume.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def contents(path):
    with h5py.File(path) as file:
        rows = {name: file[name][:] for name in ("names", "index", "conv1", "fc2")}
        return rows | {f"bad {name}": data[:] for name, data in file["bad"].items()}


@pytest.mark.slow
def test_killed_ten_times_the_file_equals_the_uninterrupted_one(tmp_path):
    folder = tmp_path / "photos"
    tiny.write_pictures(folder, PICTURES)
    for broken in (3, 77, 149):
        path = folder / f"{broken:04}.png"
        path.write_bytes(path.read_bytes()[:100])
    options = {"preprocess": tiny.centre, "batch_size": 2, "block_size": 4}
    whole = tmp_path / "whole.h5"
    extract_features(tiny.net(), folder, ["conv1", "fc2"], whole, **options)
    wanted = contents(whole)
    assert len(wanted["names"]) == PICTURES - 3
    assert wanted["index"][[2, 3]].tolist() == [2, 4]

    out = tmp_path / "out" / "killed.h5"
    out.parent.mkdir()
    paths = [str(SCRIPT.parents[2]), str(SCRIPT.parent)]
    done = subprocess.run(
        [sys.executable, SCRIPT, folder, out, "1", str(KILLS)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    runs = [json.loads(line) for line in done.stdout.splitlines() if line[0] == "{"]
    killed = [run for run in runs if run["status"] == -9]
    assert len(killed) == KILLS
    assert {run["at"] for run in killed} >= {"part", "merging"}
    assert len({run["parts"] for run in killed}) > 3
    outputs = sorted(out.parent.iterdir())
    assert outputs[0] == out
    assert all(path.suffix == ".h5" for path in outputs)  # and nothing left behind
    for path in outputs:
        found = contents(path)
        assert found.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
