"""Extracts a folder while it is killed, again and again: run by `test_kill.py`.

    python kill_and_resume.py FOLDER OUT places "after 2" "before output" …
    python kill_and_resume.py FOLDER OUT random SEED KILLS

Importing TensorFlow takes seconds, so this process imports it once and forks a child
for each run. Either each child kills itself at a place; or the children are killed at
random: after a random part, while the parts are merged, or when the output has just
appeared. It is SIGKILL each time. This process prints a JSON line for each child: what
killed it and how many parts were there. When a child gets done, its output is kept as
OUT.0.h5, OUT.1.h5, …, and the next begins anew. The last is not killed.
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


def start(folder: Path, out: Path, place: str | None = None) -> int:
    child = os.fork()
    if child == 0:
        try:
            if place:
                die_at(place, out)
            extract(folder, out)
            os._exit(0)
        finally:
            os._exit(1)
    return child


def die_at(place: str, out: Path) -> None:
    """Let this process kill itself before or after a file appears.

    Args:
        place: `"before 3"`: instead of the third file that the process writes, of which
            only half is there; `"after 3"`; `"before output"`; `"after output"`.
        out: The output.
    """
    when, which = place.split()
    real, count = os.replace, itertools.count(1)

    def replace(source, target):
        here = which == ("output" if Path(target) == out else str(next(count)))
        if here and when == "before":
            os.truncate(source, os.path.getsize(source) // 2)
        else:
            real(source, target)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace


def status_of(child: int, flags: int = 0) -> int | None:
    """Return a child's exit status, -9 if it was killed, or None while it runs."""
    pid, status = os.waitpid(child, flags)
    return None if pid == 0 else os.waitstatus_to_exitcode(status)


def count_parts(folder: Path) -> int:
    """Return how many parts there are; the folder may go while they are counted."""
    try:
        return sum(path.match("part-*.npz") for path in folder.iterdir())
    except FileNotFoundError:
        return 0


def parts_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")


def tell(at: str, status: int, out: Path) -> None:
    left = count_parts(parts_of(out))
    print(json.dumps({"at": at, "status": status, "parts": left}), flush=True)


def at_places(folder: Path, out: Path, places: list[str]) -> None:
    for place in places:
        tell(place, status_of(start(folder, out, place)), out)


def moment(name: str, rng, out: Path):
    """Return a function that tells when it is time to strike."""
    parts = parts_of(out)
    more = count_parts(parts) + rng.randint(1, 12)
    chances = {
        "part": lambda: count_parts(parts) >= more,
        "merging": (parts / f"merged{SUFFIX}").exists,
        "output": out.exists,
    }
    return chances[name]


def at_random(folder: Path, out: Path, seed: int, kills: int) -> None:
    rng = random.Random(seed)
    finished = 0
    names = itertools.cycle(["part", "part", "merging", "part", "output", "part"])
    while kills:
        name = next(names)
        is_time = moment(name, rng, out)
        child = start(folder, out)
        while (status := status_of(child, os.WNOHANG)) is None and not is_time():
            time.sleep(0.0005)
        if status is None:
            time.sleep(rng.uniform(0, 0.02) * (name != "output"))
            os.kill(child, signal.SIGKILL)
            status = status_of(child)
        tell(name, status, out)
        kills -= status == -signal.SIGKILL
        if status == 0:
            out.rename(out.with_name(f"{out.name}.{finished}{SUFFIX}"))
            finished += 1
        elif status != -signal.SIGKILL:
            sys.exit(1)


def main(folder: Path, out: Path, how: str, *options: str) -> None:
    if how == "places":
        at_places(folder, out, list(options))
    else:
        at_random(folder, out, *map(int, options))
    sys.exit(status_of(start(folder, out)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
