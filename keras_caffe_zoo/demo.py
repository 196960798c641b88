"""The demo: a small Caffe net that ships with the package, from file to heat map."""

import time
from importlib import resources
from pathlib import Path

import numpy as np

from keras_caffe_zoo.conversion import from_caffe
from keras_caffe_zoo.digits import (
    CLASSES,
    NOTHING,
    STRIDE,
    WINDOW,
    canvas,
    held_out_digits,
    windows,
)
from keras_caffe_zoo.plots import show_digits

__all__ = [
    "CLASSES",
    "NOTHING",
    "STRIDE",
    "WINDOW",
    "canvas",
    "find_digits",
    "held_out_digits",
    "load",
    "matches",
    "run",
    "windows",
]

_DATA = resources.files("keras_caffe_zoo") / "data" / "demo"


def load(fully_convolutional: bool = False):
    """Return the demo's net, read from its Caffe files."""
    shape = (None, None, 1) if fully_convolutional else None
    with (
        resources.as_file(_DATA / "digits.prototxt") as prototxt,
        resources.as_file(_DATA / "digits.caffemodel") as caffemodel,
    ):
        return from_caffe(
            prototxt,
            caffemodel,
            input_shape=shape,
            fully_convolutional=fully_convolutional,
        )


def run(output: Path) -> dict:
    """Run the demo and write its picture.

    Args:
        output: Path of the PNG.

    Returns:
        What it printed, by name: accuracy, digits found, seconds.
    """
    images, labels = held_out_digits()
    print("1. Read a Caffe network: digits.prototxt and digits.caffemodel")
    model = load()
    print(f"   {len(model.layers)} Keras layers, {model.count_params():,} parameters\n")

    print("2. Classify handwritten digits that it was not trained on")
    guesses = model.predict(windows(images), verbose=0)[:, :NOTHING].argmax(-1)
    right = int((guesses == labels).sum())
    accuracy = right / len(labels)
    print(f"   {right} of {len(labels)} right: {accuracy:.1%}\n")

    print("3. Turn its inner products into convolutions, look at a whole page at once")
    page, placed = canvas(images[:72], labels[:72], 320, 704, seed=4)
    dense = load(fully_convolutional=True)
    started = time.perf_counter()
    probabilities = dense.predict(page[None], verbose=0)[0]
    seconds = time.perf_counter() - started
    found = find_digits(probabilities)
    hits = sum(matches(digit, placed) for digit in found)
    cells = "{} x {}".format(*probabilities.shape[:2])
    print(f"   a map of {cells} answers in {seconds:.2f} s (compiling included)")
    print(f"   {hits} of {len(placed)} digits found, {len(found) - hits} false\n")

    show_digits(page, probabilities, found, output)
    print(f"4. The heat map is in {output}")
    return {"accuracy": accuracy, "found": hits, "digits": len(placed)}


def find_digits(probabilities: np.ndarray, threshold: float = 0.5) -> list[tuple]:
    """Return the peaks of a map of digits as `(label, row, column)` in pixels.

    A digit shows in several cells with nearly the same certainty, so the cells around
    add to a cell's score: then its middle stands out. Of equal cells the last counts.
    """
    digit = 1.0 - probabilities[..., NOTHING].astype("float64")
    score = digit + _around(digit, 3, 0.0).mean((2, 3))
    score += 1e-9 * np.arange(score.size).reshape(score.shape)
    peak = score >= _around(score, 5, -1.0).max((2, 3))
    rows, columns = np.nonzero(peak & (digit > threshold))
    labels = probabilities[rows, columns, :NOTHING].argmax(-1)
    half = WINDOW / 2
    return [
        (int(label), row * STRIDE + half, column * STRIDE + half)
        for label, row, column in zip(labels, rows, columns, strict=True)
    ]


def _around(values: np.ndarray, size: int, outside: float) -> np.ndarray:
    """Return the `size` x `size` cells around each cell."""
    padded = np.pad(values, size // 2, constant_values=outside)
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size))


def matches(digit: tuple, placed: list[tuple]) -> bool:
    """Tell whether a digit that was found is one that was placed there."""
    label, row, column = digit
    return any(
        label == other and abs(row - r) <= STRIDE and abs(column - c) <= STRIDE
        for other, r, c in placed
    )
