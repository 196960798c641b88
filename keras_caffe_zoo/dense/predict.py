"""Maps over images larger than memory: by tiles, at several scales, on finer grids."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np

from keras_caffe_zoo.dense.grid import Grid, output_grid
from keras_caffe_zoo.dense.pixels import Pixels
from keras_caffe_zoo.preprocessing import resize_float
from keras_caffe_zoo.progress import Progress
from keras_caffe_zoo.runtimes import check_runtime, kept_runner

TILE = 1024  # pixels; activations of the zoo's nets then stay below 300 MB
_LARGE = 4096  # pixels, larger than any net's window


class DenseMap(np.ndarray):
    """A map of answers, (rows, columns, classes), that knows what its cells look at.

    Attributes:
        grid: The geometry of its cells, a `Grid`.

    Example:
        >>> image = keras.Input((None, None, 3))
        >>> model = keras.Model(image, keras.layers.MaxPool2D(4, 2)(image))
        >>> found = kcz.predict_dense(model, np.zeros((10, 12, 3)))
        >>> type(found).__name__, found.shape, found.grid.stride
        ('DenseMap', (4, 5, 3), (2, 2))
    """

    grid: Grid | None = None

    def __array_finalize__(self, source):
        self.grid = getattr(source, "grid", None)


def predict_dense(
    model: keras.Model,
    image: np.ndarray,
    *,
    tile: int | tuple[int, int] | None = None,
    overlap: str | int = "exact",
    batch_size: int = 1,
    stitch: int = 1,
    scales: Sequence[float] | None = None,
    preprocessing: str | None = None,
    progress: bool = True,
    runtime: str = "keras",
) -> DenseMap | dict[float, DenseMap]:
    """Map a fully convolutional net over an image of any size.

    A large image goes through the net by tiles, which overlap by what the cells at
    their borders look at: so their union is the map of the whole image, borders
    included. Memory is bounded by the tile; the image may be a `numpy.memmap`.

    Args:
        model: The net, for images `(N, None, None, C)`.
        image: One image (H, W, C). RGB uint8 is prepared for a net of the zoo, and for
            models that were made of one, as `preprocess_input` does it, tile by tile.
            Anything else goes in as it is.
        tile: Height and width of a tile in pixels; 1024 if not given. Tiles are made
            larger if one cell looks at more.
        overlap: `"exact"`, or a number of pixels to look around each tile's boxes: less
            is faster and leaves seams.
        batch_size: Tiles of the same size that go through the net at once.
        stitch: Make the grid this many times finer by shift and stitch: the image is
            shifted by stride / stitch pixels at a time, and the maps are interleaved.
            The net's stride must be divisible by it.
        scales: Sizes of the image, such as `(0.5, 1, 2)`, for a map of each.
        preprocessing: Name of the net of the zoo by whose rule RGB uint8 is prepared
            for a model of one's own.
        progress: Whether to show a progress bar where there are several tiles.
        runtime: What computes the maps: `"keras"`, `"onnxruntime"` or `"openvino"`, to
            the same numbers. The latter are for nets of Caffe's kinds of layers, on
            processors.

    Returns:
        The map, float32 (rows, columns, classes), with its geometry as `.grid`; a dict
        by scale if scales were given.

    Raises:
        ValueError: If the net gives no map, or the arguments do not fit; if the
            runtime cannot run the net (names the layers).
        ImportError: If the runtime is not installed.

    Warns:
        UserWarning: If values cannot be what a net of the zoo takes, such as RGB that
            nothing was subtracted from; or nobody says how RGB uint8 is to be prepared.

    Example:
        With the digits net that ships with the package, made fully convolutional: an
        answer every 8 pixels.

        >>> from keras_caffe_zoo import demo
        >>> digits, labels = demo.held_out_digits()
        >>> page, placed = demo.canvas(digits[:9], labels[:9], 96, 128, seed=1)
        >>> dense = demo.load(fully_convolutional=True)
        >>> found = kcz.predict_dense(dense, page)
        >>> found.shape, found.grid.box(1, 2)
        ((9, 13, 11), (8, 16, 43, 51))
        >>> kcz.predict_dense(dense, page, stitch=2).shape  # every 4 pixels
        (18, 26, 11)
    """
    check_runtime(runtime)
    if isinstance(image, str | os.PathLike):
        raise ValueError(
            f"Expected one image, an array; received: {os.fspath(image)!r}. Pass "
            "load_image(…) of it"
        )
    image = np.asanyarray(image)
    if image.ndim != 3 or image.shape[2] != model.inputs[0].shape[-1]:
        raise ValueError(
            f"Expected one image (H, W, {model.inputs[0].shape[-1]}); received: "
            f"shape {image.shape}"
        )
    run = _runner(model) if runtime == "keras" else kept_runner(model, runtime)
    plan = _Plan(model, run, _pair(tile), overlap, batch_size, progress)
    pixels = Pixels.of(model, image, preprocessing)

    def mapped(image) -> DenseMap:
        image, prepare = pixels.whole(image)
        return plan._replace(prepare=prepare).stitched(image, stitch)

    if scales is None:
        return mapped(image)
    return {scale: mapped(_scaled(image, scale)) for scale in scales}


def _pair(tile) -> tuple[int, int]:
    sides = (TILE, TILE) if tile is None else tile
    sides = sides if isinstance(sides, tuple) else (sides, sides)
    if len(sides) != 2 or any(not isinstance(s, int) or s < 1 for s in sides):
        raise ValueError(
            f"Expected `tile` as pixels or (height, width); received: tile={tile!r}"
        )
    return sides


def _scaled(image, scale) -> np.ndarray:
    if not scale > 0:
        raise ValueError(f"Expected positive `scales`; received: {scale!r}")
    size = tuple(max(1, round(side * scale)) for side in image.shape[:2])
    return resize_float(image, size)


class _Span(NamedTuple):
    """Cells `first` to `last` (out), and the pixels that a tile for them needs."""

    first: int
    last: int
    start: int
    end: int
    stride: int

    @property
    def pixels(self) -> slice:
        return slice(self.start, self.end)

    @property
    def cells(self) -> slice:
        """Return where the cells are in the tile's own map."""
        shift = self.start // self.stride
        return slice(self.first - shift, self.last - shift)


