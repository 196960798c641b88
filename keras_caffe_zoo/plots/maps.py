"""Pictures: maps of probabilities over the image they are about."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from keras_caffe_zoo import labels
from keras_caffe_zoo.dense import Grid
from keras_caffe_zoo.digits import STRIDE, WINDOW
from keras_caffe_zoo.plots._figure import saved

# Okabe and Ito's colours and two more: ten that the colour-blind can tell apart.
_COLOURS = [
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#3b7dd8"),
    *("#d55e00", "#cc79a7", "#a6761d", "#7f3fbf", "#66a61e"),
]


def heatmap(
    image: np.ndarray,
    probabilities: np.ndarray,
    class_index: int | None = None,
    *,
    grid: Grid | None = None,
    class_names: Sequence[str] | None = None,
    top: int = 5,
    output: str | os.PathLike | None = None,
) -> Figure:
    """Draw the map of one class over the image, with a legend of the likeliest.

    Args:
        image: RGB uint8 or grey image, (H, W, 3) or (H, W), as large as the net saw it.
        probabilities: The net's map, (rows, columns, classes).
        class_index: The class to draw; the one that is surest anywhere if None.
        grid: The geometry of the map's cells, from `output_grid`; that of the map
            itself if `predict_dense` made it. Without either, the cells are spread
            evenly over the image, and the picture says so.
        class_names: Names of the classes; ImageNet's if there are 1000.
        top: How many classes the legend lists.
        output: Where to save the picture, if anywhere.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no such class or the map has not three axes.
    """
    grid = grid or getattr(probabilities, "grid", None)
    chances = np.asarray(probabilities)
    if chances.ndim != 3 or not -1 < (class_index or 0) < chances.shape[-1]:
        raise ValueError(
            "Expected a map (rows, columns, classes) and an index of a class in it; "
            f"received: shape {chances.shape}, class_index={class_index}"
        )
    best = chances.max((0, 1))
    index = int(best.argmax()) if class_index is None else int(class_index)
    names = _names(class_names, len(best))
    figure = _figure(image.shape)
    axes = figure.subplots()
    axes.imshow(image, cmap="gray")
    layer = _draw_map(axes, chances[..., index], grid or _even(image, chances))
    axes.set(xlim=(0, image.shape[1]), ylim=(image.shape[0], 0), xticks=[], yticks=[])
    approximate = "" if grid else " (cells spread evenly: no grid was given)"
    axes.set_title(names[index] + approximate)
    figure.colorbar(layer, label="probability", fraction=0.04, pad=0.02)
    handles = [
        Patch(color="none", label=f"{best[i]:6.1%}  {names[i]}")
        for i in _listed(best, index, top)
    ]
    figure.legend(handles=handles, loc="outside lower center", frameon=False)
    return saved(figure, output)


def _listed(best, index: int, top: int) -> list[int]:
    """Return the classes of the legend: the one that is drawn, then the likeliest."""
    others = [i for i in best.argsort()[::-1] if i != index]
    return [index, *others[: top - 1]]


def _draw_map(axes, chances, grid: Grid):
    """Draw a class's map, and the box where the net is surest of it."""
    most = max(float(chances.max()), 1e-3)
    layer = axes.imshow(
        chances,
        extent=_extent(chances.shape, grid),
        cmap="inferno",
        vmin=0,
        vmax=most,
        alpha=0.2 + 0.5 * chances / most,  # the picture shows through where nothing is
        interpolation="nearest",
    )
    row, column = np.unravel_index(chances.argmax(), chances.shape)
    _draw_box(axes, grid.box(row, column), f"{chances.max():.1%}")
    return layer


def _names(names, count: int) -> list[str]:
    if names is None and count == 1000:
        names = [name for _, name in labels.class_names()]
    names = [f"class {i}" for i in range(count)] if names is None else list(names)
    if len(names) != count:
        raise ValueError(f"Expected {count} `class_names`; received: {len(names)}")
    return names


def _even(image, chances) -> Grid:
    """Return the geometry of cells that are spread evenly over an image."""
    shape = chances.shape[:2]
    stride = tuple(s / n for s, n in zip(image.shape, shape, strict=False))
    return Grid(shape, stride, stride, (0, 0), stride, (0, 0))


def show_digits(page, probabilities, found, output=None) -> Figure:
    """Draw the demo's page, what the net sees where, and the digits it found.

    Args:
        page: The canvas, (H, W, 1) in 0-255.
        probabilities: The net's map, its last class being "nothing".
        found: `(label, row, column)` of each digit found, in pixels.
        output: Where to save the picture, if anywhere.
    """
    window = (WINDOW, WINDOW)
    shape = probabilities.shape[:2]
    grid = Grid(shape, window, (STRIDE, STRIDE), (0, 0), window, (0, 0))
    figure = Figure(figsize=(11, 10.6), layout="constrained", facecolor="white")
    above, below = figure.subplots(2, 1)
    height, width = page.shape[:2]
    for axes in (above, below):
        axes.imshow(255 - page[..., 0], cmap="gray", vmin=0, vmax=255)
        axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    above.set_title("A page of handwritten digits that the net was not trained on")
    below.set_title("One pass of the fully convolutional net: which digit, and where")
    colours = [tuple(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)) for c in _COLOURS]
    tint = np.array(colours)[probabilities[..., :-1].argmax(-1)]
    strength = 0.75 * (1 - probabilities[..., -1:])
    cells = np.concatenate([tint, strength], -1)
    below.imshow(cells, extent=_extent(cells.shape, grid), interpolation="nearest")
    for label, row, column in found:
        below.text(
            column + 13,
            row - 9,
            str(label),
            ha="center",
            va="center",
            fontsize=8,
            weight="bold",
            bbox={"boxstyle": "circle,pad=0.15", "fc": colours[label], "lw": 0},
        )
    legend = [Patch(color=c, label=str(i)) for i, c in enumerate(colours)]
    figure.legend(handles=legend, loc="outside lower center", ncols=10, frameon=False)
    return saved(figure, output)


def _extent(shape, grid: Grid) -> tuple[float, float, float, float]:
    """Return where a map lies on its image: each cell around the centre of its box."""
    sides = []
    for axis in (1, 0):
        centre = grid.offset[axis] + grid.window[axis] / 2
        first = centre - grid.stride[axis] / 2
        sides += [first, first + shape[axis] * grid.stride[axis]]
    left, right, top, bottom = sides
    return left, right, bottom, top


def _draw_box(axes, box, text: str) -> None:
    top, left, bottom, right = box
    size = right - left, bottom - top
    axes.add_patch(Rectangle((left, top), *size, fill=False, ec="white", lw=2))
    axes.text(left + 5, top + 5, text, color="white", va="top", weight="bold")


def _figure(shape) -> Figure:
    height, width = shape[:2]
    across = 9.0
    return Figure(
        figsize=(across + 1, across * height / width + 1.6),
        layout="constrained",
        facecolor="white",
    )
