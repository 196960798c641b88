"""Pictures: what a classifier takes for what."""

import os
from collections.abc import Sequence

import keras
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from keras_caffe_zoo.plots._colours import text_on
from keras_caffe_zoo.plots._figure import DPI, framed, plain, saved
from keras_caffe_zoo.training.confusion import confusion_matrix

_SIDE = 600  # pixels of a picture of few classes
_NAMED = 100  # classes, up to which each has its name beside it
_ROW = 13  # pixels that a name needs
_WIDEST, _IMAGE = 160, 1000  # pixels of a cell, and of a picture of many classes
_TITLED = 800  # pixels that the titles need
_NAME = 28  # letters
_SMALL = 8  # points
_LEAST = 6  # points, below which nobody reads a number
_EM = 0.64 * DPI / 72  # pixels of a digit's width, for each point
_ERRORS = 5  # that are listed where numbers are not legible
_MOST = 2000  # classes


def confusion(
    model: keras.Model | np.ndarray,
    data=None,
    *,
    labels: Sequence[str] | None = None,
    normalize: bool = False,
    output: str | os.PathLike | None = None,
) -> Figure:
    """Draw what a classifier takes for what: a row for what is true.

    What is right is blue, on the diagonal, errors are orange, and white is what never
    happened. Numbers stand in the cells while they are legible; of more classes, the
    most frequent errors are listed below. Beyond 100 classes there are no names beside
    the rows, and each cell is a few pixels.

    Args:
        model: A classifier, as for `training.confusion_matrix`; or a matrix that there
            is already, of this function or of scikit-learn's: then without data.
        data: Batches `(x, labels)` such as `training.image_dataset(…,
            training=False)`, or one pair of arrays.
        labels: Names of the classes, such as `training.dataset_classes(folder)`; the
            `class_names` that Keras' datasets have, or numbers if None. Long ones are
            cut short.
        normalize: Whether to draw shares of each row, so that rare classes are seen as
            well as frequent ones, instead of counts.
        output: Where to save the picture, if anywhere.

    Returns:
        The figure.

    Raises:
        ValueError: As `training.confusion_matrix`; or if a matrix is not one of counts
            `(classes, classes)`, or there are not as many labels.

    Example:
        >>> counts = np.array([[48, 2], [5, 45]])
        >>> figure = kcz.plots.confusion(counts, labels=["cat", "dog"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['48', '2', '5', '45']
    """
    matrix = _matrix(model, data)
    count = len(matrix)
    names = getattr(data, "class_names", None) if labels is None else labels
    names = [str(i) for i in range(count)] if names is None else list(names)
    if len(names) != count:
        raise ValueError(f"Expected {count} `labels`; received: {len(names)}")
    names = [plain(name, _NAME) for name in names]
    totals = matrix.sum(1, keepdims=True)
    shares = np.divide(matrix, totals, where=totals > 0, out=np.zeros(matrix.shape))
    values = shares if normalize else matrix
    cell = _cell(count)
    points = _points(values, cell, normalize)
    errors = [] if points else _errors(matrix, names)
    figure, axes = _framed(matrix, names, cell, errors, normalize)
    pixels = _colours(values, cell)
    axes.imshow(pixels, interpolation="nearest", aspect="auto")
    if points:
        _write(axes, values, pixels, points, normalize)
    _draw_scale(figure, axes, float(values.max()), cell, normalize)
    return saved(figure, output)


def _matrix(model, data) -> np.ndarray:
    """Return counts: those of a model and data, or those that are given."""
    if data is not None:
        matrix = confusion_matrix(model, data)
    elif isinstance(model, keras.Model):
        raise ValueError(
            "Expected data to try the model on, a dataset of batches (x, labels) or a "
            "pair of arrays; received: none"
        )
    else:
        matrix = np.asarray(model)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    if not square or not 2 <= len(matrix) <= _MOST or matrix.dtype.kind not in "iuf":
        raise ValueError(
            "Expected a model and data, or counts (classes, classes) of 2 to "
            f"{_MOST:,} classes; received: {type(model).__name__} of shape "
            f"{matrix.shape}"
        )
    if not (np.isfinite(matrix).all() and matrix.min() >= 0 and matrix.sum() > 0):
        raise ValueError(
            "Expected counts of at least one picture, none negative; received: values "
            f"from {matrix.min():g} to {matrix.max():g}"
        )
    return matrix


