"""Time extract_features on JPEGs against the net alone, and watch its memory.

Makes pictures of 500 x 375 pixels in a temporary folder. For each net it prints images
per second of decoding alone (files to the net's inputs), of the net alone
(`model.predict` on ready batches), and of both together, as extract_features runs them;
then it extracts the features of all pictures to a file and prints how much memory the
process had at the 200th picture, at most after it, and at the end.
"""

import argparse
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import engines
import nets
import numpy as np
import timing

LAYER = "fc7"
BATCH = 32
WIDTH, HEIGHT, QUALITY = 500, 375, 90
DECODING, NET, TOGETHER = "decoding", "net", "together"
TARGET = 0.9  # of the net's own rate
SETTLED = 200  # pictures after which memory must not grow


def write_picture(path: Path, seed: int) -> None:
    """Write a JPEG of smooth gradients, a few shapes with edges, and a camera's noise.

    At quality 90 it has about 70 kB, as a photo of this size may.
    """
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 256, (3, 4, 3), "uint8")
    picture = Image.fromarray(corners).resize((WIDTH, HEIGHT), Image.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = rng.integers(0, (WIDTH, HEIGHT)).tolist()
        wide, high = rng.integers(20, 160, 2).tolist()
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + wide, y + high), fill=tuple(rng.integers(0, 256, 3).tolist()))
    grain = rng.normal(0, 9, (HEIGHT, WIDTH, 1))
    pixels = np.clip(np.asarray(picture) + grain, 0, 255).astype("uint8")
    Image.fromarray(pixels).save(path, quality=QUALITY)


def write_pictures(folder: Path, count: int) -> list[str]:
    """Write so many JPEGs and return their paths."""
    paths = [folder / f"{i:05}.jpg" for i in range(count)]
    with ThreadPoolExecutor(engines.THREADS) as threads:
        list(threads.map(write_picture, paths, range(count)))
    return [str(path) for path in paths]


def build(name: str):
    """Return a net with random weights."""
    from keras_caffe_zoo import models
    from keras_caffe_zoo.conversion.params import set_caffe_params

    model = getattr(models, name)(weights=None)
    set_caffe_params(model, nets.random_params(name))
    return model


def rates(model, paths: list[str], rounds: int, size: int) -> dict:
    """Return seconds for one picture of decoding, of the net and of both together."""
    from keras_caffe_zoo import feature_extractor
    from keras_caffe_zoo.extraction import local
    from keras_caffe_zoo.extraction.block import save_block
    from keras_caffe_zoo.extraction.sources import blocks_of, open_source
    from keras_caffe_zoo.extraction.spec import Spec
    from keras_caffe_zoo.extraction.worker import BlockWorker

    worker = BlockWorker(Spec(model, (LAYER,), batch_size=BATCH))
    items = list(open_source(paths[:size]).items())
    ready = np.stack([worker.prepare(item) for item in items])
    net = feature_extractor(model, LAYER)

    def decoding():
        with ThreadPoolExecutor(engines.THREADS) as threads:
            for _ in threads.map(worker.prepare, items):
                pass

    def together():
        with tempfile.TemporaryDirectory() as folder:
            for block in local.compute(worker, blocks_of(items, 256)):
                save_block(Path(folder, f"{block.first}.npz"), block, "benchmark")

    calls = {
        DECODING: decoding,
        NET: lambda: net.predict(ready, batch_size=BATCH, verbose=0),
        TOGETHER: together,
    }
    times = interleave(calls, rounds)
    found = {name: rate(times[name], size) for name in calls}
    found["ratio"] = timing.paired_ratio(times[NET], times[TOGETHER])
    found["seconds"] = times
    return found


def interleave(calls: dict, rounds: int) -> dict[str, list[float]]:
    """Time each call in turn, as `timing.interleave` does, but for one warming up each.

    A call takes seconds, beside which a start from the cold is nothing.
    """
    for call in calls.values():
        call()
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(timing.PAUSE)
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


def rate(times: list[float], size: int) -> dict:
    """Return pictures a second: median, least and most."""
    scaled = [size / t for t in times]
    return {"median": float(np.median(scaled)), "min": min(scaled), "max": max(scaled)}


def memory_mb() -> float:
    """Return the process's resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def memory_watched(samples: dict[int, float]) -> Iterator[None]:
    """Note the memory, by the number of pictures that are done, after each batch."""
    from keras_caffe_zoo.progress import Progress

    advance = Progress.advance

    def watched(bar, count):
        advance(bar, count)
        samples[bar.computed] = memory_mb()

    with mock.patch.object(Progress, "advance", watched):
        yield


def whole_run(model, paths: list[str]) -> dict:
    """Extract the features of all pictures to a file, and watch the memory."""
    from keras_caffe_zoo import extract_features

    samples = {}
    with tempfile.TemporaryDirectory() as folder, memory_watched(samples):
        report = extract_features(
            model,
            paths,
            LAYER,
            Path(folder, "features.h5"),
            batch_size=BATCH,
            progress=False,
        )
    later = [mb for done, mb in samples.items() if done >= SETTLED]
    later.append(memory_mb())
    return {
        "pictures": report.rows,
        "seconds": report.seconds,
        "images per second": report.images_per_second,
        "memory": {"settled": later[0], "most": max(later), "end": later[-1]},
        "samples": samples,
    }


def show(name: str, found: dict) -> None:
    """Print what was measured of a net."""
    print(f"\n{name}, {LAYER}, batch {BATCH}: images per second (median, min, max)")
    for kind in (DECODING, NET, TOGETHER):
        row = found[kind]
        print(f"{kind:9}" + "".join(f"{row[k]:9.1f}" for k in ("median", "min", "max")))
    print(f"together / net {found['ratio']:.2f} (target: at least {TARGET})")


def show_run(run: dict) -> None:
    """Print what became of the run over all pictures."""
    memory = run["memory"]
    print(
        f"all {run['pictures']:,} pictures to a file: {run['seconds']:.1f} s, "
        f"{run['images per second']:.1f} images per second, compiling included"
    )
    print(
        f"memory at picture {SETTLED} {memory['settled']:.0f} MB, at most after it "
        f"{memory['most']:.0f} MB, at the end {memory['end']:.0f} MB",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--models", nargs="+", default=[*nets.SIZES], choices=nets.SIZES
    )
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5, help="timings of each kind")
    parser.add_argument("--round", type=int, default=512, help="pictures in a timing")
    parser.add_argument("--json", metavar="FILE", help="also write all numbers there")
    options = parser.parse_args()
    if options.images <= SETTLED:
        parser.error(f"expected more than {SETTLED} images")
    engines.limit_threads()
    results = {"machine": timing.machine(), "threads": engines.THREADS}
    print(timing.describe(results["machine"]))
    with tempfile.TemporaryDirectory() as folder:
        paths = write_pictures(Path(folder), options.images)
        size = sum(os.path.getsize(path) for path in paths) / len(paths)
        print(f"{len(paths):,} JPEGs of {WIDTH} x {HEIGHT}, {size / 1e3:.0f} kB each")
        for name in options.models:
            model = build(name)
            found = rates(model, paths, options.rounds, min(options.round, len(paths)))
            show(name, found)
            found["whole run"] = whole_run(model, paths)
            show_run(found["whole run"])
            results[name] = found
            del model
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
