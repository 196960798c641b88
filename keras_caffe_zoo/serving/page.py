"""The page: Gradio's components, and what each event computes."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from keras_caffe_zoo.demo import SECOND
from keras_caffe_zoo.digits import canvas, held_out_digits, windows, written_page
from keras_caffe_zoo.pictures import PictureError
from keras_caffe_zoo.serving.errors import ViewError
from keras_caffe_zoo.serving.offers import DIGITS, DIGITS_SSD
from keras_caffe_zoo.serving.shelf import Shelf
from keras_caffe_zoo.serving.text import hint, message, table
from keras_caffe_zoo.serving.uploads import read_upload

TITLE = "Caffe's networks, live"
_ABOUT = (
    "Drop a picture, choose a net, and see what it sees. The numbers are Caffe's, and "
    "pictures go no further than the machine that serves this page."
)
_EMPTY = "Drop a picture, or take one of the examples."
_WRONG = "Something went wrong here; the terminal of the server says what."
_LIKELIEST = -1  # the class that is chosen first
_CHANNELS = [16, 64, 256]
_ANSWER, _HEAT, _INSIDE = "answer", "heat", "inside"
_WAITING = 32  # visitors' questions
_COUNTED = ("detection", "face_detection", "pose")
_PAGE = 384, 704  # height and width of a page that the shipped SSD takes
_DIGIT = 7  # the number of the digit that is an example


def import_gradio():
    """Return the package, which is told to tell nobody of its use.

    Raises:
        ImportError: If it is not installed; says how to install it.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read as it is imported
    try:
        import gradio
    except ImportError as error:
        raise ImportError(
            "Expected the package gradio, to serve a page; received: none. Install it: "
            'pip install "keras_caffe_zoo[serve]"'
        ) from error
    return gradio


def style() -> str:
    """Return the page's CSS."""
    return (resources.files(__package__) / "page.css").read_text("utf-8")


