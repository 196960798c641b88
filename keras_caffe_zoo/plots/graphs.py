"""Pictures: a net's layers, and which reads which."""

from __future__ import annotations

import os

import keras
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve

from keras_caffe_zoo.caffe import Net
from keras_caffe_zoo.plots._figure import DPI, format_of
from keras_caffe_zoo.view.drawing import (
    HEAD,
    INSIDE,
    LINE,
    Drawing,
    Text,
    box_texts,
    drawn,
    strip_text,
)
from keras_caffe_zoo.view.layout import WIDTH, Leg, Place
from keras_caffe_zoo.view.models import viewed_opened
from keras_caffe_zoo.view.net import (
    MAX_DRAWN,
    ViewedNet,
    is_opened,
    viewed_file,
    viewed_model,
    viewed_net,
)

_AROUND = 24.0  # pixels around the boxes
_DOTS = 96.0  # pixels of the layout in an inch
_MOST = 30_000  # pixels of a picture's side, which programs still open
_EDGE, _INK, _SOFT = "#8d98a5", "#1d232b", "#5d6875"
_COLOURS = {
    "data": "#dfe5ec",
    "kernel": "#cfe1fb",
    "dense": "#d9d2f7",
    "pool": "#fbdcc9",
    "norm": "#d3efdc",
    "activation": "#fbeeb8",
    "merge": "#cdeef0",
    "shape": "#e6e3dc",
    "detection": "#f9d0dc",
    "loss": "#f5c6c0",
    "other": "#e9e9e9",
    "unknown": "#ffffff",
}
# Points, colour and weight of the name, of type and settings, and of the shape.
_STYLES = ((9.6, _INK, "bold"), (8.0, _INK, "normal"), (8.0, _SOFT, "normal"))


def show_net(
    net: keras.Model | Net | str | os.PathLike,
    *,
    phase: str = "TEST",
    input_shape: tuple | None = None,
    output: str | os.PathLike | None = None,
) -> Figure:
    """Draw a net's layers from top to bottom, and which reads which.

    As on the pages of `keras-caffe-zoo view`: a layer in place is a strip of the one
    whose blob it changes; shapes are Caffe's, without the number of items.

    Args:
        net: A Keras model of Caffe's kinds of layers, a net as read from a file, the
            path of a `.prototxt`, `.caffemodel` or `.keras`, or the name of a net of
            the zoo.
        phase: Of a file of Caffe, which of a training net's layers there are.
        input_shape: Of a file of Caffe and of a name, the image's height, width and
            channels, in place of the net's own.
        output: Where to save the picture, if anywhere; the end of the name tells the
            format, such as `.png`, `.svg` or `.pdf`. A very tall picture is saved
            smaller.

    Returns:
        The figure.

    Raises:
        CaffeFormatError: If a file is damaged, or no net.
        ValueError: If there is nothing to draw, or too much; or a layer of the model is
            none of Caffe's.
        ImportError: If the package fast-sugiyama is not installed.

    Example:
        >>> from keras_caffe_zoo import demo
        >>> figure = kcz.plots.show_net(demo.load(), output="digits.svg")
        >>> "conv1" in [text.get_text() for text in figure.axes[0].texts]
        True
    """
    drawing = drawn(_viewed(net, phase, input_shape))
    if drawing.layout is None:
        notes = " ".join(drawing.net.notes)
        raise ValueError(
            f"Expected a net of 1 to {MAX_DRAWN:,} layers that can be drawn; received: "
            f"{len(drawing.net.layers):,} layers. {notes}".rstrip()
        )
    figure = _figure(drawing)
    if output is not None:
        tallest = max(figure.get_size_inches())
        figure.savefig(output, dpi=min(DPI, _MOST / tallest), format=format_of(output))
    return figure


def _viewed(net, phase: str, input_shape: tuple | None) -> ViewedNet:
    if isinstance(net, keras.Model):
        return viewed_model(net)
    if isinstance(net, Net):
        return viewed_net(net.filter(phase).fold_splits())
    if is_opened(net):
        return viewed_opened(net, input_shape=input_shape)
    return viewed_file(net, phase=phase, input_shape=input_shape)


def _figure(drawing: Drawing) -> Figure:
    layout = drawing.layout
    width, height = layout.width + 2 * _AROUND, layout.height + 2 * _AROUND
    size = width / _DOTS, height / _DOTS
    figure = Figure(figsize=size, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(
        xlim=(-_AROUND, layout.width + _AROUND),
        ylim=(layout.height + _AROUND, -_AROUND),  # down the page
    )
    axes.axis("off")
    for legs in layout.edges.values():
        axes.add_patch(_line(legs))
    for node, (place, shown) in enumerate(
        zip(layout.places, drawing.shown, strict=True)
    ):
        _add_box(axes, drawing, node, place, shown)
    return figure


def _line(legs: list[Leg]) -> PathPatch:
    points, codes = [(legs[0].x0, legs[0].y0)], [Curve.MOVETO]
    for x0, y0, x1, y1 in legs:
        middle = (y0 + y1) / 2
        points += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    path = Curve(points, codes)
    return PathPatch(path, fill=False, edgecolor=_EDGE, linewidth=1.1)


def _add_box(axes, drawing: Drawing, node: int, place: Place, shown: list[int]) -> None:
    first = drawing.net.layers[shown[0]]
    parts = [(first, 0.0, HEAD, box_texts(first))]
    for line, at in enumerate(shown[1:], start=1):
        top = HEAD + LINE * (line - 1)
        texts = [strip_text(drawing, node, line)]
        parts.append((drawing.net.layers[at], top, LINE, texts))
    for viewed, top, height, texts in parts:
        box = FancyBboxPatch(
            (place.x, place.y + top),
            WIDTH,
            height,
            boxstyle="round,pad=0,rounding_size=4",
            facecolor=_COLOURS[viewed.kind],
            edgecolor=_EDGE,
            linewidth=0.8,
            linestyle="--" if viewed.kind == "unknown" else "-",
        )
        axes.add_patch(box)
        for text in texts:
            _add_text(axes, place, text)


def _add_text(axes, place: Place, text: Text) -> None:
    points, colour, weight = _STYLES[text.style]
    axes.text(
        place.x + (WIDTH - INSIDE if text.at_end else INSIDE),
        place.y + text.y,
        text.text,
        fontsize=points,
        color=colour,
        weight=weight,
        ha="right" if text.at_end else "left",
        va="baseline",
        parse_math=False,  # a name is no formula
    )
