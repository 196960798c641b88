"""The demo's handwritten digits: one in each window, or scattered over a page."""

from importlib import resources

import numpy as np
from PIL import Image

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
