"""Time reading a caffemodel against OpenCV, and building with weights against VGG16.

Every measurement has a process of its own, so that memory is counted from nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import nets
import timing

# Runs in its own process: `work` is what is measured, after the imports.
MEASURE = """
import json, sys, time
{imports}

def memory(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(x.split()[1]) * 1024 for x in lines if x.startswith(key))

open("/proc/self/clear_refs", "w").write("5")  # the peak starts from here
before, start = memory("VmRSS"), time.perf_counter()
kept = {work}
seconds = time.perf_counter() - start
print(json.dumps({{"seconds": seconds, "peak": memory("VmHWM") - before}}))
"""


def run(imports: str, work: str) -> dict:
    """Measure one expression in a process of its own."""
    code = MEASURE.format(imports=imports, work=work)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def rounds_of(cases: dict, rounds: int) -> dict:
    """Measure the cases in turn; return the median time and peak of each."""
    found = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (path, imports, work) in cases.items():
            path.read_bytes()  # into the page cache, for everyone alike
            found[name].append(run(imports, work))
    return {
        name: {
            "megabytes": cases[name][0].stat().st_size / 1e6,
            "seconds": median(x["seconds"] for x in runs),
            "least": min(x["seconds"] for x in runs),
            "most": max(x["seconds"] for x in runs),
            "growth": median(x["peak"] for x in runs) / cases[name][0].stat().st_size,
        }
        for name, runs in found.items()
    }


def reading(folder: Path) -> dict:
    """Return the cases of reading CaffeNet's file."""
    text, weights = folder / "net.prototxt", folder / "caffenet.caffemodel"
    return {
        "read_caffemodel": (
            weights,
            "from keras_caffe_zoo.caffe import read_caffemodel",
            f"read_caffemodel({str(weights)!r})",
        ),
        "cv2.dnn.readNetFromCaffe": (
            weights,
            "import cv2",
            f"cv2.dnn.readNetFromCaffe({str(text)!r}, {str(weights)!r})",
        ),
    }


def building(folder: Path) -> dict:
    """Return the cases of building a model with its weights."""
    stored, vgg16 = folder / "caffenet.h5", folder / "vgg16.weights.h5"
    return {
        "caffenet(weights=….h5)": (
            stored,
            "from keras_caffe_zoo.models import caffenet; caffenet(weights=None)",
            f"caffenet(weights={str(stored)!r})",
        ),
        "VGG16(weights=….h5)": (
            vgg16,
            "from keras.applications import VGG16; VGG16(weights=None)",
            f"VGG16(weights={str(vgg16)!r})",
        ),
    }


def make_files(folder: Path, with_models: bool) -> None:
    """Write the files that are read: Caffe's, ours and VGG16's."""
    from keras_caffe_zoo.caffe import write_caffemodel

    path = folder / "caffenet.caffemodel"
    write_caffemodel(path, nets.random_params("caffenet"), nets.net("caffenet"))
    (folder / "net.prototxt").write_text(nets.prototxt("caffenet"))
    if with_models:
        import keras

        from keras_caffe_zoo.weights import dump_caffe_weights

        dump_caffe_weights(path, folder / "caffenet.h5", progress=False)
        vgg16 = keras.applications.VGG16(weights=None)
        vgg16.save_weights(folder / "vgg16.weights.h5")


def show(title: str, rows: dict) -> None:
    """Print one table."""
    print(f"\n{title}")
    print(
        f"{'':26}{'MB':>7}{'seconds':>9}{'least':>8}{'most':>8}{'s/GB':>8}"
        "  peak of memory / file"
    )
    for name, row in rows.items():
        each = 1000 * row["seconds"] / row["megabytes"]
        print(
            f"{name:26}{row['megabytes']:7.0f}{row['seconds']:9.2f}{row['least']:8.2f}"
            f"{row['most']:8.2f}{each:8.2f}{row['growth']:10.2f}",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-models", action="store_true", help="reading only")
    parser.add_argument("--json", metavar="FILE", help="also write all numbers there")
    options = parser.parse_args()
    results = {"machine": timing.machine()}
    print(timing.describe(results["machine"]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder, not options.no_models)
        found = results["reading"] = rounds_of(reading(folder), options.rounds)
        show("Reading a caffemodel", found)
        if not options.no_models:
            found = results["building"] = rounds_of(building(folder), options.rounds)
            show("Building a model with its weights", found)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
