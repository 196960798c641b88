"""Pictures: how a training went."""

import math
import os
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_caffe_zoo.plots._colours import TEN
from keras_caffe_zoo.plots._figure import plain, saved

_WIDE, _TALL = 8.0, 3.6  # inches of one plot
_LOWER = 2.7  # inches of one of many
_GREY = "#777777"
_ORDER = [TEN[4], TEN[5], TEN[2], TEN[6], *TEN]  # of colours
_STEEP = 20  # times: from there on a scale is logarithmic
_RATES = ("learning_rate", "lr")  # what Keras' callbacks call it, and called it
_VALIDATION = "val_"

Curve = Mapping[int, float]


class _Line(NamedTuple):
    """A curve, and how it is drawn.

    Attributes:
        name: What the legend calls it.
        curve: Its values.
        colour: Of matplotlib's.
        training: Whether it is thin, since it is what a training says of itself.
    """

    name: str
    curve: Curve
    colour: str
    training: bool


def show_curves(
    loss: Curve,
    tests: Mapping[str, Curve] | None = None,
    *,
    title: str = "",
    output: str | os.PathLike | None = None,
) -> Figure:
    """Draw the curves of a training: its loss, and what tests gave.

    Curves whose names end with `loss` are drawn beside the training's loss, all others
    below, on a scale of their own.

    Args:
        loss: The training's loss by iteration.
        tests: Values of tests by iteration, by a name such as `"accuracy"`.
        title: What stands above.
        output: Where to save the picture, if anywhere.

    Returns:
        The figure.

    Raises:
        ValueError: If there is nothing to draw.

    Example:
        >>> loss = {0: 2.3, 100: 0.9, 200: 0.4}
        >>> figure = kcz.plots.show_curves(loss, {"accuracy": {0: 0.1, 200: 0.9}})
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss', 'tests']
    """
    tests = {name: curve for name, curve in (tests or {}).items() if curve}
    losses = {name: curve for name, curve in tests.items() if name.endswith("loss")}
    others = {name: curve for name, curve in tests.items() if name not in losses}
    if not loss and not tests:
        raise ValueError("Expected the values of some iterations; received: none")
    own = [_Line("training", loss, _GREY, True)] if loss else []
    own += _coloured({f"test: {name}": curve for name, curve in losses.items()})
    parts = {"loss": own, "tests": _coloured(others)}
    drawn = {name: lines for name, lines in parts.items() if lines}
    figure, _ = _panels(drawn, "iteration")
    return _finished(figure, title, output)


def history(
    history: keras.callbacks.History
    | Mapping[str, Sequence[float]]
    | Mapping[str, keras.callbacks.History | Mapping[str, Sequence[float]]],
    *,
    validation_freq: int | Collection[int] = 1,
    title: str = "",
    output: str | os.PathLike | None = None,
) -> Figure:
    """Draw how a training with Keras' `fit` went: its loss and its metrics by epoch.

    There is a plot for each metric, the loss first, a learning rate last, with training
    (thin) and validation together. Losses, learning rates and metrics beyond 1 that
    change by more than a factor of 20 have a logarithmic scale. Epochs count from 1;
    those of a training that went on begin where it did. Values that are not finite are
    left out, and the legend says how many.

    Args:
        history: What `fit` returned, or the dict of lists that is its `history`. Or
            several of these by their names, which are drawn together, a colour for
            each.
        validation_freq: As `fit` had it.
        title: What stands above.
        output: Where to save the picture, if anywhere.

    Returns:
        The figure.

    Raises:
        ValueError: If there is nothing to draw, a metric has not a number for each
            epoch, or the histories are something else.

    Example:
        >>> seen = {"loss": [2.3, 0.9], "val_loss": [2.1, 1.0], "accuracy": [0.1, 0.8]}
        >>> figure = kcz.plots.history(seen)
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss', 'accuracy']
        >>> [line.get_label() for line in figure.axes[0].get_lines()]
        ['training', 'validation']
    """
    runs = _runs(history)
    curves = {name: _curves(run, validation_freq) for name, run in runs.items()}
    keys = dict.fromkeys(key for run in curves.values() for key in run)
    metrics = dict.fromkeys(key.removeprefix(_VALIDATION) for key in keys)
    if not metrics:
        raise ValueError(
            "Expected the values of at least one epoch; received: none. Was fit called?"
        )
    parts = {
        metric: [
            line
            for number, (name, run) in enumerate(curves.items())
            for line in _pair(name, run, metric, number, len(runs))
        ]
        for metric in sorted(metrics, key=_place)
    }
    figure, panels = _panels(parts, "epoch")
    for axes, metric in zip(panels, parts, strict=True):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if _is_steep(metric, [line.curve for line in parts[metric]]):
            axes.set_yscale("log")
    return _finished(figure, title, output)


def _runs(history) -> dict[str, object]:
    """Return histories by their names, `""` if there is one without."""
    if isinstance(history, Mapping) and history:
        whole = [
            isinstance(x, keras.callbacks.History | Mapping) for x in history.values()
        ]
        if all(whole):
            return {str(name): run for name, run in history.items()}
        if not any(whole):
            return {"": history}
    elif isinstance(history, keras.callbacks.History | Mapping):
        return {"": history}
    raise ValueError(
        "Expected what fit returned, a dict of lists such as its `history`, or a dict "
        f"of either by names; received: {type(history).__name__}"
    )


