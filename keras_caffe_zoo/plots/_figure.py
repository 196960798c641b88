"""What all pictures share."""

import os

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_caffe_zoo.dense import Grid
from keras_caffe_zoo.messages import there_are

DPI = 110  # dots for each inch of a figure that is saved
_SIDE, _ABOVE, _BELOW = 40, 104, 64  # pixels around a framed picture


def plain(text: str, most: int | None = None) -> str:
    """Return a name as matplotlib draws it: one line, cut short, `$` no formula.

    Args:
        text: Any name, of a class or a metric.
        most: Letters, if there is no room for more.
    """
    text = " ".join(str(text).split())
    if most is not None and len(text) > most:
        text = text[: most - 1].rstrip() + "…"
    return text.replace("$", r"\$")


def saved(figure: Figure, output: str | os.PathLike | None) -> Figure:
    """Save a figure where that is wanted, and return it."""
    if output is not None:
        figure.savefig(output, dpi=DPI, format=format_of(output))
    return figure


def format_of(output: str | os.PathLike) -> str:
    """Return the format of a file to save, PNG where its name tells none.

    Matplotlib would then write into another file, `NAME.png`, which may exist.

    Raises:
        ValueError: If Matplotlib writes no files with such a suffix.
    """
    kind = os.path.splitext(output)[1].removeprefix(".").lower() or "png"
    known = FigureCanvasAgg.get_supported_filetypes()
    if kind not in known:
        raise ValueError(
            "Expected the name of a picture to write, such as NAME.png; received: "
            f"{os.fspath(output)}. {there_are(sorted(known), kind)}"
        )
    return kind


def framed(
    size: tuple[int, int],
    title: str,
    subtitle: str,
    around: tuple[int, int, int, int] = (_SIDE, _ABOVE, _SIDE, _BELOW),
):
    """Return a figure with a title, and its axes: exactly so many pixels when saved.

    Args:
        size: Width and height of the axes in pixels.
        title: One line, set large.
        subtitle: One line below it.
        around: Pixels left of the axes, above, right of them and below.

    Returns:
        The figure and its axes, which show no ticks.
    """
    before, above, behind, below = around
    width, height = before + size[0] + behind, above + size[1] + below
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    left, bottom = before / width, below / height
    axes = figure.add_axes((left, bottom, size[0] / width, size[1] / height))
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color="#c8c8c8", linewidth=0.8)
    lines = [
        (title, 30, 17, "bold", "#1a1a1a"),
        (subtitle, 67, 11.5, "normal", "#555555"),
    ]
    for text, down, points, weight, colour in lines:
        figure.text(
            _SIDE / width,
            1 - down / height,
            text,
            va="center",
            fontsize=points,
            weight=weight,
            color=colour,
        )
    return figure, axes


def extent_of(shape, grid: Grid) -> tuple[float, float, float, float]:
    """Return where a map lies on its image: each cell around the centre of its box."""
    sides = []
    for axis in (1, 0):
        centre = grid.offset[axis] + grid.window[axis] / 2
        first = centre - grid.stride[axis] / 2
        sides += [first, first + shape[axis] * grid.stride[axis]]
    left, right, top, bottom = sides
    return left, right, bottom, top
