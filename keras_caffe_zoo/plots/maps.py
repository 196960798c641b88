"""Pictures: maps of probabilities over the image they are about."""

import os
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from keras_caffe_zoo import labels
from keras_caffe_zoo.dense import Grid
from keras_caffe_zoo.plots._figure import DPI, extent_of, plain, saved

_ACROSS = 9.0  # inches of the image
_LINE = 145  # letters of a line below it
_NAME = 85  # letters of a class's name
_ROUNDING = 1e-3


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

    The box is that of the cell which is surest, and has its probability. The caption
    below says what the colours, the box and the percentages are, and, where an edge of
    the image has no colours, why.

    Args:
        image: RGB uint8 or grey image, (H, W, 3), (H, W, 1) or (H, W), as large as the
            net saw it.
        probabilities: The net's map, (rows, columns, classes), from 0 to 1.
        class_index: The class to draw: its number, or its name or part of that, such
            as `"tabby"`; the one that is surest anywhere if None.
        grid: The geometry of the map's cells, from `output_grid`; that of the map
            itself if `predict_dense` made it. Without either, the cells are spread
            evenly over the image, and the picture says so.
        class_names: Names of the classes; ImageNet's if there are 1000. Long ones are
            cut short.
        top: How many classes the legend lists.
        output: Where to save the picture, if anywhere.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no such class, a name means several, the map has not
            three axes or is none of probabilities, or the image is none.

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
    if isinstance(class_index, str) and np.ndim(probabilities) == 3:
        count = np.shape(probabilities)[-1]
        class_index = _named(class_index, class_names, count)
    image, chances = _checked(image, probabilities, class_index)
    best = chances.max((0, 1))
    index = int(best.argmax()) if class_index is None else int(class_index)
    names = _names(class_names, len(best))
    listed = _listed(best, index, top)
    figure = _figure(image.shape, len(listed))
    axes = figure.subplots()
    bright = 255 if image.max() > 1 else 1  # of a grey image, which may be all white
    axes.imshow(image, cmap="gray", vmin=0, vmax=bright)
    used = grid or _even(image, chances)
    layer, text = _draw_map(axes, chances[..., index], used, image.shape)
    axes.set(xlim=(0, image.shape[1]), ylim=(image.shape[0], 0), xticks=[], yticks=[])
    approximate = "" if grid else " (cells spread evenly: no grid was given)"
    axes.set_title(plain(names[index], _NAME) + approximate)
    figure.colorbar(layer, label="probability", fraction=0.04, pad=0.02)
    handles = [
        Patch(color="none", label=f"{best[i]:6.1%}  {plain(names[i], _NAME)}")
        for i in listed
    ]
    figure.legend(
        handles=handles,
        title=_caption(chances.shape, grid, image.shape),
        title_fontproperties={"size": 9},
        loc="outside lower center",
        frameon=False,
        labelspacing=0.35,
        handlelength=0,
        handletextpad=0,
    )
    _move_inside(figure, axes, text)
    return saved(figure, output)


def _checked(image, probabilities, class_index) -> tuple[np.ndarray, np.ndarray]:
    """Return image and map as arrays, or say what is wrong with them."""
    image, chances = np.asarray(image), np.asarray(probabilities)
    if (
        chances.ndim != 3
        or not chances.size
        or not -1 < (class_index or 0) < chances.shape[-1]
    ):
        raise ValueError(
            "Expected a map (rows, columns, classes) and an index of a class in it; "
            f"received: shape {chances.shape}, class_index={class_index}"
        )
    if not (chances.min() >= -_ROUNDING and chances.max() <= 1 + _ROUNDING):  # or NaN
        raise ValueError(
            "Expected a map of probabilities, from 0 to 1; received: values from "
            f"{chances.min():.3g} to {chances.max():.3g}. Of a net that gives scores, "
            "take the softmax over the classes first."
        )
    grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    if not image.size or not (grey or image.ndim == 3 and image.shape[2] == 3):
        raise ValueError(
            "Expected an image (H, W, 3), (H, W, 1) or (H, W); received: shape "
            f"{image.shape}"
        )
    return image.reshape(image.shape[:2]) if grey else image, chances.clip(0, 1)


def _caption(shape, grid: Grid | None, image_shape) -> str:
    """Return what the colours, the box and the percentages are."""
    parts = [
        "The cells are spread evenly over the image; which pixels each looks at is not "
        "known. The box is the cell that is surest, with its probability."
    ]
    if grid:
        window = "{1} x {0} pixels".format(*grid.window)
        parts = [
            f"Each cell is coloured at the middle of the {window} that it looks at; "
            "the box is what the surest looks at, with its probability."
        ]
        left, right, bottom, top = extent_of(shape, grid)
        height, width = image_shape[:2]
        if max(left, top, width - right, height - bottom) > 0.5:
            parts.append(
                "There are no colours at the edge: a cell is only where a whole such "
                "window fits."
            )
    parts.append(
        "Below, for each class, the maximum over the map: the probability in the cell "
        "that is surest of it. So they do not add up to 100%."
    )
    return textwrap.fill(" ".join(parts), _LINE)


def _listed(best, index: int, top: int) -> list[int]:
    """Return the classes of the legend: the one that is drawn, then the likeliest."""
    others = [i for i in best.argsort()[::-1] if i != index]
    return [index, *others[: top - 1]]


def _draw_map(axes, chances, grid: Grid, image_shape) -> tuple:
    """Draw a class's map, and the box where the net is surest of it.

    Returns:
        The map, and the text that stands in the box.
    """
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
    height, width = image_shape[:2]
    box = np.clip(grid.box(row, column), 0, (height, width, height, width))
    return layer, _draw_box(axes, box, f"{chances.max():.1%}")


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


def _draw_box(axes, box, text: str):
    """Draw a box, white with black around it, and a text in its corner, on black."""
    top, left, bottom, right = box.tolist()
    around = Rectangle((left, top), right - left, bottom - top, fill=False)
    around.set(
        ec="white", lw=2, path_effects=[withStroke(linewidth=4.5, foreground="k")]
    )
    axes.add_patch(around)
    label = axes.annotate(
        text,
        (left, top),
        (7, -7),  # from the box's corner
        textcoords="offset points",
        color="white",
        va="top",
        weight="bold",
        bbox={"boxstyle": "round,pad=0.25", "fc": "black", "ec": "none", "alpha": 0.75},
    )
    label.set_in_layout(False)  # it gets no room of its own
    return label


def _move_inside(figure: Figure, axes, label) -> None:
    """Move a text to where the whole of it is on the image, if there is room."""
    figure.draw_without_rendering()  # which finds out where all is
    figure.set_layout_engine("none")  # and there it stays
    room, text = axes.get_window_extent(), label.get_bbox_patch().get_window_extent()
    right, up = (
        min(max(low, start), max(end - size, low)) - start
        for low, end, start, size in (
            (room.x0, room.x1, text.x0, text.width),
            (room.y0, room.y1, text.y0, text.height),
        )
    )
    x, y = label.get_position()
    points = 72 / figure.dpi
    label.set_position((x + right * points, y + up * points))


def _figure(shape, listed: int) -> Figure:
    height, width = shape[:2]
    return Figure(
        figsize=(_ACROSS + 1, _ACROSS * height / width + 1.15 + 0.2 * listed),
        dpi=DPI,
        layout="constrained",
        facecolor="white",
    )
