"""What happens between MTCNN's nets, in the authors' numbers.

Corners are pixels counted from 1, so that a box from x1 to x2 is x2 - x1 + 1 wide. The
nets take pictures whose rows are the columns of what we see, and so are their maps.

Reference:
    K. Zhang et al. (2016), and `detect_face` of their MTCNNv1.
"""

from collections.abc import Iterator

import numpy as np

from keras_caffe_zoo.arithmetic.suppression import nms
from keras_caffe_zoo.preprocessing.resizing import resize_float

WINDOW, STRIDE = 12, 2  # of P-Net, in pixels
FACTOR = 0.709  # from one level of the pyramid to the next
ON_A_LEVEL, AMONG_ALL = 0.5, 0.7  # overlaps above which the lesser box goes


def pyramid(pixels: np.ndarray, smallest: float) -> Iterator[tuple[float, np.ndarray]]:
    """Yield a picture in the sizes in which P-Net looks for faces of 12 pixels.

    Args:
        pixels: RGB array `(H, W, 3)`.
        smallest: Least side of a face in pixels.

    Yields:
        By how much the picture is enlarged, and float32 `(W', H', 3)`, its rows the
        columns of the picture.
    """
    for scale in scales(pixels.shape, smallest):
        sides = tuple(int(np.ceil(side * scale)) for side in pixels.shape[:2])
        yield scale, resize_float(pixels, sides).swapaxes(0, 1)


def scales(shape, smallest: float) -> list[float]:
    """Return by how much a picture is enlarged on each level of its pyramid.

    Args:
        shape: The picture's height and width, and what may follow.
        smallest: Least side of a face in pixels.
    """
    first, found = WINDOW / smallest, []
    side = min(shape[:2]) * first
    while side >= WINDOW:
        found.append(first * FACTOR ** len(found))
        side *= FACTOR
    return found


def proposed(chances, moves, scale: float, threshold: float) -> tuple:
    """Return the windows of a level that P-Net takes for faces, in the picture.

    Args:
        chances: `(columns, rows)`, how sure it is of each window.
        moves: `(columns, rows, 4)`, by how much the corners are to be moved.
        scale: By how much the picture is enlarged on the level.
        threshold: Least chance.

    Returns:
        `(boxes, scores, moves)` of those that do not overlap much.
    """
    place = np.nonzero(chances >= threshold)
    corner = STRIDE * np.stack(place, axis=1)
    corners = np.concatenate([corner + 1, corner + WINDOW], axis=1)
    boxes, scores = np.fix(corners / scale), chances[place]
    stay = suppressed(boxes, scores, ON_A_LEVEL)
    return boxes[stay], scores[stay], moves[place][stay]


def joined(found: list[tuple]) -> np.ndarray:
    """Return the square windows for R-Net, of what `proposed` found on all levels."""
    if not found:
        return np.zeros((0, 4))
    boxes, scores, moves = map(np.concatenate, zip(*found, strict=True))
    stay = suppressed(boxes, scores, AMONG_ALL)
    boxes, moves = boxes[stay], moves[stay]
    return squares(boxes + moves * _sides(boxes))  # here, widths are x2 - x1


def refined(boxes, chances, moves, threshold: float) -> np.ndarray:
    """Return the square windows for O-Net, of R-Net's answers to its own.

    Args:
        boxes: The windows, `(N, 4)`.
        chances: `(N,)`.
        moves: `(N, 4)`.
        threshold: Chance that a face has to be above.
    """
    sure = chances > threshold
    boxes, scores, moves = boxes[sure], chances[sure], moves[sure]
    stay = suppressed(boxes, scores, AMONG_ALL)
    return squares(moved(boxes[stay], moves[stay]))


def decided(boxes, chances, moves, points, threshold: float) -> tuple:
    """Return the faces, of O-Net's answers to its windows; the surest first.

    Args:
        boxes: The windows, `(N, 4)`.
        chances: `(N,)`.
        moves: `(N, 4)`.
        points: `(N, 10)`: x of five points, then y, in parts of the window.
        threshold: Chance that a face has to be above.

    Returns:
        Boxes `(M, 4)`, scores `(M,)`, and points `(M, 5, 2)`.
    """
    sure = chances > threshold
    boxes, scores, moves, points = (x[sure] for x in (boxes, chances, moves, points))
    sides = _sides(boxes)[:, None, :2] + 1
    points = points.reshape(-1, 2, 5).swapaxes(1, 2)
    points = points * sides + boxes[:, None, :2] - 1
    boxes = moved(boxes, moves)
    stay = suppressed(boxes, scores, AMONG_ALL, "min")
    return boxes[stay], scores[stay], points[stay]


def suppressed(boxes, scores, threshold: float, mode: str = "union") -> np.ndarray:
    """Return which boxes stay; of equal scores the authors prefer the later one."""
    last = len(scores) - 1
    return last - nms(boxes[::-1], scores[::-1], threshold, mode, plus_one=True)


def moved(boxes: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return boxes whose corners are moved, by parts of their width and height."""
    return boxes + moves * (_sides(boxes) + 1)


def squares(boxes: np.ndarray) -> np.ndarray:
    """Return the least squares around the centres of boxes, of whole pixels.

    Fractions are dropped, towards 0. Those that have no pixel are left out.
    """
    sides = _sides(boxes)[:, :2]
    longest = sides.max(axis=1, keepdims=True)
    first = boxes[:, :2] + sides * 0.5 - longest * 0.5
    boxes = np.fix(np.concatenate([first, first + longest], axis=1))
    return boxes[(boxes[:, 2:] >= boxes[:, :2]).all(axis=1)]


def windows(pixels: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """Return windows of a picture, resized as OpenCV does; black outside of it.

    Args:
        pixels: RGB uint8 array `(H, W, 3)`.
        boxes: `(N, 4)`, of whole pixels.
        side: Height and width that the windows are to have.

    Returns:
        Float32 `(N, side, side, 3)`, its rows the columns of the picture.
    """
    height, width = pixels.shape[:2]
    *rows, down = _neighbours(boxes[:, 1], boxes[:, 3], side, height)
    *columns, across = _neighbours(boxes[:, 0], boxes[:, 2], side, width)
    framed = np.pad(pixels, ((1, 1), (1, 1), (0, 0)))  # all that is outside

    def between(column):
        above, below = (
            framed[row[:, None], column[:, :, None]].astype("float32") for row in rows
        )
        return above + (below - above) * down[:, None, :, None]

    left, right = map(between, columns)
    return left + (right - left) * across[:, :, None, None]


def _neighbours(first, last, side: int, limit: int) -> tuple:
    """Return new pixels' two old neighbours, counted from 1, and the second's weight.

    Args:
        first: First pixels of the windows along an axis, `(N,)`.
        last: Last pixels.
        side: How many new pixels there are.
        limit: The axis' length; what is outside is 0.

    Returns:
        Each `(N, side)`.
    """
    size = (last - first + 1)[:, None]
    centre = ((np.arange(side) + 0.5) * (size / side) - 0.5).clip(0, size - 1)
    before = np.floor(centre)
    pair = before, np.minimum(before + 1, size - 1)
    places = [first[:, None] + place for place in pair]
    inside = [np.where(p <= limit, p.clip(0), 0).astype(int) for p in places]
    return *inside, (centre - before).astype("float32")


def _sides(boxes: np.ndarray) -> np.ndarray:
    """Return x2 - x1 and y2 - y1, twice: `(N, 4)`."""
    return np.tile(boxes[:, 2:] - boxes[:, :2], 2)
