"""Pictures: how a training went."""

import os
from collections.abc import Mapping

from matplotlib.figure import Figure

from keras_caffe_zoo.plots._colours import TEN
from keras_caffe_zoo.plots._figure import saved

_WIDE, _TALL = 8.0, 3.6  # inches of one plot
_GREY = "#777777"

Curve = Mapping[int, float]


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
    parts = [("loss", {"training": loss, **_named(losses)})] if loss or losses else []
    parts += [("tests", others)] if others else []
    size = _WIDE, _TALL * len(parts) + 0.4
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    rows = figure.subplots(len(parts), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (label, curves) in zip(rows, parts, strict=True):
        _draw(axes, label, curves)
    rows[-1].set_xlabel("iteration")
    if title:
        figure.suptitle(title, fontsize=12, weight="bold")
    return saved(figure, output)


def _named(losses: Mapping[str, Curve]) -> dict[str, Curve]:
    return {f"test: {name}": curve for name, curve in losses.items()}


def _draw(axes, label: str, curves: Mapping[str, Curve]) -> None:
    colours = iter([TEN[4], TEN[5], TEN[2], TEN[6], *TEN] * (1 + len(curves) // 10))
    for name, curve in curves.items():
        if not curve:
            continue
        in_training = name == "training"
        axes.plot(
            list(curve),
            list(curve.values()),
            label=name,
            color=_GREY if in_training else next(colours),
            linewidth=1.0 if in_training else 1.8,
            marker="" if in_training and len(curve) > 1 else "o",
            markersize=3.5,
        )
    axes.set_ylabel(label)
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
