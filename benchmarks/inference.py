"""Time CaffeNet and VGG-CNN-S against ONNX Runtime and OpenCV on the same weights."""

import argparse
import contextlib
import gc
import json

import engines
import nets
import numpy as np
import timing

BASE = "ONNX Runtime"
CELLS = {"caffenet": 8 * 8, "vgg_cnn_s": 7 * 7}


def disagreement(y, expected) -> float:
    """Return the largest difference as a fraction of the largest value."""
    return float(np.abs(y - expected).max() / np.abs(expected).max())


def compare(calls: dict, x, rounds: int, per: float) -> dict:
    """Time engines on one batch, and hold their answers against ONNX Runtime's."""
    expected = calls[BASE](x)
    apart = {name: disagreement(call(x), expected) for name, call in calls.items()}
    bound = {name: lambda call=call: call(x) for name, call in calls.items()}
    repeats = max(1, round(16 / len(x)) if x.shape[1] < nets.MAP_SIZE else 2)
    times = timing.interleave(bound, rounds, repeats)
    return {
        name: {
            **timing.summary(times[name], per),
            "ratio": timing.paired_ratio(times[name], times[BASE]),
            "difference": apart[name],
        }
        for name in calls
    }


def crops(name: str, params: dict, batches: list[int], rounds: int) -> dict:
    """Return ms per image for each batch size."""
    calls = engines.ours(name, params)
    calls[BASE] = engines.onnx_runtime(name, params)
    try:
        calls["OpenCV"] = engines.opencv(name, params)
    except ImportError:
        print("OpenCV is not installed: left out.")
    return {
        batch: compare(calls, nets.images(batch, nets.SIZES[name]), rounds, batch)
        for batch in batches
    }


def dense_map(name: str, params: dict, rounds: int) -> dict:
    """Return ms per map of 451 x 451, and per map's worth of crops."""
    calls = engines.ours(name, params, fully_convolutional=True)
    calls[BASE] = engines.onnx_runtime(name, params, fully_convolutional=True)
    with contextlib.suppress(ImportError):
        calls["OpenCV"] = engines.opencv(name, params, fully_convolutional=True)
    found = compare(calls, nets.images(1, nets.MAP_SIZE), rounds, 1)
    del calls
    gc.collect()
    crop = engines.ours(name, params)["ours, tf.function"]
    x = nets.images(32, nets.SIZES[name])
    times = timing.interleave({"crops": lambda: crop(x)}, rounds)["crops"]
    found["crops"] = timing.summary(times, 32 / CELLS[name])
    return found


def show(title: str, rows: dict) -> None:
    """Print one table."""
    print(f"\n{title}")
    print(f"{'':24}{'median':>9}{'min':>9}{'max':>9}{'ratio':>8}  difference")
    for name, row in rows.items():
        line = f"{name:24}" + "".join(
            f"{row[k]:9.2f}" for k in ("median", "min", "max")
        )
        if "ratio" in row:
            line += f"{row['ratio']:8.2f}  {row['difference']:.1e}"
        print(line, flush=True)


def show_map(name: str, rows: dict) -> None:
    """Print the map's table and what a cell of it costs."""
    rows, cells = dict(rows), CELLS[name]
    many = rows.pop("crops")
    show(f"{name}, one 451 x 451 map, ms per map", rows)
    one = rows["ours, tf.function"]["median"]
    print(
        f"{one / cells:.2f} ms per cell of the map; {cells} crops instead of the map: "
        f"{many['median']:.0f} ms, {many['median'] / one:.1f} times as long"
    )


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", nargs="+", default=[*nets.SIZES], choices=nets.SIZES
    )
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=9, help="timings of each engine")
    parser.add_argument("--no-map", action="store_true", help="crops only")
    parser.add_argument("--json", metavar="FILE", help="also write all numbers there")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = arguments()
    engines.limit_threads()
    results = {"machine": timing.machine(), "threads": engines.THREADS}
    print(timing.describe(results["machine"]))
    print(
        f"{engines.THREADS} threads each. ratio: to {BASE}, median over "
        f"{options.rounds} interleaved rounds. difference: of the probabilities from "
        f"{BASE}'s, as a fraction of the largest. OpenCV ignores LRN's k, so on "
        "vgg_cnn_s (k = 2) it computes another function."
    )
    for name in options.models:
        params = nets.random_params(name)
        found = results[name] = {"ms per image": {}}
        found["ms per image"] = crops(name, params, options.batch, options.rounds)
        for batch, rows in found["ms per image"].items():
            show(f"{name}, batch {batch}, ms per image", rows)
        gc.collect()
        if not options.no_map:
            found["ms per map"] = dense_map(name, params, options.rounds)
            show_map(name, found["ms per map"])
        del params
        gc.collect()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