class _Plan(NamedTuple):
    """How images go through the net."""

    model: keras.Model
    run: Callable
    tile: tuple[int, int]
    overlap: str | int
    batch_size: int
    progress: bool
    prepare: Callable | None = None

    def stitched(self, image, stitch: int) -> DenseMap:
        """Return the map of an image on a grid `stitch` times as fine."""
        grid = self._grid(image.shape)
        if stitch < 1 or any(stride % stitch for stride in grid.stride):
            raise ValueError(
                f"Expected `stitch` to divide the net's stride {grid.stride}; "
                f"received: stitch={stitch}"
            )
        steps = [stride // stitch for stride in grid.stride]
        shifts = list(itertools.product(range(stitch), repeat=2))
        maps = {
            (i, j): self.map(image[i * steps[0] :, j * steps[1] :]) for i, j in shifts
        }
        if stitch == 1:
            result = maps[0, 0]
        else:
            result = _interleaved(maps, stitch)
            grid = grid._replace(stride=tuple(steps), shape=result.shape[:2])
        result = result.view(DenseMap)
        result.grid = grid
        return result

    def _grid(self, shape) -> Grid:
        try:
            return output_grid(self.model, shape)
        except ValueError as error:
            # Raises by itself if the net gives no map of any image.
            window = output_grid(self.model, (_LARGE, _LARGE)).window
            raise ValueError(
                f"Expected an image of about {window[0]} x {window[1]} pixels or more "
                f"for '{self.model.name}'; received: {shape[0]} x {shape[1]} ({error})"
            ) from error

    def map(self, image) -> np.ndarray:
        """Return the map of one image, tile by tile."""
        grid = self._grid(image.shape)
        rows, columns = (self._spans(grid, image.shape, axis) for axis in (0, 1))
        result = np.empty((*grid.shape, self.model.outputs[0].shape[-1]), "float32")
        tiles = list(itertools.product(rows, columns))
        show = self.progress and len(tiles) > 1
        with contextlib.closing(Progress(len(tiles), "tile", show)) as line:
            for batch in _alike(tiles, self.batch_size):
                pixels = np.stack([image[r.pixels, c.pixels] for r, c in batch])
                pixels = self.prepare(pixels) if self.prepare else pixels
                maps = self.run(pixels.astype("float32", copy=False))
                for (r, c), answer in zip(batch, maps, strict=True):
                    cells = answer[r.cells, c.cells]
                    result[r.first : r.last, c.first : c.last] = cells
                line.advance(len(batch))
        return result

    def _spans(self, grid: Grid, shape, axis: int) -> list[_Span]:
        """Return the tiles along one axis of the image."""
        size, stride = shape[axis], grid.stride[axis]
        field, offset = grid.field[axis], grid.field_offset[axis]
        if self.overlap != "exact":
            around = int(self.overlap)
            field = min(field, grid.window[axis] + 2 * around)
            offset = max(offset, grid.offset[axis] - around)
        if size <= self.tile[axis]:
            return [_Span(0, grid.shape[axis], 0, size, stride)]
        count = max(1, (self.tile[axis] - field) // stride + 1)
        spans = []
        for first in range(0, grid.shape[axis], count):
            last = min(first + count, grid.shape[axis])
            start = max(0, (first * stride + offset) // stride * stride)
            end = min(size, (last - 1) * stride + offset + field)
            end = size if last == grid.shape[axis] else end
            spans.append(_Span(first, last, start, end, stride))
        return spans


def _runner(model: keras.Model) -> Callable:
    """Return the model as a function of arrays, compiled once for all sizes."""
    if keras.config.backend() != "tensorflow":
        return model.predict_on_batch
    if "_dense_function" not in vars(model):
        import tensorflow as tf

        spec = tf.TensorSpec(model.inputs[0].shape, model.inputs[0].dtype)
        vars(model)["_dense_function"] = tf.function(
            lambda x: model(x, training=False), input_signature=[spec]
        )
    function = vars(model)["_dense_function"]
    return lambda pixels: function(pixels).numpy()


def _alike(tiles, most: int) -> Iterator[list]:
    """Yield tiles of one size together, at most so many at a time."""

    def size(tile):
        return tuple(span.end - span.start for span in tile)

    for _, same in itertools.groupby(sorted(tiles, key=size), size):
        same = list(same)
        for first in range(0, len(same), most):
            yield same[first : first + most]


def _interleaved(maps: dict, stitch: int) -> np.ndarray:
    """Return the cells of all shifts in their places.

    A shifted image may be one cell short, so the fine map ends where the first cell is
    missing.
    """
    rows = _until_missing([maps[i, 0].shape[0] for i in range(stitch)])
    columns = _until_missing([maps[0, j].shape[1] for j in range(stitch)])
    result = np.empty((rows, columns, maps[0, 0].shape[2]), "float32")
    for (i, j), part in maps.items():
        place = result[i::stitch, j::stitch]
        place[...] = part[: place.shape[0], : place.shape[1]]
    return result


def _until_missing(counts: list[int]) -> int:
    for fine in itertools.count():
        if fine // len(counts) >= counts[fine % len(counts)]:
            return fine
    raise AssertionError("counts are finite")
