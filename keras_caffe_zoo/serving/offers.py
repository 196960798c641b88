"""Which nets are served, and how each is loaded when somebody chooses it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_caffe_zoo import demo
from keras_caffe_zoo.conversion import from_caffe
from keras_caffe_zoo.digits import CLASSES, PAPER
from keras_caffe_zoo.files import check_file
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.models import list_models
from keras_caffe_zoo.serving.errors import ViewError
from keras_caffe_zoo.serving.kinds import KINDS
from keras_caffe_zoo.serving.nets import ServedNet
from keras_caffe_zoo.weights import cached_path, model_entry

DIGITS, DIGITS_SSD = "digits", "digits_ssd"  # the nets that ship
_OWN = ("detection", "classification", "segmentation")  # what one's own nets may do
_BETWEEN = ".prototxt:"


@dataclass(frozen=True)
class Offer:
    """A net that can be chosen.

    Attributes:
        name: What it is called, on the page too.
        does: What it does, in a few words.
        load: Loads it.
    """

    name: str
    does: str
    load: Callable[[], ServedNet]


def offers(nets: Iterable = (), **own) -> list[Offer]:
    """Return all nets that can be chosen: those given, the shipped, the cached.

    Args:
        nets: Those given: a name of the zoo, `"NET.prototxt:NET.caffemodel"`, or a
            model.
        **own: What `TaskNet` is told of nets that are not the zoo's, and `labels`.

    Raises:
        ValueError: If the zoo has no such net, or none that is served; or files are
            given otherwise.
    """
    given = [_given(one, own) for one in nets]
    cached = [_cached(name) for name in list_models() if cached_path(name)]
    found: dict[str, Offer] = {}
    for offer in [*given, *_shipped(), *filter(None, cached)]:
        found.setdefault(offer.name, offer)
    return list(found.values())


def _shipped() -> list[Offer]:
    return [
        Offer(DIGITS, "reads a handwritten digit", _digits),
        Offer(DIGITS_SSD, "finds handwritten digits", _digits_ssd),
    ]


def _digits() -> ServedNet:
    kind = KINDS["classification"]
    task = kind.task(demo.load(), labels=CLASSES, mean=0)
    return ServedNet(DIGITS, "classification", task)


def _digits_ssd() -> ServedNet:
    task = KINDS["detection"].task(demo.load_ssd(), labels=CLASSES[:-1], mean=PAPER)
    return ServedNet(DIGITS_SSD, "detection", task)


def _cached(name: str) -> Offer | None:
    """Return a net whose weights are in the cache; None if it is of no served kind."""
    task = model_entry(name).task
    if task not in KINDS:
        return None

    def load() -> ServedNet:
        path = cached_path(name)
        if path is None:
            raise ViewError(f"The weights of {name} are not in the cache any more.")
        return _of_zoo(name, task, str(path))

    return Offer(name, KINDS[task].does, load)


def _given(net, own: dict) -> Offer:
    if isinstance(net, keras.Model):
        return Offer(net.name, "a net of one's own", lambda: _own(net.name, net, own))
    net = os.fspath(net)
    if _BETWEEN in net:
        return _files(net, own)
    if ":" in net and net.endswith(_BETWEEN.removesuffix(":")):
        raise ValueError(
            "Expected the prototxt first and the caffemodel second, with a colon "
            f"between them; received: {net}"
        )
    task = model_entry(net).task
    if task not in KINDS or net not in list_models():
        known = [name for name in list_models() if model_entry(name).task in KINDS]
        raise ValueError(
            f"Expected a net that is served; received: {net!r}, which is for {task}. "
            f"{there_are(known, net)}"
        )
    return Offer(net, KINDS[task].does, lambda: _of_zoo(net, task, "caffe"))


def _files(text: str, own: dict) -> Offer:
    before, _, caffemodel = text.partition(_BETWEEN)
    prototxt = Path(before + _BETWEEN.removesuffix(":"))
    for path in (prototxt, Path(caffemodel)):
        check_file(path, "a net's file")

    def load() -> ServedNet:
        return _own(prototxt.stem, from_caffe(prototxt, caffemodel), own)

    return Offer(prototxt.stem, "a net of one's own", load)


def _of_zoo(name: str, task: str, weights: str) -> ServedNet:
    made = KINDS[task].task(name, weights=weights)
    return ServedNet(name, task, made, zoo=name)


def _own(name: str, model: keras.Model, own: dict) -> ServedNet:
    """Return a net of one's own, as the first kind that its outputs are of.

    Raises:
        ValueError: If they are of none.
    """
    reasons: dict[str, None] = {}
    for kind in _OWN:
        try:
            return ServedNet(name, kind, KINDS[kind].task(model, **own))
        except ValueError as error:
            reasons.setdefault(str(error))
    raise ValueError(
        f"Expected a net that classifies, detects or segments pictures; received: "
        f"{name}. {' | '.join(reasons)}"
    )


def find(known: Sequence[Offer], name: str) -> Offer:
    """Return the net of a name.

    Raises:
        ViewError: If there is none.
    """
    for offer in known:
        if offer.name == name:
            return offer
    names = [offer.name for offer in known]
    raise ViewError(
        f"There is no net {str(name)[:80]!r} here. {there_are(names, str(name))}."
    )