def _cell(classes: int) -> int:
    """Return how many pixels a cell is high and wide."""
    if classes > _NAMED:
        return max(1, _IMAGE // classes)
    return min(_WIDEST, max(_ROW, _SIDE // classes))


def _said(value: float, normalize: bool) -> str:
    """Return what stands in a cell: nothing where nothing is."""
    if not value:
        return ""
    if not normalize:
        return f"{value:g}" if value % 1 else f"{int(value)}"
    if value < 0.005:
        return "<1%"
    return f"{min(value, 0.99 if value < 1 else 1):.0%}"


def _points(values, cell: int, normalize: bool) -> float:
    """Return the size of the numbers in the cells; 0 if they would not be legible."""
    if cell < _ROW:
        return 0
    widest = max(len(_said(value, normalize)) for value in np.unique(values))
    points = min(13, 0.85 * cell / (widest * _EM), 0.6 * cell * 72 / DPI)
    return points if points >= _LEAST else 0


def _errors(matrix, names) -> list[str]:
    """Return the most frequent errors in words."""
    wrong = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_ERRORS]
    pairs = [divmod(int(place), len(matrix)) for place in order]
    return [
        f"{names[i]} taken for {names[j]}: {wrong[i, j]:,g} of {matrix[i].sum():,g}"
        for i, j in pairs
        if wrong[i, j]
    ]


def _framed(matrix, names, cell: int, errors, normalize: bool) -> tuple[Figure, object]:
    """Return a figure with its titles, the names beside its axes and its errors."""
    count, right, total = len(matrix), np.trace(matrix), matrix.sum()
    side = count * cell
    named = count <= _NAMED
    widest = max(map(_width, names)) if named else _width(str(count))
    upright = named and widest > cell - 4
    below = (widest if upright else 14) + 46
    listed = [f"Most frequent errors of {count} classes:", *errors] if errors else []
    before = widest + 62
    behind = max(110, _TITLED - before - side)
    around = (before, 104, behind, below + 19 * len(listed) + 14 * bool(listed))
    what = "shares of each row" if normalize else "numbers of pictures"
    figure, axes = framed(
        (side, side),
        f"{right:,g} of {total:,g} right: {right / total:.1%}",
        f"Rows: what is true. Columns: what the net says. {what.capitalize()}.",
        around,
    )
    axes.set_xlabel("what the net says", fontsize=9.5)
    axes.set_ylabel("what is true", fontsize=9.5)
    axes.tick_params(length=0 if named else 3, labelsize=_SMALL)
    if named:
        axes.set_xticks(range(count), names, rotation=90 if upright else 0)
        axes.set_yticks(range(count), names)
        edges = np.arange(1, count) - 0.5
        axes.vlines(edges, -0.5, count - 0.5, color="#e4e4e4", linewidth=0.6)
        axes.hlines(edges, -0.5, count - 0.5, color="#e4e4e4", linewidth=0.6)
    else:
        ticks = np.arange(0, count, 10 ** (len(str(count - 1)) - 1))
        axes.set(xticks=ticks, yticks=ticks)
    tall = figure.get_figheight() * DPI
    for number, text in enumerate(listed):
        y = (19 * (len(listed) - number) - 5) / tall
        weight = "normal" if number else "bold"
        x = 40 / (figure.get_figwidth() * DPI)
        figure.text(x, y, text, fontsize=9, weight=weight, va="center")
    return figure, axes


def _width(text: str) -> int:
    """Return how many pixels a name is wide."""
    box = TextPath((0, 0), text, size=_SMALL).get_extents() if text else None
    return round(box.width * DPI / 72) + 1 if box else 0


def _tint(strength: np.ndarray, right: bool, cell: int) -> np.ndarray:
    """Return the colours of values from 0 to 1, RGB uint8; a small cell's stronger."""
    least = 0.2 if cell >= 4 else 0.45
    colours = matplotlib.colormaps["Blues" if right else "Oranges"]
    rgb = colours(least + (1 - least) * np.sqrt(strength))[..., :3]
    return np.where(strength[..., None] > 0, np.rint(255 * rgb), 255).astype("uint8")


def _colours(values, cell: int) -> np.ndarray:
    strength = values / values.max()
    right = np.eye(len(values), dtype=bool)[..., None]
    return np.where(right, _tint(strength, True, cell), _tint(strength, False, cell))


def _write(axes, values, pixels, points: float, normalize: bool) -> None:
    """Write a number into each cell that has one."""
    for row, column in np.argwhere(values):
        axes.text(
            column,
            row,
            _said(values[row, column], normalize),
            ha="center",
            va="center_baseline",
            fontsize=points,
            color=text_on(tuple(pixels[row, column].tolist())),
        )


def _draw_scale(figure: Figure, axes, most: float, cell: int, normalize: bool) -> None:
    """Draw which colours are which values, of what is right and of errors."""
    place = axes.get_position()
    width = figure.get_figwidth() * DPI
    tall = min(1.0, 300 / (place.height * figure.get_figheight() * DPI))
    box = (place.x1 + 22 / width, place.y0, 28 / width, place.height * tall)
    scale = figure.add_axes(box)
    strength = np.linspace(0, 1, 101)[:, None]
    strip = np.hstack([_tint(strength, kind, cell) for kind in (True, False)])
    scale.imshow(
        strip,
        origin="lower",
        aspect="auto",
        extent=(0, 2, 0, most),
        interpolation="nearest",
    )
    scale.set_xticks([0.5, 1.5], ["right", "wrong"], rotation=90)
    scale.tick_params(labelsize=_SMALL, length=2)
    scale.yaxis.tick_right()
    if normalize:
        scale.yaxis.set_major_formatter("{x:.0%}")
    else:
        scale.yaxis.get_major_locator().set_params(integer=most >= 1, nbins=5)
