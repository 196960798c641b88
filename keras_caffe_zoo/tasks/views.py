"""How a net that labels pixels is shown a picture, and its maps are put together.

A view makes inputs of a picture, and of the net's maps the scores of what it showed,
from the first to the last pixel of the picture, whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from keras_caffe_zoo.preprocessing.resizing import resize
from keras_caffe_zoo.tasks.net import TaskNet

Size = tuple[int, int]
LARGEST = 1_000_000  # pixels of a picture that is shown as it is
_STEP = 2 / 3  # of a window, from one to the next, as PSPNet's authors have it
_WIDEST = 64  # rows and columns that are tried, beyond a picture's own


class Whole:
    """The picture, squeezed into the size that the net has.

    Args:
        net: The net.
    """

    def __init__(self, net: TaskNet):
        self._net = net

    def inputs(self, pixels: np.ndarray) -> tuple[list[np.ndarray], Size]:
        """Return what the net is given, and the size of what it is shown."""
        return [self._net.prepare(pixels)], self._net.size

    def scores(self, maps: Sequence[np.ndarray], shown: Size) -> np.ndarray:
        """Return the scores of what was shown, `(rows, columns, classes)`."""
        return maps[0]


class AsItIs:
    """The picture in its own size, for a net that takes any.

    Rows and columns of the mean are added below and to the right, until the net's map
    has the size of its input, as with nets whose sides are multiples of 8. The map of a
    net that has no such size is stretched over the picture.

    Args:
        net: The net.
        model: Its model, which ends with the map.
        side: Length of the shortest side, to which the picture is resized; its own if
            None, unless it has more than `LARGEST` pixels.
    """

    def __init__(self, net: TaskNet, model, side: int | None = None):
        self._net, self._model, self._side = net, model, side
        self._padded: dict[Size, Size | None] = {}

    def inputs(self, pixels: np.ndarray) -> tuple[list[np.ndarray], Size]:
        """Return what the net is given, and the size of what it is shown."""
        size = pixels.shape[:2]
        if self._side:
            size = scaled(size, self._side / min(size))
        elif math.prod(size) > LARGEST:
            size = scaled(size, math.sqrt(LARGEST / math.prod(size)))
        x = self._net.prepare(resize(pixels, size))
        return [padded(x, self._fitting(size) or size)], size

    def scores(self, maps: Sequence[np.ndarray], shown: Size) -> np.ndarray:
        """Return the scores of what was shown, `(rows, columns, classes)`."""
        (found,) = maps
        if found.shape[:2] != self._fitting(shown):
            return found
        return found[: shown[0], : shown[1]]

    def _fitting(self, size: Size) -> Size | None:
        """Return the least size from `size` on whose map is as large; None if none."""
        if size not in self._padded:
            self._padded[size] = _fitting(self._model, size)
        return self._padded[size]


class Windows:
    """Windows of the net's size, slid over the picture, their chances averaged.

    So PSPNet's authors do it: windows overlap by a third, what a picture lacks below
    and to the right is the mean, and each pixel has the mean of the probabilities that
    the windows over it give. (They also add those of the mirror image.)

    Args:
        net: The net.
        side: Length of the picture's shortest side, to which it is resized.
        longest: Length of its longest side instead.
        chances: Makes probabilities of the net's maps.
    """

    def __init__(
        self,
        net: TaskNet,
        *,
        side: int | None = None,
        longest: int | None = None,
        chances: Callable[[np.ndarray], np.ndarray],
    ):
        self._net, self._side, self._longest = net, side, longest
        self._chances = chances

    def inputs(self, pixels: np.ndarray) -> tuple[list[np.ndarray], Size]:
        """Return what the net is given, and the size of what it is shown."""
        size = pixels.shape[:2]
        longest, side = self._longest, self._side
        size = scaled(size, longest / max(size) if longest else side / min(size))
        pixels = resize(pixels, size)
        return [self._input(pixels[box]) for box in self._boxes(size)], size

    def _input(self, pixels: np.ndarray) -> np.ndarray:
        rows, columns = pixels.shape[:2]
        x = self._net.recipe(padded(pixels, self._net.size))
        x[rows:] = x[:, columns:] = 0  # the mean
        return x

    def scores(self, maps: Sequence[np.ndarray], shown: Size) -> np.ndarray:
        """Return the scores of what was shown, `(rows, columns, classes)`."""
        total = np.zeros((*shown, maps[0].shape[-1]), "float32")
        times = np.zeros((*shown, 1), "float32")
        for box, found in zip(self._boxes(shown), maps, strict=True):
            rows, columns = total[box].shape[:2]
            total[box] += self._chances(found)[:rows, :columns]
            times[box] += 1
        return total / times

    def _boxes(self, size: Size) -> list[tuple[slice, slice]]:
        pairs = zip(size, self._net.size, strict=True)
        down, across = (_starts(*pair) for pair in pairs)
        height, width = self._net.size
        return [
            (slice(top, top + height), slice(left, left + width))
            for top in down
            for left in across
        ]


def _starts(length: int, window: int) -> list[int]:
    """Return where windows begin along an axis; the last ends with it."""
    if length <= window:
        return [0]
    step = math.ceil(window * _STEP)
    count = math.ceil((length - window) / step) + 1
    return [min(i * step, length - window) for i in range(count)]


def scaled(size: Size, factor: float) -> Size:
    """Return a size of the same proportions, at least a pixel each way."""
    return tuple(max(1, round(length * factor)) for length in size)


def padded(array: np.ndarray, size: Size) -> np.ndarray:
    """Return an image with zeros below and to the right."""
    missing = [(0, n - m) for n, m in zip(size, array.shape, strict=False)]
    return np.pad(array, [*missing, (0, 0)]) if np.any(missing) else array


def _fitting(model, size: Size) -> Size | None:
    """Return the least size, from one on, whose map is as large; None if none is."""
    found: list[int | None] = [None, None]
    for more in range(_WIDEST):
        tried = [known or n + more for known, n in zip(found, size, strict=True)]
        try:
            shape = model.compute_output_shape((1, *tried, model.inputs[0].shape[-1]))
        except ValueError:  # a net that joins maps which do not fit each other
            continue
        fits = [n == m for n, m in zip(tried, shape[1:3], strict=True)]
        found = [n if fit else None for n, fit in zip(tried, fits, strict=True)]
        if all(fits):
            return tuple(found)
    return None
