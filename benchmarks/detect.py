"""Time detect on JPEGs against the net alone, with Keras and with other engines.

Makes pictures of 500 x 375 pixels in a temporary folder. For each net and engine it
prints images per second of decoding alone (files to the net's inputs), of the net alone
(the function that `detect` calls, on ready batches, as many of them at once), and of
`detect` from files to boxes. The nets are of full size, their weights random.
"""

import argparse
import json
import tempfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import detection
import detectors
import engines
import extraction
import numpy as np
import timing

MEANS = {"mobilenet_ssd": (127.5, 0.007843), "ssd300_vgg16": ((104, 117, 123), 1)}
DECODING, NET, TOGETHER = "decoding", "net", "detect"
TARGET = 0.9  # of the net's own rate


def task_of(name: str, runtime: str, batch: int):
    """Return a net with random weights as `detect` has it."""
    import keras

    from keras_caffe_zoo import from_caffe
    from keras_caffe_zoo.tasks.detection import Detector

    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "net.prototxt")
        text.write_text(detectors.prototxt(name))
        model = from_caffe(text)
    detection.liven(model)
    mean, scale = MEANS[name]
    options = {"runtime": runtime, "batch_size": batch}
    return Detector(model, mean=mean, scale=scale, **options)


def compare(task, paths: list[str], rounds: int) -> dict:
    """Time the three kinds in turn."""
    from keras_caffe_zoo.pictures import read_picture
    from keras_caffe_zoo.tasks.running import answers

    ready = [task.prepare(read_picture(path))[0] for path in paths]
    size = task.batch_size
    batches = [ready[i : i + size] for i in range(0, len(ready), size)]

    def decoding():
        with ThreadPoolExecutor(engines.THREADS) as threads:
            read = threads.map(lambda path: task.prepare(read_picture(path)), paths)
            deque(read, maxlen=0)

    def net():
        with ThreadPoolExecutor(task.batches_at_once) as threads:
            deque(threads.map(task.net, batches), maxlen=0)

    calls = {
        DECODING: decoding,
        NET: net,
        TOGETHER: lambda: answers(task, paths, progress=False),
    }
    times = extraction.interleave(calls, rounds)
    found = {name: extraction.rate(times[name], len(paths)) for name in calls}
    found["ratio"] = timing.paired_ratio(times[NET], times[TOGETHER])
    best = found[TOGETHER]["max"] / found[NET]["max"]
    return {**found, "most to most": best, "seconds": times}


def show(name: str, runtime: str, batch: int, found: dict) -> None:
    """Print what was measured of a net."""
    print(f"\n{name}, {runtime}, batch {batch}: images per second (median, min, max)")
    for kind in (DECODING, NET, TOGETHER):
        row = found[kind]
        print(f"{kind:9}" + "".join(f"{row[k]:9.1f}" for k in ("median", "min", "max")))
    print(
        f"detect / net {found['ratio']:.2f}, most to most {found['most to most']:.2f} "
        f"(target: at least {TARGET})",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", default=[*MEANS], choices=MEANS)
    runtimes = ("keras", "openvino", "onnxruntime")
    parser.add_argument("--runtimes", nargs="+", default=runtimes[:2], choices=runtimes)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="timings of each kind")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--json", metavar="FILE", help="also write all numbers there")
    options = parser.parse_args()
    engines.limit_threads()
    results = {"machine": timing.machine(), "threads": engines.THREADS}
    print(timing.describe(results["machine"]))
    with tempfile.TemporaryDirectory() as folder:
        paths = extraction.write_pictures(Path(folder), options.images)
        bytes_each = np.mean([Path(path).stat().st_size for path in paths])
        print(f"{len(paths):,} JPEGs of 500 x 375, {bytes_each / 1e3:.0f} kB each")
        for name in options.models:
            for runtime in options.runtimes:
                task = task_of(name, runtime, options.batch)
                found = compare(task, paths, options.rounds)
                show(name, runtime, options.batch, found)
                results[f"{name}, {runtime}"] = found
                del task
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
