"""Measure how far trainings drift: ours from Caffe's arithmetic, and that from itself.

    pip install ".[test]"
    python benchmarks/training_drift.py --plot docs/training_drift.png
    python benchmarks/training_drift.py --shipped 10

Solvers that Caffe ships train as they stand, from the same parameters on the same
batches: our model, and the tests' reference, which is Caffe's arithmetic in NumPy: in
float64, in float64 with its first parameters moved by 1e-7 of themselves (the farthest
of three), in float32. Printed is the largest difference of any parameter from the
float64 reference, by the largest parameter of its blob, and the loss's, after some
iterations.

Nothing is downloaded; the pictures are waves and noise. The nets for CIFAR-10 start
from larger parameters than their fillers make, which would sleep for hundreds of
iterations. `--shipped` does so many iterations of every solver, one of the large nets',
and prints a line for each.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "training" / end) for end in ("", "shipped")]

from shipped_solvers import SOLVERS  # noqa: E402
from trajectories import Pair, example_batches, moved  # noqa: E402

NETS = ("autoencoder", "lenet", "cifar10_full_sigmoid", "cifar10_quick", "cifar10_full")
CURVES = {
    "ours": "this package, float32",
    "moved": "the reference, its weights moved by 1e-7",
    "float32": "the reference in float32",
}
ROWS = (1, 10, 50, 100, 200, 300, 500)


def measure(name: str, iterations: int, items: int) -> dict:
    """Return the drift of a solver, by curve: parameters and losses by iteration."""
    keras.utils.set_random_seed(0)
    shipped = SOLVERS[name]
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(shipped, Path(folder), own_start="cifar" not in name)
    twins = [pair.solver(moved(pair.start, seed=seed)) for seed in (2, 3)]
    others = [*twins, pair.solver(pair.start, "float32")]
    found = {curve: {"parameters": [], "loss": []} for curve in CURVES}
    found["losses"], start = [], time.perf_counter()
    for batch in example_batches(shipped, iterations, items):
        ours, theirs, *losses = pair.step(*batch, *others)
        off = [abs(loss - theirs) / max(abs(theirs), 1e-12) for loss in (ours, *losses)]
        found["losses"].append(theirs)
        for what, values in (("loss", off), ("parameters", pair.errors(*others))):
            mine, *twins, single = values
            for curve, value in zip(CURVES, (mine, max(twins), single), strict=True):
                found[curve][what].append(value)
    found["seconds"] = time.perf_counter() - start
    return found


def table(drifts: dict) -> str:
    """Return the drifts as a table in Markdown."""
    lines = [
        "| solver | iterations | loss | ours: loss | ours: parameters "
        "| moved by 1e-7: loss | parameters | in float32: loss | parameters |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, drift in drifts.items():
        for row in (row for row in ROWS if row <= len(drift["losses"])):
            cells = [name, str(row), f"{drift['losses'][row - 1]:.4f}"]
            for curve in CURVES:
                for what in ("loss", "parameters"):
                    cells.append(f"{drift[curve][what][row - 1]:.0e}")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def shipped_table(iterations: int, items: int) -> Iterator[str]:
    """Yield a line of Markdown for each solver that Caffe ships."""
    heads = ("solver", "iterations", "loss", "parameters", "moved by 1e-7: both")
    yield f"| {' | '.join(heads)} |"
    yield "|---|---|---|---|---|"
    for name, shipped in SOLVERS.items():
        keras.utils.set_random_seed(0)
        count, size = (1, 2) if shipped.crop else (iterations, items)
        with tempfile.TemporaryDirectory() as folder:
            own_start = "cifar" not in name
            pair = Pair(shipped, Path(folder), own_start, twin=not shipped.crop)
        losses = [pair.step(*batch) for batch in example_batches(shipped, count, size)]
        off = [
            max(abs(loss[i] - loss[1]) / max(abs(loss[1]), 1e-3) for loss in losses)
            for i in (0, 2)
        ]
        ours, twins = pair.errors()
        drift = f"{off[1]:.0e}, {twins:.0e}" if not shipped.crop else ""
        yield f"| `{shipped.path}` | {count} | {off[0]:.0e} | {ours:.0e} | {drift} |"


def plot(drifts: dict, path: str) -> None:
    """Draw the parameters' drift of each solver against the iterations."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(drifts), figsize=(2.6 * len(drifts), 2.9), sharey=True, dpi=100
    )
    styles = {"ours": ("C0", 1.6), "moved": ("C1", 1.1), "float32": ("0.6", 1.1)}
    for axis, (name, drift) in zip(np.atleast_1d(axes), drifts.items(), strict=True):
        for curve, (color, width) in styles.items():
            values = np.maximum(drift[curve]["parameters"], 1e-9)
            x = np.arange(1, len(values) + 1)
            axis.semilogy(x, values, color=color, lw=width, label=CURVES[curve])
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("iterations", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    np.atleast_1d(axes)[0].set_ylabel("drift of the parameters", fontsize=8)
    handles, labels = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="lower center", ncols=3, fontsize=8, frameon=False
    )
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(path, pil_kwargs={"optimize": True})


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nets", nargs="+", choices=SOLVERS, default=NETS)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--items", type=int, default=32, help="pictures of a batch")
    parser.add_argument(
        "--json", help="where to keep all numbers, beside those of other nets"
    )
    parser.add_argument("--plot", help="where to draw the curves")
    parser.add_argument("--shipped", type=int, help="iterations of every solver")
    args = parser.parse_args()
    if args.shipped:
        for line in shipped_table(args.shipped, args.items):
            print(line, flush=True)
        return
    kept = Path(args.json) if args.json else None
    drifts = json.loads(kept.read_text()) if kept and kept.exists() else {}
    for name in args.nets:
        drifts[name] = measure(name, args.iterations, args.items)
        print(f"{name}: {drifts[name]['seconds']:.0f} s", flush=True)
    print(table(drifts))
    if kept:
        kept.write_text(json.dumps(drifts))
    if args.plot:
        plot(drifts, args.plot)


if __name__ == "__main__":
    main()
