"""A net's picture as SVG elements that stand in a page."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement

from keras_caffe_zoo.view.drawing import (
    HEAD,
    INSIDE,
    LINE,
    Drawing,
    Text,
    box_texts,
    clean,
    said_shape,
    strip_text,
)
from keras_caffe_zoo.view.layout import WIDTH, Leg, Place

_AROUND = 20  # the picture


def svg_of(drawing: Drawing) -> Element:
    """Return the picture of a net that has a layout.

    Layers are groups of the class `layer`, whose `data-layer` is their position.
    """
    layout = drawing.layout
    width, height = layout.width + 2 * _AROUND, layout.height + 2 * _AROUND
    svg = Element(
        "svg",
        {
            "id": "graph",
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"{-_AROUND} {-_AROUND} {_number(width)} {_number(height)}",
            "width": _number(width),
            "height": _number(height),
            "role": "group",
            "aria-label": "The net's layers, from its data down",
        },
    )
    edges = SubElement(svg, "g", {"class": "edges"})
    for (start, end), legs in layout.edges.items():
        path = {"d": path_of(legs), "data-from": str(start), "data-to": str(end)}
        line = SubElement(edges, "path", path)
        blobs = drawing.graph.edges[start, end]
        SubElement(line, "title").text = clean(", ".join(blobs[:8]))
    for node, (place, shown) in enumerate(
        zip(layout.places, drawing.shown, strict=True)
    ):
        svg.append(_box(drawing, node, place, shown))
    return svg


def path_of(legs: Iterable[Leg]) -> str:
    """Return an edge as the data of an SVG path."""
    legs = list(legs)
    said = [f"M{_number(legs[0].x0)} {_number(legs[0].y0)}"]
    for x0, y0, x1, y1 in legs:
        if abs(x1 - x0) < 0.5:
            said.append(f"L{_number(x1)} {_number(y1)}")
        else:
            middle = _number((y0 + y1) / 2)
            said.append(
                f"C{_number(x0)} {middle} {_number(x1)} {middle} "
                f"{_number(x1)} {_number(y1)}"
            )
    return "".join(said)


def _box(drawing: Drawing, node: int, place: Place, shown: list[int]) -> Element:
    where = f"translate({_number(place.x)} {_number(place.y)})"
    box = Element("g", {"class": "node", "transform": where, "data-node": str(node)})
    first = drawing.net.layers[shown[0]]
    head = _layer(box, drawing, shown[0], f"k-{first.kind}")
    SubElement(head, "rect", _rect(0, HEAD, 5))
    for text in box_texts(first):
        _add_text(head, text)
    for line, at in enumerate(shown[1:], start=1):
        strip = _layer(box, drawing, at, f"strip k-{drawing.net.layers[at].kind}")
        SubElement(strip, "rect", _rect(HEAD + LINE * (line - 1), LINE, 3))
        _add_text(strip, strip_text(drawing, node, line))
    return box


def _add_text(group: Element, text: Text) -> None:
    if text.text:
        x = WIDTH - INSIDE if text.at_end else INSIDE
        place = {"class": f"t{text.style}", "x": _number(x), "y": _number(text.y)}
        end = {"text-anchor": "end"} if text.at_end else {}
        SubElement(group, "text", {**place, **end}).text = text.text


def _layer(box: Element, drawing: Drawing, at: int, kind: str) -> Element:
    viewed = drawing.net.layers[at]
    shape = said_shape(viewed.tops[0]) if viewed.tops else ""
    group = SubElement(
        box,
        "g",
        {
            "class": f"layer {kind}",
            "data-layer": str(at),
            "tabindex": "0",
            "role": "button",
            "aria-label": clean(f"{viewed.name}, {viewed.type}, {shape}"),
        },
    )
    SubElement(group, "title").text = clean(viewed.name)
    return group


def _rect(y: float, height: float, round_: int) -> dict[str, str]:
    sizes = {"x": 0, "y": y, "width": WIDTH, "height": height, "rx": round_}
    return {name: _number(size) for name, size in sizes.items()}


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
