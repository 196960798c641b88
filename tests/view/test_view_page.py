"""The page: what it has, and that nothing of a stranger's is ever more than text."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from support import GOLDENS
from viewed_nets import resnet

from keras_caffe_zoo.view.filters import filters_png
from keras_caffe_zoo.view.net import viewed_file
from keras_caffe_zoo.view.page import net_page

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`&amp;"
VOID = {"meta", "input", "img", "br", "link", "rect"}


class Parsed(HTMLParser):
    """A page's elements: (name, attributes), and what stands in them by their place."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.open = [], [], []
        self.feed(page.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.texts.append("")
        if tag not in VOID or tag == "rect":
            self.open.append(len(self.texts) - 1)

    def handle_endtag(self, tag):
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data):
        if self.open:
            self.texts[self.open[-1]] += data

    def all(self, tag, **attributes):
        return [
            (found, self.texts[at])
            for at, (name, found) in enumerate(self.elements)
            if name == tag and attributes.items() <= found.items()
        ]


def page_of(tmp_path, text, **options):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return net_page(viewed_file(path, **options))


def evil_text():
    name = EVIL.replace('"', '\\"').replace("'", "\\'")
    return (
        f'name: "{name}" input: "{name}" input_dim: 1 input_dim: 3 input_dim: 8 '
        f'input_dim: 8 layer {{ name: "{name}" type: "{name}" bottom: "{name}" '
        f'top: "x{name}" odd_param {{ words: "{name}" }} }} '
        f'layer {{ name: "p" type: "Python" bottom: "{name}" top: "p" python_param '
        f'{{ module: "{name}" layer: "L" param_str: "{name}" }} }}'
        f'layer {{ name: "d" type: "Data" top: "d" data_param {{ source: "{name}" }} }}'
    )


def test_a_page_needs_nothing_and_lets_nothing_else_run(tmp_path):
    page = page_of(tmp_path, resnet((1, 1)))
    parsed = Parsed(page)
    assert not parsed.open
    (policy,) = [
        a["content"]
        for a, _ in parsed.all("meta")
        if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    for tag in ("script", "style"):
        ((_, text),) = parsed.all(tag)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    places = [
        value
        for _, attributes in parsed.elements
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data") or name.startswith("on")
    ]
    assert not places
    assert not [a for _, a in parsed.elements if "style" in a]
    assert re.findall(rb"https?://[^\"' ]*", page) == [b"http://www.w3.org/2000/svg"]


def test_each_layer_has_a_shape_in_the_picture_a_panel_and_a_row(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(resnet((1, 1)))
    net = viewed_file(path)
    parsed = Parsed(net_page(net))
    groups = [a for a, _ in parsed.all("g") if "data-layer" in a]
    assert sorted(int(a["data-layer"]) for a in groups) == list(range(len(net.layers)))
    assert all(a["tabindex"] == "0" and a["role"] == "button" for a in groups)
    panels = [a["id"] for a, _ in parsed.all("section") if "hidden" in a]
    assert panels == [f"layer-{at}" for at in range(len(net.layers))]
    assert len(parsed.all("tr")) == 1 + len(net.layers)
    texts = [text for _, text in parsed.all("text")]
    assert "conv1" in texts and "64 × 112 × 112" in texts
    assert "64 · 7×7 · stride 2 · pad 3" in texts
    written = [text for _, text in parsed.all("pre")]
    assert "kernel_size: 7" in written[1] and 'name: "conv1"' in written[1]
    (_, title), *_ = parsed.all("h1")
    assert title == "ResNet-8"


def test_what_strangers_wrote_is_text(tmp_path):
    page = page_of(tmp_path, evil_text())
    parsed = Parsed(page)
    assert not parsed.open  # every element ends where it should
    assert len(parsed.all("script")) == 1 and not parsed.all("img")
    assert not [a for _, a in parsed.elements if any(x.startswith("on") for x in a)]
    assert any(EVIL in text for _, text in parsed.all("h2"))
    assert any(EVIL in a["aria-label"] for a, _ in parsed.all("g") if "role" in a)
    assert sum("odd_param" in text for _, text in parsed.all("pre")) == 1


@pytest.mark.parametrize("mark", ["\u202e", "\x00", "\x1b", "\u200b"])
def test_marks_that_are_no_letters_are_not_shown(tmp_path, mark):
    said = "".join(f"\\{byte:03o}" for byte in mark.encode())  # as prototxts have bytes
    text = f'layer {{ name: "a{said}b" type: "Odd" top: "x" }}'
    page = page_of(tmp_path, text).decode("utf-8")
    assert mark not in page and "a\ufffdb" in page


def test_long_names_and_settings_are_cut(tmp_path):
    name = "n" * 1_000_000
    bottoms = " ".join(f'bottom: "b{at}"' for at in range(5000))
    text = f'layer {{ name: "{name}" type: "Odd" {bottoms} top: "{name}" }}'
    assert len(page_of(tmp_path, text)) < 60_000


def test_many_layers_in_place_are_one_box(tmp_path):
    lines = ['input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8']
    for at in range(100):
        lines.append(
            f'layer {{ name: "r{at}" type: "ReLU" bottom: "data" top: "data" }}'
        )
    parsed = Parsed(page_of(tmp_path, "\n".join(lines)))
    (box,) = [a for a, _ in parsed.all("g") if a.get("class") == "node"]
    assert any("and 92 more" in text for _, text in parsed.all("text"))
    assert len(parsed.all("tr")) == 102


def test_what_cannot_be_drawn_is_listed_and_said(tmp_path):
    lines = []
    for at in range(60):  # each reads all before it
        bottoms = " ".join(f'bottom: "b{i}"' for i in range(at))
        lines.append(f'layer {{ name: "b{at}" type: "Concat" {bottoms} top: "b{at}" }}')
    parsed = Parsed(page_of(tmp_path, "\n".join(lines)))
    assert not parsed.all("svg")
    notes = [text for _, text in parsed.all("p", **{"class": "note"})]
    assert any("There is no picture" in text for text in notes)
    assert len(parsed.all("tr")) == 61


def test_the_first_filters_are_a_picture_in_the_page():
    path = GOLDENS / "net_alexnet_eighth.caffemodel"
    ((image, _),) = Parsed(net_page(viewed_file(path))).all("img")
    data = image["src"].removeprefix("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.mode == "RGB"


def test_filters_are_rgb_on_one_scale():
    kernel = np.random.default_rng(0).standard_normal((3, 3, 2, 2)).astype("float32")
    with Image.open(io.BytesIO(filters_png(kernel))) as picture:
        drawn = np.asarray(picture)
    scaled = (kernel - kernel.min()) / (kernel.max() - kernel.min()) * 255
    expected = np.rint(scaled[1, ::-1]).transpose(1, 2, 0)  # BGR as RGB
    np.testing.assert_array_equal(drawn[:2, 3:5], expected)
    assert filters_png(kernel * np.nan) is None
    assert filters_png(np.zeros((1, 1, 99, 99), "float32")) is None
