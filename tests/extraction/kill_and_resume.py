"""Extracts a folder while it is killed, again and again: run by `test_kill.py`.

    python kill_and_resume.py FOLDER OUT SEED KILLS

Importing TensorFlow takes seconds, so this process imports it once and forks a child
for each run. It kills the children with SIGKILL at random: after a random part, while
the parts are merged, or when the output has just appeared. It prints a JSON line for
each child: what killed it and how many parts were there. When a child gets done, its
output is kept as OUT.0.h5, OUT.1.h5, …, and the next begins anew.
"""

import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import tiny

from keras_caffe_zoo import extract_features

SUFFIX = ".h5"


def extract(folder: Path, out: Path) -> None:
    options = {"batch_size": 2, "block_size": 4, "progress": False}
    extract_features(
        tiny.net(), folder, ["conv1", "fc2"], out, preprocess=tiny.centre, **options
    )


def start(folder: Path, out: Path) -> int:
    child = os.fork()
    if child == 0:
        try:
            extract(folder, out)
            os._exit(0)
        finally:
            os._exit(1)
    return child


def done(child: int) -> int | None:
    """Return a child's exit status, -9 if it was killed, or None while it runs."""
    pid, status = os.waitpid(child, os.WNOHANG)
    return None if pid == 0 else os.waitstatus_to_exitcode(status)


def count_parts(folder: Path) -> int:
    """Return how many parts there are; the folder may go while they are counted."""
    try:
        return sum(path.match("part-*.npz") for path in folder.iterdir())
    except FileNotFoundError:
        return 0


def moment(name: str, rng, parts: Path, out: Path):
    """Return a function that tells when it is time to strike."""
    more = count_parts(parts) + rng.randint(1, 12)
    chances = {
        "part": lambda: count_parts(parts) >= more,
        "merging": (parts / f"merged{SUFFIX}").exists,
        "output": out.exists,
    }
    return chances[name]


def main(folder: Path, out: Path, seed: int, kills: int) -> None:
    rng = random.Random(seed)
    parts = out.with_name(f"{out.name}.parts")
    finished = 0
    names = itertools.cycle(["part", "part", "merging", "part", "output", "part"])
    while kills:
        name = next(names)
        is_time = moment(name, rng, parts, out)
        child = start(folder, out)
        while (status := done(child)) is None and not is_time():
            time.sleep(0.0005)
        if status is None:
            time.sleep(rng.uniform(0, 0.02) * (name != "output"))
            os.kill(child, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        left = count_parts(parts)
        print(json.dumps({"at": name, "status": status, "parts": left}), flush=True)
        kills -= status == -signal.SIGKILL
        if status == 0:
            out.rename(out.with_name(f"{out.name}.{finished}{SUFFIX}"))
            finished += 1
        elif status != -signal.SIGKILL:
            sys.exit(1)
    child = start(folder, out)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
