"""The demo: two small Caffe nets that ship with the package, from file to picture."""

import time
from importlib import resources
from pathlib import Path

import numpy as np

from keras_caffe_zoo.conversion import from_caffe
from keras_caffe_zoo.dense import predict_dense
from keras_caffe_zoo.detection_rows import detections
from keras_caffe_zoo.digits import (
    CLASSES,
    FOLDER,
    NOTHING,
    PAPER,
    STRIDE,
    WINDOW,
    canvas,
    held_out_digits,
    windows,
    written_page,
)
from keras_caffe_zoo.files import make_folder
from keras_caffe_zoo.plots import show_digit_boxes, show_digits

__all__ = [
    "CLASSES",
    "FOLDER",
    "NOTHING",
    "STRIDE",
    "WINDOW",
    "canvas",
    "find_boxes",
    "find_digits",
    "held_out_digits",
    "load",
    "load_ssd",
    "matched",
    "matches",
    "overlap",
    "run",
    "windows",
    "written_page",
]

SECOND = 7  # the seed of the second page, on which the SSD finds all


def load(fully_convolutional: bool = False):
    """Return the demo's net, read from its Caffe files."""
    shape = (None, None, 1) if fully_convolutional else None
    return _read("digits", input_shape=shape, fully_convolutional=fully_convolutional)


def load_ssd():
    """Return the demo's SSD, which finds the digits of a page, read likewise."""
    return _read("digits_ssd")


def _read(name: str, **options):
    with (
        resources.as_file(FOLDER / f"{name}.prototxt") as prototxt,
        resources.as_file(FOLDER / f"{name}.caffemodel") as caffemodel,
    ):
        return from_caffe(prototxt, caffemodel, **options)


def run(folder: Path) -> None:
    """Run the demo: print what it does and finds, and write its two pictures.

    Args:
        folder: Where to write them; made if it is not there.

    Raises:
        NotADirectoryError: If it is a file.
    """
    make_folder(folder, "the demo's pictures")
    images, labels = held_out_digits()
    _classify(images, labels)
    _map(images[:72], labels[:72], folder / "digits_heatmap.png")
    _detect(images[300:350], labels[300:350], folder / "digits_boxes.png")
    print(_NEXT.format(folder=folder.absolute()))


_NEXT = """The pictures are in {folder}:
   digits_heatmap.png   which digit the first net sees where
   digits_boxes.png     the boxes, labels and scores of the second

Next, with published nets (each is downloaded once) and pictures of yours:
   keras-caffe-zoo list
   keras-caffe-zoo classify photo.jpg --model squeezenet_v1_1
   keras-caffe-zoo detect street.jpg --model mobilenet_ssd
or with Caffe files of yours:
   keras-caffe-zoo inspect net.prototxt"""


def _classify(images, labels) -> None:
    print("1. Read a Caffe net: digits.prototxt and digits.caffemodel")
    model = load()
    print(f"   {_size(model)}\n")
    print("2. Classify handwritten digits that it was not trained on")
    guesses = model.predict(windows(images), verbose=0)[:, :NOTHING].argmax(-1)
    right = int((guesses == labels).sum())
    print(f"   {right} of {len(labels)} right: {right / len(labels):.1%}\n")


def _map(images, labels, output: Path) -> None:
    """Map the first page and draw it."""
    print("3. Make it fully convolutional, and look at a whole page of digits")
    page, placed = canvas(images, labels, 320, 704, seed=4)
    dense = load(fully_convolutional=True)
    started = time.perf_counter()
    probabilities = predict_dense(dense, page, stitch=2, progress=False)
    seconds = time.perf_counter() - started
    found = find_digits(probabilities)
    hits = sum(matches(digit, placed) for digit in found)
    cells = "{} x {}".format(*probabilities.shape[:2])
    print(f"   a map of {cells} answers in {seconds:.1f} s (compiling included)")
    print(f"   {_found(hits, len(placed), len(found))}\n")
    show_digits(page, probabilities, found, output)


