"""Time nets against ONNX Runtime, OpenVINO and OpenCV on the same weights."""

import argparse
import contextlib
import gc
import json
import warnings

import engines
import nets
import numpy as np
import timing

BASES = ("ONNX Runtime", "OpenVINO")
CELLS = {"caffenet": 8 * 8, "vgg_cnn_s": 7 * 7}


def disagreement(found: list, expected: list) -> float:
    """Return the largest difference of an output as a fraction of its largest value."""
    return max(
        float(np.abs(y - e).max() / np.abs(e).max())
        for y, e in zip(map(np.squeeze, found), map(np.squeeze, expected), strict=True)
    )


def compare(calls: dict, x, rounds: int, per: float, repeats: int) -> dict:
    """Time engines on one batch, and hold their answers against ONNX Runtime's."""
    expected = calls[BASES[0]](x)
    apart = {name: disagreement(call(x), expected) for name, call in calls.items()}
    bound = {name: lambda call=call: call(x) for name, call in calls.items()}
    times = timing.interleave(bound, rounds, repeats)
    return {
        name: {
            **timing.summary(times[name], per),
            "ratio": timing.paired_ratio(times[name], times[BASES[0]]),
            "to OpenVINO": timing.paired_ratio(times[name], times[BASES[1]]),
            "difference": apart[name],
        }
        for name in calls
    }


def all_engines(name: str, **options) -> dict:
    """Return every engine that is to be timed on a net, by name."""
    model = nets.model(name, **options)
    with warnings.catch_warnings(record=True) as caught:  # without bfloat16
        warnings.simplefilter("always")
        reduced = nets.model(name, dtype="mixed_bfloat16", **options)
    fast = not any("bfloat16" in str(x.message) for x in caught)
    calls = engines.ours(model, reduced if fast else None)
    source = engines.onnx_bytes(model)
    calls[BASES[0]] = engines.onnx_runtime(source)
    calls[BASES[1]] = engines.openvino(source)
    calls["OpenVINO, bfloat16"] = engines.openvino(source, "bf16")
    for runtime in ("onnxruntime", "openvino"):
        calls[f"ours, runtime={runtime}"] = engines.runtime(model, runtime)
    with contextlib.suppress(ImportError):
        calls["OpenCV"] = engines.opencv(model)
    return calls


def crops(name: str, batches: list[int], rounds: int) -> dict:
    """Return ms per image for each batch size."""
    calls, size = all_engines(name), nets.MODELS[name]
    found = {}
    for batch in batches:
        x, repeats = nets.images(batch, size), max(1, round(16 / batch))
        found[batch] = compare(calls, x, rounds, batch, repeats)
    return found


def dense_map(name: str, rounds: int) -> dict:
    """Return ms per map of 451 x 451, and per map's worth of crops."""
    calls = all_engines(name, fully_convolutional=True)
    found = compare(calls, nets.images(1, nets.MAP_SIZE), rounds, 1, 2)
    del calls
    gc.collect()
    crop = engines.compiled(nets.model(name))
    x = nets.images(32, nets.MODELS[name])
    times = timing.interleave({"crops": lambda: crop(x)}, rounds)["crops"]
    found["crops"] = timing.summary(times, 32 / CELLS[name])
    return found


def show(title: str, rows: dict) -> None:
    """Print one table."""
    print(f"\n{title}")
    print(f"{'':26}{'median':>8}{'min':>8}{'to ORT':>8}{'to OV':>8}  difference")
    for name, row in rows.items():
        line = f"{name:26}{row['median']:8.2f}{row['min']:8.2f}"
        line += f"{row['ratio']:8.2f}{row['to OpenVINO']:8.2f}"
        print(f"{line}  {row['difference']:.1e}", flush=True)


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
        "--models", nargs="+", default=[*nets.MODELS], choices=nets.MODELS
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
        f"{engines.THREADS} threads each. Ratios: to ONNX Runtime and to OpenVINO "
        f"(float32), medians over {options.rounds} interleaved rounds. difference: of "
        "the outputs from ONNX Runtime's, as a fraction of the largest. OpenCV ignores "
        "LRN's k, so on vgg_cnn_s (k = 2) it computes another function."
    )
    for name in options.models:
        found = results[name] = {}
        found["ms per image"] = crops(name, options.batch, options.rounds)
        for batch, rows in found["ms per image"].items():
            show(f"{name}, batch {batch}, ms per image", rows)
        gc.collect()
        if name in CELLS and not options.no_map:
            found["ms per map"] = dense_map(name, options.rounds)
            show_map(name, found["ms per map"])
        gc.collect()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
