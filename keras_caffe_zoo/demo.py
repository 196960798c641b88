"""The demo: a small Caffe net that ships with the package, from file to heat map."""

import time
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from keras_caffe_zoo.convert.importer import from_caffe

WINDOW = 32  # pixels, the net's input
STRIDE = 8  # pixels from one cell of the map to the next
DIGIT = 26  # pixels, how large a digit stands in its window
NOTHING = 10  # the class of a window that no digit is in the middle of
CLASSES = [*"0123456789", "nothing"]

_DATA = resources.files("keras_caffe_zoo") / "data" / "demo"


def held_out_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return digits that the net was not trained on.

    Returns:
        Images, uint8 (N, 8, 8), and their labels, (N,), from scikit-learn's
        `load_digits` (UCI's optical recognition of handwritten digits).
    """
    with (_DATA / "held_out.png").open("rb") as file:
        sheet = np.asarray(Image.open(file))
    rows, columns = sheet.shape[0] // 8, sheet.shape[1] // 8
    images = sheet.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    labels = (_DATA / "held_out_labels.txt").read_text().split()
    return images[: len(labels)], np.array(labels, int)


def windows(images: np.ndarray) -> np.ndarray:
    """Return 8 x 8 digits as the net's inputs, each in the middle of its window."""
    out = np.zeros((len(images), WINDOW, WINDOW, 1), "float32")
    start = (WINDOW - DIGIT) // 2
    for window, image in zip(out, images, strict=True):
        window[start : start + DIGIT, start : start + DIGIT, 0] = enlarged(image, DIGIT)
    return out


def enlarged(image: np.ndarray, size: int) -> np.ndarray:
    """Return an 8 x 8 digit enlarged to `size` pixels, smoothly."""
    return np.asarray(Image.fromarray(image).resize((size, size), Image.BICUBIC))


def canvas(images, labels, height: int, width: int, seed: int):
    """Scatter digits over a large canvas so that none touches another.

    Returns:
        The canvas, float32 (height, width, 1) in 0-255, and a list of
        `(label, row, column)` of the digits' centres.
    """
    rng = np.random.default_rng(seed)
    page = np.zeros((height, width, 1), "float32")
    taken = np.zeros((height, width), bool)
    placed = []
    for image, label in zip(images, labels, strict=True):
        size = int(rng.integers(DIGIT - 3, DIGIT + 4))
        for _ in range(50):
            row, column = rng.integers(3, (height - size - 3, width - size - 3))
            if not taken[
                row - 3 : row + size + 3, column - 3 : column + size + 3
            ].any():
                break
        else:
            continue  # no room left for this one
        spot = np.s_[row : row + size, column : column + size]
        taken[spot] = True
        page[spot] = enlarged(image, size)[..., None]
        placed.append((int(label), row + size / 2, column + size / 2))
    return page, placed


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

    from keras_caffe_zoo.plots import show_digits

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
