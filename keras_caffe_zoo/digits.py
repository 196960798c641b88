"""The demo's handwritten digits: in windows, scattered on a canvas, on a page."""

from importlib import resources

import numpy as np
from PIL import Image

WINDOW = 32  # pixels, the net's input
STRIDE = 8  # pixels from one cell of the map to the next
DIGIT = 26  # pixels, how large a digit stands in its window
NOTHING = 10  # the class of a window that no digit is in the middle of
CLASSES = [*"0123456789", "nothing"]

SIZES = 24, 72  # pixels, of the digits of a written page
TILT = 12  # degrees, how much they may lean
PAPER = 225  # how light it is, the mean that the SSD's pictures are less by

FOLDER = resources.files("keras_caffe_zoo") / "data" / "demo"


def held_out_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return digits that the net was not trained on.

    Returns:
        Images, uint8 (N, 8, 8), and their labels, (N,), from scikit-learn's
        `load_digits` (UCI's optical recognition of handwritten digits).
    """
    with (FOLDER / "held_out.png").open("rb") as file:
        sheet = np.asarray(Image.open(file))
    rows, columns = sheet.shape[0] // 8, sheet.shape[1] // 8
    images = sheet.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    labels = (FOLDER / "held_out_labels.txt").read_text("utf-8").split()
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
        spot = _room(taken, (size, size), rng)
        if spot is None:
            continue
        page[spot] = enlarged(image, size)[..., None]
        row, column = (side.start + size / 2 for side in spot)
        placed.append((int(label), row, column))
    return page, placed


def written_page(images, labels, height: int, width: int, seed: int):
    """Write digits of many sizes on grey paper, some aslant, none touching another.

    Returns:
        The page, uint8 (height, width), dark on light, and a list of
        `(label, left, top, right, bottom)`: the boxes of the digits' ink in pixels.
    """
    rng = np.random.default_rng(seed)
    ink = np.zeros((height, width), "float32")
    taken = np.zeros((height, width), bool)
    sizes = np.exp(rng.uniform(*np.log(SIZES), len(images))).astype(int)
    order = np.argsort(-sizes)  # there is room for the small ones to the last
    placed = []
    for image, label, size in zip(
        images[order], labels[order], sizes[order], strict=True
    ):
        digit = _drawn(image, int(size), rng.uniform(-TILT, TILT))
        spot = _room(taken, digit.shape, rng)
        if spot is None:
            continue
        ink[spot] = digit * rng.uniform(0.55, 0.95)
        (top, bottom), (left, right) = ((side.start, side.stop) for side in spot)
        placed.append((int(label), left, top, right, bottom))
    page = _paper(height, width, rng) - ink * PAPER
    return np.clip(np.rint(page), 0, 255).astype("uint8"), placed


def _drawn(image: np.ndarray, size: int, angle: float) -> np.ndarray:
    """Return a digit as strokes of a pen, aslant: 1 where there is ink.

    Its edges are as sharp at any size, where the enlarged digit's would be blurred.
    """
    tall = size * 10 // 8
    digit = Image.fromarray(enlarged(np.pad(image, 1), tall))
    digit = np.asarray(digit.rotate(angle, Image.BICUBIC, expand=True))
    digit = np.clip((digit - 138.0) * (size / 6000) + 0.5, 0, 1)
    rows, columns = (np.flatnonzero((digit > 0.5).any(axis)) for axis in (1, 0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _room(taken: np.ndarray, size: tuple[int, int], rng) -> tuple[slice, slice] | None:
    """Take a free spot of a page, 3 pixels from all others; None if none is found."""
    (height, width), (tall, wide) = taken.shape, size
    for _ in range(50):
        row, column = rng.integers(3, (height - tall - 3, width - wide - 3))
        around = taken[row - 3 : row + tall + 3, column - 3 : column + wide + 3]
        if not around.any():
            spot = np.s_[row : row + tall, column : column + wide]
            taken[spot] = True
            return spot
    return None


def _paper(height: int, width: int, rng) -> np.ndarray:
    """Return grey paper: unevenly lit, with noise."""
    shade = Image.fromarray(rng.normal(0, 9, (3, 5)).astype("float32"))
    shade = np.asarray(shade.resize((width, height), Image.BICUBIC))
    grain = rng.normal(0, rng.uniform(2, 9), (height, width))
    return PAPER + shade + grain
