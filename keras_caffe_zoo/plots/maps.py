"""Pictures: maps of probabilities over the image they are about."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from keras_caffe_zoo import labels
from keras_caffe_zoo.dense import Grid
from keras_caffe_zoo.plots._figure import extent_of, saved


def heatmap(
    image: np.ndarray,
    probabilities: np.ndarray,
    class_index: int | str | None = None,
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
        class_index: The class to draw: its number, or its name or part of that, such
            as `"tabby"`; the one that is surest anywhere if None.
        grid: The geometry of the map's cells, from `output_grid`; that of the map
            itself if `predict_dense` made it. Without either, the cells are spread
            evenly over the image, and the picture says so.
        class_names: Names of the classes; ImageNet's if there are 1000.
        top: How many classes the legend lists.
        output: Where to save the picture, if anywhere.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no such class, a name means several, or the map has not
            three axes.

    Example:
        >>> picture, chances = np.zeros((96, 128, 3), "uint8"), np.full((3, 4, 2), 0.1)
        >>> chances[1, 2, 1] = 0.8
        >>> figure = kcz.plots.heatmap(picture, chances, class_names=["dog", "cat"])
        >>> figure.axes[0].get_title()
        'cat (cells spread evenly: no grid was given)'
        >>> names = ["hound", "tabby cat"]
        >>> figure = kcz.plots.heatmap(picture, chances, "cat", class_names=names)
        >>> figure.axes[0].get_title()
        'tabby cat (cells spread evenly: no grid was given)'
    """
    grid = grid or getattr(probabilities, "grid", None)
    chances = np.asarray(probabilities)
    if isinstance(class_index, str) and chances.ndim == 3:
        class_index = _named(class_index, class_names, chances.shape[-1])
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
        extent=extent_of(chances.shape, grid),
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


def _named(text: str, names, count: int) -> int:
    """Return the index of the class that a name means."""
    if names is None and count == 1000:
        pairs = labels.class_names()
    else:
        pairs = [("", name) for name in _names(names, count)]
    return labels.find_class(text, pairs, "`class_index`")


def _even(image, chances) -> Grid:
    """Return the geometry of cells that are spread evenly over an image."""
    shape = chances.shape[:2]
    stride = tuple(s / n for s, n in zip(image.shape, shape, strict=False))
    return Grid(shape, stride, stride, (0, 0), stride, (0, 0))


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