def _detect(images, labels, output: Path) -> None:
    """Find the digits of the second page and draw it."""
    print("4. Read a Caffe detector, an SSD: digits_ssd.prototxt and .caffemodel")
    model = load_ssd()
    print(f"   {_size(model)}\n")
    print("5. Find digits of any size on another page, with boxes")
    page, placed = written_page(images, labels, *model.input_shape[1:3], seed=SECOND)
    started = time.perf_counter()
    found = find_boxes(model, page)
    seconds = time.perf_counter() - started
    hits = len(matched(found, placed))
    print(f"   answers in {seconds:.1f} s (compiling included)")
    print(f"   {_found(hits, len(placed), len(found))}\n")
    show_digit_boxes(page, found, output)


def _size(model) -> str:
    return f"{len(model.layers)} Keras layers, {model.count_params():,} parameters"


def _found(hits: int, there: int, found: int) -> str:
    return f"{hits} of {there} digits found, {found - hits} false"


def find_boxes(model, page: np.ndarray, threshold: float = 0.5) -> list[tuple]:
    """Return the digits that the SSD finds on a page, the surest first.

    Args:
        model: The SSD.
        page: uint8 (H, W), of the net's size.
        threshold: The least score.

    Returns:
        `(label, score, box)` of each, the box (left, top, right, bottom) in pixels.
    """
    height, width = page.shape
    images = page[None, ..., None].astype("float32") - PAPER
    rows = detections(model.predict(images, verbose=0))
    rows = rows[rows[:, 2] > threshold]
    rows = rows[np.argsort(-rows[:, 2], kind="stable")]
    boxes = rows[:, 3:] * [width, height, width, height]
    return [
        (int(label) - 1, float(score), tuple(box.tolist()))
        for (label, score), box in zip(rows[:, 1:3], boxes, strict=True)
    ]


def matched(found: list[tuple], placed: list[tuple]) -> dict[int, int]:
    """Return which detections are digits of the page, each digit once.

    Args:
        found: What `find_boxes` returns.
        placed: What `written_page` returns.

    Returns:
        By the number of a detection that of the digit, which has its label, and more
        than half of both together in common with it.
    """
    free, pairs = list(range(len(placed))), {}
    for index, (label, _, box) in enumerate(found):
        good = [i for i in free if placed[i][0] == label]
        best = max(good, key=lambda i: overlap(placed[i][1:], box), default=None)
        if best is not None and overlap(placed[best][1:], box) > 0.5:
            pairs[index] = best
            free.remove(best)
    return pairs


def overlap(one, other) -> float:
    """Return the intersection over union of two boxes (left, top, right, bottom)."""
    one, other = np.asarray(one, float), np.asarray(other, float)
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    both = np.prod(np.maximum(high - low, 0))
    return both / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - both)


def find_digits(probabilities: np.ndarray, threshold: float = 0.5) -> list[tuple]:
    """Return the digits of a map as `(label, row, column)` of their centres in pixels.

    A digit shows in several cells with nearly the same certainty, so the cells around
    add to a cell's score: then its middle stands out. Of equal cells the last counts.
    The centre is that of all the cells around, each as heavy as it is sure.
    """
    grid = getattr(probabilities, "grid", None)  # cells may be closer than a stride
    stride = grid.stride[0] if grid else STRIDE
    near = STRIDE // stride
    probabilities = np.asarray(probabilities)
    digit = 1.0 - probabilities[..., NOTHING].astype("float64")
    score = digit + _around(digit, 2 * near + 1, 0.0).mean((2, 3))
    score += 1e-9 * np.arange(score.size).reshape(score.shape)
    peak = score >= _around(score, 4 * near + 1, -1.0).max((2, 3))
    rows, columns = np.nonzero(peak & (digit > threshold))
    labels = probabilities[rows, columns, :NOTHING].argmax(-1)
    weights = _around(digit, 4 * near + 1, 0.0)[rows, columns]
    steps = np.arange(-2 * near, 2 * near + 1)
    total = weights.sum((1, 2))
    rows = rows + weights.sum(2) @ steps / total
    columns = columns + weights.sum(1) @ steps / total
    half = WINDOW / 2
    return [
        (int(label), float(row * stride + half), float(column * stride + half))
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