def theme():
    """Return colours and letters; of the latter only those that a system has."""
    gradio = import_gradio()
    return gradio.themes.Default(
        primary_hue="blue",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


class Page:
    """The page of a shelf of nets.

    Args:
        shelf: The nets.

    Attributes:
        blocks: What Gradio serves.
    """

    def __init__(self, shelf: Shelf):
        self._gr, self._shelf = import_gradio(), shelf
        gr = self._gr
        with gr.Blocks(
            title=TITLE, analytics_enabled=False, delete_cache=(600, 3600)
        ) as self.blocks:
            gr.Markdown(f"# {TITLE}\n{_ABOUT}", elem_id="about")
            with gr.Row(equal_height=False, elem_id="both"):
                with gr.Column(scale=2, min_width=320):
                    self._add_question()
                with gr.Column(scale=3, min_width=320):
                    self._add_answers()
            gr.Examples(
                _examples(),
                [self._picture, self._net],
                label="Examples",
                api_visibility="private",
            )
            self._listen()
        self.blocks.queue(
            max_size=_WAITING, default_concurrency_limit=1, api_open=False
        )

    def _add_question(self) -> None:
        gr, known = self._gr, self._shelf.offers
        self._net = gr.Dropdown(
            [(f"{offer.name} – {offer.does}", offer.name) for offer in known],
            value=known[0].name,
            label="Net",
            filterable=len(known) > 8,
            elem_id="net",
        )
        self._picture = gr.Image(
            label="Picture",
            type="filepath",
            sources=["upload", "clipboard"],
            height=320,
            elem_id="picture",
        )

    def _add_answers(self) -> None:
        gr = self._gr
        still = {
            "interactive": False,
            "visible": False,
            "show_label": False,
            "buttons": ["download", "fullscreen"],
        }
        with gr.Tabs(selected=_ANSWER) as self._tabs:
            with gr.Tab("Answer", id=_ANSWER) as self._answer_tab:
                # Above the answer, which of a detector may be many lines.
                self._found = gr.Image(label="What it found", elem_id="found", **still)
                self._answer = gr.HTML(hint(_EMPTY), elem_id="answer")
            with gr.Tab("Heat map", id=_HEAT, visible=False) as self._heat_tab:
                self._class = gr.Dropdown(
                    [("the likeliest", _LIKELIEST)],
                    value=_LIKELIEST,
                    label="Class",
                    elem_id="class",
                )
                self._heat_said = gr.HTML(hint(_EMPTY), elem_id="heat-said")
                self._heat = gr.Image(
                    label="Where the net sees it", elem_id="heat", **still
                )
            with gr.Tab("Inside", id=_INSIDE) as self._inside_tab:
                with gr.Row():
                    self._blob = gr.Dropdown(
                        [], label="Blob", elem_id="blob", min_width=160
                    )
                    self._channels = gr.Radio(
                        _CHANNELS, value=64, label="Channels, at most", min_width=160
                    )
                self._inside_said = gr.HTML(hint(_EMPTY), elem_id="inside-said")
                self._inside = gr.Image(
                    label="Values of the blob",
                    format="png",
                    elem_id="inside",
                    **still,
                )
        self._tab = gr.State(_ANSWER)
        self._before = gr.State("")

    def _listen(self) -> None:
        gr = self._gr
        inputs = [
            *(self._picture, self._net, self._class, self._blob, self._channels),
            *(self._tab, self._before),
        ]
        outputs = [
            *(self._class, self._blob, self._tabs, self._heat_tab, self._before),
            *(self._tab, self._answer, self._found, self._heat_said, self._heat),
            *(self._inside_said, self._inside),
        ]
        # Gradio would open the picture, and say what Pillow says of it.
        asked = {"api_visibility": "private", "show_progress": "minimal"}
        asked |= {"preprocess": False}
        gr.on(
            [
                *(self._picture.change, self._net.change, self._class.input),
                *(self._blob.input, self._channels.input, self.blocks.load),
            ],
            self.see,
            inputs,
            outputs,
            trigger_mode="always_last",
            **asked,
        )
        for tab, name in (
            (self._answer_tab, _ANSWER),
            (self._heat_tab, _HEAT),
            (self._inside_tab, _INSIDE),
        ):
            tab.select(lambda name=name: name, None, self._tab, **asked).then(
                self.see, inputs, outputs, **asked
            )

    def see(self, sent, name, index, blob, channels, tab, before) -> dict:
        """Return what changes on the page, by its components.

        Args:
            sent: The picture, as the browser tells of it, its `path` on the server;
                None for none.
            name: The net's name.
            index: The class of the heat map; -1 for the likeliest.
            blob: The blob to show.
            channels: How many of its channels.
            tab: What is looked at.
            before: The net that was chosen before.
        """
        gr, changes = self._gr, {}
        try:
            with self._shelf.using(name) as net:
                if name != before:
                    changes = self._chosen(net)
                    index, blob = _LIKELIEST, changes.pop("blob")
                    tab = _ANSWER if tab == _HEAT and not net.has_map else tab
                    changes |= {self._tab: tab, self._tabs: gr.Tabs(selected=tab)}
                if not isinstance(sent, dict) or not sent.get("path"):
                    return changes | self._said(tab, hint(_EMPTY))
                pixels = read_upload(sent["path"], self._picture.GRADIO_CACHE)
                return changes | self._seen(tab, net, pixels, index, blob, channels)
        except ViewError as error:
            text = str(error)
        except PictureError as error:
            text = f"This net has no use for the picture: {error.reason}."
        except Exception:  # a visitor cannot mend it, and need not know paths of ours
            traceback.print_exc(file=sys.stderr)
            text = _WRONG
        return changes | self._said(tab, message(text))

    def _chosen(self, net) -> dict:
        """Return what changes with the net."""
        gr = self._gr
        classes = [("the likeliest", _LIKELIEST)]
        classes += [(name, place) for place, name in enumerate(net.classes)]
        blob = net.blobs[min(1, len(net.blobs) - 1)] if net.blobs else None
        return {
            self._before: net.name,
            self._heat_tab: gr.Tab(visible=net.has_map),
            self._class: gr.Dropdown(classes, value=_LIKELIEST),
            self._blob: gr.Dropdown(net.blobs, value=blob),
            "blob": blob,
        }

    def _seen(self, tab, net, pixels, index, blob, channels) -> dict:
        """Return what a tab shows of a picture."""
        if tab == _HEAT:
            picture = net.heat(pixels, None if index == _LIKELIEST else index)
            return self._said(tab, "", picture)
        if tab == _INSIDE:
            return self._said(tab, "", net.inside(pixels, blob, channels))
        answer = net.answer(pixels)
        height, width = pixels.shape[:2]
        more = f"{net.name}, on {width} x {height} pixels"
        if net.kind in _COUNTED:
            more = f"{more}: {len(answer.rows)} found"
        return self._said(tab, table(answer.rows, more), answer.picture)

    def _said(self, tab, text: str, picture=None) -> dict:
        """Return what a tab says and shows."""
        said, image = {
            _HEAT: (self._heat_said, self._heat),
            _INSIDE: (self._inside_said, self._inside),
        }.get(tab, (self._answer, self._found))
        return {
            said: self._gr.HTML(value=text, visible=bool(text)),
            image: self._gr.Image(value=picture, visible=picture is not None),
        }


def _examples() -> list[list]:
    """Return pictures that ship, and the nets that they are for."""
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))
    found = []
    for name, (pixels, net) in example_pictures().items():
        Image.fromarray(pixels).save(folder / name)
        found.append([str(folder / name), net])
    return found


def example_pictures() -> dict:
    """Return the pictures that ship, and the nets that they are for.

    Returns:
        uint8 `(H, W)` and a net's name, by a file's name: the demo's page of
        handwritten digits, one digit, and the demo's other page, for the heat map.
    """
    images, labels = held_out_digits()
    one = windows(images[_DIGIT : _DIGIT + 1])[0, ..., 0]
    page, _ = written_page(images[300:350], labels[300:350], *_PAGE, seed=SECOND)
    scattered, _ = canvas(images[:72], labels[:72], 320, 704, seed=4)
    return {
        "page.png": (page, DIGITS_SSD),
        "digit.png": (np.rint(one).astype("uint8"), DIGITS),
        "scattered.png": (np.rint(scattered[..., 0]).astype("uint8"), DIGITS),
    }
