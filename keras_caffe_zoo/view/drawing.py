"""What stands in the boxes of a net's picture, for pages and for paper alike."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from keras_caffe_zoo.onnx.sizing import Shape
from keras_caffe_zoo.view.folding import NetGraph, folded
from keras_caffe_zoo.view.layout import WIDTH, Layout, can_lay_out, lay_out
from keras_caffe_zoo.view.net import ViewedLayer, ViewedNet

HEAD = 56.0  # height of a box
LINE = 17.0  # of each layer in place that is folded into it
INSIDE = 11  # pixels from a box's side to its text
_ROOM = WIDTH - 2 * INSIDE
_EACH, _EACH_OF_NAME = 6.3, 7.9  # pixels that a character takes
_MOST_FOLDED = 8  # layers that are shown so
_CHARACTERS = 200  # of a name


@dataclass
class Drawing:
    """A net's picture.

    Attributes:
        net: The net.
        graph: Its boxes and edges.
        layout: Where they are; None where there are too many to be drawn.
        shown: For each box the positions of its layers that are shown.
    """

    net: ViewedNet
    graph: NetGraph
    layout: Layout | None = None
    shown: list[list[int]] = field(default_factory=list)


def drawn(net: ViewedNet) -> Drawing:
    """Return the picture of a net; without a layout if that would take too long."""
    drawing = Drawing(net, folded([x.layer for x in net.layers]))
    drawing.shown = [node[: 1 + _MOST_FOLDED] for node in drawing.graph.nodes]
    edges = list(drawing.graph.edges)
    if not net.is_drawn or not net.layers:
        return drawing
    if not can_lay_out(len(drawing.graph.nodes), edges):
        net.notes.append(
            "There is no picture: more edges run past other layers than can be drawn."
        )
        return drawing
    heights = [HEAD + LINE * (len(node) - 1) for node in drawing.shown]
    drawing.layout = lay_out(heights, edges)
    return drawing


@dataclass(frozen=True)
class Text:
    """A line in a box.

    Attributes:
        text: What it says, as long as there is room for.
        y: Where it stands, in pixels from the box's top.
        style: `0` for the name, `1` for type and settings, `2` for the shape.
        at_end: Whether it ends at the box's right side.
    """

    text: str
    y: float
    style: int
    at_end: bool = False


def box_texts(viewed: ViewedLayer) -> list[Text]:
    """Return what stands in the box of a layer: name, type, shape and settings."""
    shapes = viewed.tops
    shape = said_shape(shapes[0]) if shapes else ""
    shape = fitted(shape + f" +{len(shapes) - 1}" * (len(shapes) > 1), 0.7 * _ROOM)
    rest = _ROOM - (len(shape) + 1) * _EACH
    return [
        Text(fitted(clean(viewed.name), _ROOM, _EACH_OF_NAME), 19, 0),
        Text(fitted(clean(viewed.type), rest), 34, 1),
        Text(shape, 34, 2, at_end=True),
        Text(fitted(clean(viewed.settings), _ROOM), 48, 1),
    ]


def strip_text(drawing: Drawing, node: int, line: int) -> Text:
    """Return what stands in the strip of a layer that is folded into a box.

    Args:
        drawing: The picture.
        node: The box.
        line: Which of its layers, from 1.
    """
    shown = drawing.shown[node]
    viewed = drawing.net.layers[shown[line]]
    text = clean(f"{viewed.type} · {viewed.settings}".removesuffix(" · "))
    hidden = len(drawing.graph.nodes[node]) - len(shown)
    if hidden and line == len(shown) - 1:
        text = f"{clean(viewed.type, 20)} and {hidden:,} more"
    return Text(fitted(text, _ROOM), HEAD + LINE * line - 5, 1)


def said_shape(shape: Shape | None, items: bool = False) -> str:
    """Return a shape for people; without its first axis, unless that is all it has.

    Args:
        shape: The shape; None for one that is not known.
        items: Whether the first axis is told, too.
    """
    if shape is None:
        return "shape unknown"
    if not shape:
        return "a number"
    sizes = shape[1:] if len(shape) > 1 and not items else shape
    return " × ".join("?" if n is None else str(n) for n in sizes[:32])


def said_number(number: float | None, unit: str = "") -> str:
    """Return a number for people: 724 M; `?` if it is not known."""
    if number is None:
        return "?"
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}{unit}".rstrip()
    return f"{number:g} {unit}".rstrip()


def clean(text: str, characters: int = _CHARACTERS) -> str:
    """Return a stranger's text as it may be shown: cut, and without what is no letter.

    Marks that turn the direction of writing would have a page say what is not there.
    """
    cut = text[:characters] + "…" * (len(text) > characters)
    return "".join(
        "\ufffd" if unicodedata.category(x) in ("Cc", "Cf", "Cs") and x != "\n" else x
        for x in cut
    )


def fitted(text: str, width: float, each: float = _EACH) -> str:
    """Return a text cut to a width, where a character is about `each` wide."""
    most = int(width / each)
    return text if len(text) <= most else f"{text[: most - 1]}…"
