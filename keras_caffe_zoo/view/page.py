"""A net as one HTML file, which needs nothing else and asks for nothing."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from xml.etree.ElementTree import Element, SubElement, tostring

from keras_caffe_zoo.caffe import CaffeFormatError
from keras_caffe_zoo.files import last_part
from keras_caffe_zoo.messages import said
from keras_caffe_zoo.view.drawing import (
    Drawing,
    clean,
    drawn,
    said_number,
    said_shape,
)
from keras_caffe_zoo.view.filters import filters_png
from keras_caffe_zoo.view.kinds import KINDS
from keras_caffe_zoo.view.net import ViewedLayer, ViewedNet
from keras_caffe_zoo.view.svg import svg_of

_MOST_TEXT = 4000  # characters of a layer's settings
_MOST_BLOBS = 32  # that a layer's panel lists


def net_page(net: ViewedNet) -> bytes:
    """Return a net's page: HTML, UTF-8.

    All that is a stranger's stands in text and attributes that the serializer escapes;
    the page's only script and style are this package's, and no other may run: its
    Content-Security-Policy names them by their hashes.
    """
    drawing = drawn(net)
    title = clean(net.name or last_part(net.source) or "net", 80)
    html = Element("html", {"lang": "en"})
    _add_head(html, title)
    body = SubElement(html, "body")
    _add_header(body, net, title)
    main = SubElement(body, "main")
    picture = SubElement(main, "div", {"id": "picture"})
    if drawing.layout is None:
        SubElement(picture, "p", {"class": "none"}).text = "No picture of this net."
    else:
        picture.append(svg_of(drawing))
        _add_zoom(picture)
    _add_panel(main, drawing)
    _add_table(body, net)
    SubElement(body, "script").text = _asset("page.js")
    return b"<!DOCTYPE html>\n" + tostring(html, "utf-8", method="html")


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _add_head(html: Element, title: str) -> None:
    head = SubElement(html, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    policy = (
        f"default-src 'none'; script-src {_hash(_asset('page.js'))}; "
        f"style-src {_hash(_asset('page.css'))}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    SubElement(
        head, "meta", {"http-equiv": "Content-Security-Policy", "content": policy}
    )
    size = {"name": "viewport", "content": "width=device-width, initial-scale=1"}
    SubElement(head, "meta", size)
    SubElement(head, "title").text = title
    SubElement(head, "style").text = _asset("page.css")


def _add_header(body: Element, net: ViewedNet, title: str) -> None:
    header = SubElement(body, "header")
    SubElement(header, "h1").text = title
    figures = SubElement(header, "dl", {"id": "totals"})
    least = "" if net.is_counted and not net.unsized else "at least "
    unknown = any(x.memory is None for x in net.layers)
    for name, text, exact in (
        ("layers", f"{len(net.layers):,}", ""),
        ("parameters", said_number(net.parameters), f"{net.parameters:,}"),
        (
            "multiply-adds",
            f"{least}{said_number(net.multiply_adds)}",
            f"{net.multiply_adds:,} for one item",
        ),
        (
            "memory of blobs",
            f"{'at least ' if unknown else ''}{said_number(net.memory, 'B')}",
            f"{net.memory:,} bytes of float32 for one item",
        ),
    ):
        one = SubElement(figures, "div", {"title": exact})
        SubElement(one, "dt").text = name
        SubElement(one, "dd").text = text
    search = {"id": "search", "type": "search"}
    hint = {"placeholder": "layer or type", "aria-label": "Find a layer or type"}
    SubElement(header, "input", {**search, **hint, "autocomplete": "off"})
    SubElement(header, "output", {"id": "found", "for": "search"})
    for note in net.notes:
        SubElement(body, "p", {"class": "note"}).text = clean(note, 1000)


def _add_zoom(picture: Element) -> None:
    bar = SubElement(picture, "div", {"id": "zoom"})
    for name, sign, text in (
        ("in", "+", "Larger"),
        ("out", "−", "Smaller"),
        ("all", "▢", "The whole net"),
    ):
        button = {"type": "button", "data-zoom": name, "title": text}
        SubElement(bar, "button", {**button, "aria-label": text}).text = sign


def _add_panel(main: Element, drawing: Drawing) -> None:
    net = drawing.net
    panel = SubElement(main, "aside", {"id": "panel", "aria-live": "polite"})
    start = SubElement(panel, "section", {"id": "start"})
    if drawing.layout is not None:
        SubElement(start, "p").text = (
            "Click on a layer, or go to it with Tab and press Enter, for its shapes, "
            "settings and figures. Drag to move, turn the wheel to zoom."
        )
    legend = SubElement(start, "ul", {"class": "legend"})
    present = {x.kind for x in net.layers}
    for kind, (name, _) in KINDS.items():
        if kind in present:
            item = SubElement(legend, "li")
            SubElement(item, "i", {"class": f"k-{kind}"})
            SubElement(item, "span").text = name
    SubElement(start, "p", {"class": "small"}).text = (
        "Shapes are Caffe's, without the number of items: channels × height × width. "
        "Multiply-adds are those of layers with weights, for one item; memory is that "
        "of blobs in float32."
    )
    _add_filters(start, net)
    if net.is_drawn:
        for at, viewed in enumerate(net.layers):
            _add_details(panel, at, viewed, net)


def _add_filters(start: Element, net: ViewedNet) -> None:
    png = None if net.kernel is None else filters_png(net.kernel)
    if png is not None:
        data = base64.b64encode(png).decode()
        figure = SubElement(start, "figure")
        text = f"The filters of {clean(net.kernel_of)}"
        source = {"id": "filters", "src": f"data:image/png;base64,{data}", "alt": text}
        SubElement(figure, "img", source)
        SubElement(figure, "figcaption").text = text


def _add_details(panel: Element, at: int, viewed: ViewedLayer, net: ViewedNet) -> None:
    section = SubElement(panel, "section", {"id": f"layer-{at}", "hidden": ""})
    SubElement(section, "h2").text = clean(viewed.name) or f"#{at + 1}"
    what = SubElement(section, "p", {"class": f"type k-{viewed.kind}"})
    of_fork = f" (of {viewed.fork})" if viewed.fork else ""
    what.text = clean(f"{viewed.type}{of_fork}")
    if viewed.sizes.problem:
        SubElement(section, "p", {"class": "note"}).text = clean(
            f"Its shape is unknown. {viewed.sizes.problem}.", 500
        )
    facts = SubElement(section, "dl")
    for text, blobs, shapes in (
        ("reads", viewed.layer.bottoms, viewed.sizes.bottoms),
        ("writes", viewed.layer.tops, viewed.sizes.tops),
    ):
        for blob, shape in list(zip(blobs, shapes, strict=True))[:_MOST_BLOBS]:
            _add_fact(facts, text, clean(blob), said_shape(shape, items=True))
        if len(blobs) > _MOST_BLOBS:
            _add_fact(facts, text, f"and {len(blobs) - _MOST_BLOBS:,} more")
    for shape in viewed.sizes.params[:8]:
        _add_fact(facts, "learned", said_shape(shape, items=True))
    sums = viewed.sizes.multiply_adds
    figures = (
        ("parameters", viewed.sizes.parameters, ""),
        ("multiply-adds", None if sums is None else sums // net.items, ""),
        ("memory", viewed.memory and viewed.memory // net.items, "B"),
    )
    for name, number, unit in figures:
        if number is None or number:
            exact = "" if number is None or number < 1000 else f"{number:,}"
            _add_fact(facts, name, said_number(number, unit), exact)
    SubElement(section, "pre").text = _settings(viewed)


def _add_fact(facts: Element, name: str, text: str, more: str = "") -> None:
    row = SubElement(facts, "div")
    SubElement(row, "dt").text = name
    value = SubElement(row, "dd")
    value.text = text
    if more:
        SubElement(value, "span").text = more


def _settings(viewed: ViewedLayer) -> str:
    """Return a layer as its prototxt has it."""
    try:
        return clean(viewed.layer.to_prototxt().replace("\t", "  "), _MOST_TEXT)
    except CaffeFormatError as error:
        return clean(said(error), 500)


_COLUMNS = ("layer", "type", "settings", "shape", "parameters", "multiply-adds")


def _add_table(body: Element, net: ViewedNet) -> None:
    details = SubElement(body, "details", {"id": "all"})
    if not net.is_drawn:
        details.set("open", "")
    SubElement(details, "summary").text = f"All {len(net.layers):,} layers as a table"
    table = SubElement(details, "table")
    head = SubElement(SubElement(table, "thead"), "tr")
    for name in _COLUMNS:
        numbers = {"class": "number"} if name in _COLUMNS[4:] else {}
        SubElement(head, "th", {"scope": "col", **numbers}).text = name
    rows = SubElement(table, "tbody")
    for at, viewed in enumerate(net.layers):
        row = SubElement(rows, "tr", {"data-row": str(at), "tabindex": "-1"})
        shapes = ", ".join(said_shape(shape) for shape in viewed.tops[:2])
        for text in (clean(viewed.name, 80), clean(viewed.type, 80), viewed.settings):
            SubElement(row, "td").text = clean(text, 120)
        SubElement(row, "td").text = shapes + ", …" * (len(viewed.tops) > 2)
        sums = viewed.sizes.multiply_adds
        counts = (viewed.sizes.parameters, None if sums is None else sums // net.items)
        for count in counts:
            text = "?" if count is None else f"{count:,}" if count else ""
            SubElement(row, "td", {"class": "number"}).text = text