def _curves(run, validation_freq) -> dict[str, Curve]:
    """Return a training's values by epoch, from 1, for each metric."""
    begin, values = 0, run
    if isinstance(run, keras.callbacks.History):
        values = run.history
        begin = run.epoch[0] if getattr(run, "epoch", None) else 0
    columns = {str(name): _numbers(name, column) for name, column in values.items()}
    training = [x for name, x in columns.items() if not name.startswith(_VALIDATION)]
    count = max(map(len, training or columns.values()), default=0)
    every = range(begin + 1, begin + count + 1)
    if isinstance(validation_freq, int):
        validated = [epoch for epoch in every if epoch % max(1, validation_freq) == 0]
    else:
        wanted = set(validation_freq)
        validated = [epoch for epoch in every if epoch in wanted]
    found = {}
    for name, column in columns.items():
        apart = name.startswith(_VALIDATION) and training
        epochs = validated if apart else every
        if len(column) != len(epochs):
            hint = " Give `validation_freq` as `fit` had it." if apart else ""
            raise ValueError(
                f"Expected a value of {name!r} for each of {len(epochs)} epochs; "
                f"received: {len(column)}.{hint}"
            )
        if column:
            found[name] = dict(zip(epochs, column, strict=True))
    return found


def _numbers(name: str, column) -> list[float]:
    try:
        values = np.asarray(column, "float64")
    except (TypeError, ValueError):
        values = np.asarray(None)
    if values.ndim != 1:
        raise ValueError(
            f"Expected a list of numbers, one for each epoch, for {name!r}; received: "
            f"{str(column)[:60]}. Leave out what is none."
        )
    return values.tolist()


def _pair(name: str, run: dict[str, Curve], metric: str, number: int, count: int):
    """Yield the lines of one training in the plot of a metric."""
    colour = _ORDER[number % len(_ORDER)]
    kinds = (metric, "training", True), (_VALIDATION + metric, "validation", False)
    for key, kind, training in kinds:
        if key not in run:
            continue
        finite = {epoch: x for epoch, x in run[key].items() if math.isfinite(x)}
        lost = len(run[key]) - len(finite)
        label = f"{name}: {kind}" if count > 1 or name else kind
        if metric in _RATES:
            label = name or "learning rate"
        label += f" ({lost} not finite)" if lost else ""
        grey = training and count == 1 and metric not in _RATES
        # A gap, not a line across it.
        curve = {
            epoch: x if epoch in finite else math.nan for epoch, x in run[key].items()
        }
        yield _Line(label, curve, _GREY if grey else colour, training)


def _place(metric: str) -> int:
    """Return where a metric stands: losses, then others as they come, then rates."""
    if metric in _RATES:
        return 3
    return 0 if metric == "loss" else 1 if metric.endswith("loss") else 2


def _is_steep(metric: str, curves: list[Curve]) -> bool:
    """Tell whether values are read best on a logarithmic scale.

    Parts of a whole, such as accuracies, are not.
    """
    values = [x for curve in curves for x in curve.values() if math.isfinite(x)]
    if not values or min(values) <= 0 or max(values) < _STEEP * min(values):
        return False
    return metric.endswith("loss") or metric in _RATES or max(values) > 1


def _panels(parts: dict[str, list[_Line]], below: str) -> tuple[Figure, list]:
    """Return a figure with a plot for each part, in one column or two.

    Args:
        parts: The lines of each plot by what its values are.
        below: What stands below the lowest of each column.
    """
    columns = 1 if len(parts) <= 3 else 2
    rows = math.ceil(len(parts) / columns)
    tall = _TALL if len(parts) <= 2 else _LOWER
    size = _WIDE * (1 if columns == 1 else 1.5), tall * rows + 0.4
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    all_axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for spare in all_axes[len(parts) :]:
        spare.remove()
        all_axes[len(parts) - 2].tick_params(labelbottom=True)  # what stands above it
    panels = list(all_axes[: len(parts)])
    for axes, (label, lines) in zip(panels, parts.items(), strict=True):
        _draw(axes, label, lines)
    for axes in panels[-columns:]:
        axes.set_xlabel(below)
    return figure, panels


def _finished(figure: Figure, title: str, output) -> Figure:
    if title:
        figure.suptitle(plain(title), fontsize=12, weight="bold")
    return saved(figure, output)


def _coloured(curves: Mapping[str, Curve]) -> list[_Line]:
    """Return the lines of tests, a colour for each."""
    return [
        _Line(name, curve, _ORDER[number % len(_ORDER)], False)
        for number, (name, curve) in enumerate(curves.items())
    ]


def _draw(axes, label: str, lines: list[_Line]) -> None:
    for line in lines:
        thin = line.training
        axes.plot(
            list(line.curve),
            list(line.curve.values()),
            label=_shown(line.name),
            color=line.colour,
            linewidth=1.0 if thin else 1.8,
            marker="" if thin and len(line.curve) > 1 else "o",
            markersize=3.5,
        )
    axes.set_ylabel(_shown(label, 40))
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def _shown(name: str, most: int = 60) -> str:
    """Return a name as a legend has it, which leaves out what begins with `_`."""
    name = plain(name, most)
    return f" {name}" if name.startswith("_") else name
