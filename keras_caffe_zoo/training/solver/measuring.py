"""Which accuracies of its own, and of a test net, a training model can tell."""

import warnings
from typing import NamedTuple

from keras_caffe_zoo.caffe import Net
from keras_caffe_zoo.conversion.roles import (
    DATA_ROLES,
    Top,
    is_learned,
    last_makers,
    learned_layers,
    makers,
)
from keras_caffe_zoo.rules.registry import role_of
from keras_caffe_zoo.training.metrics import METRIC_LAYERS, accuracy_options
from keras_caffe_zoo.training.solver.objectives import Objective, accuracies


class Measured(NamedTuple):
    """An accuracy, and what it is made of.

    Attributes:
        objective: The accuracy.
        ends: The blobs of the training net that it is made of.
        net: The net that it is in, filtered.
    """

    objective: Objective
    ends: frozenset[str]
    net: Net


def measures_of(test: Net | None, train: Net) -> dict[str, Measured]:
    """Return the accuracies of two nets by name, and warn of those that are left out.

    An accuracy is made of blobs of the training net, by layers without parameters. Of
    two of one name it is the test net's, with a warning if they differ.

    Args:
        test: The test net, filtered; none for the training net's accuracies alone.
        train: The training net, filtered.
    """
    found, left_out = {}, {}
    for net in (train, *([test] if test is not None else [])):
        for accuracy in accuracies(net):
            ends = None
            if accuracy.layer.type in METRIC_LAYERS:
                ends = _ends(net, train, (*accuracy.blobs, *accuracy.labels))
            if ends is None:
                left_out[accuracy.name] = net, accuracy
                continue
            other = found.get(accuracy.name)
            if other and not _is_one(accuracy, other.objective):
                _warn_of_two(net, accuracy.name)
            found[accuracy.name] = Measured(accuracy, frozenset(ends), net)
    for name, of in left_out.items():
        if name not in found:
            warn_of(*of)
    return found


def warn_of(net: Net, accuracy: Objective) -> None:
    """Warn of an accuracy that is left out."""
    blobs = ", ".join(map(repr, (*accuracy.blobs, *accuracy.labels)))
    warnings.warn(
        f"{net.source}: left out the metric '{accuracy.name}' of {blobs}, which the "
        "model does not compute.",
        stacklevel=5,
    )


def _is_one(one: Objective, other: Objective) -> bool:
    """Tell whether two accuracies measure the same."""
    a, b = ((x.blobs, x.labels, x.top, accuracy_options(x.layer)) for x in (one, other))
    return a == b


def _warn_of_two(net: Net, name: str) -> None:
    warnings.warn(
        f"{net.source}: the training net and the test net have a metric '{name}' each, "
        "and they differ. The model tells the test net's, while it trains too; name "
        "them differently to have both.",
        stacklevel=5,
    )


def _ends(test: Net, train: Net, blobs) -> set[str] | None:
    """Return the blobs of the training net that blobs of the test net are made of.

    Returns:
        The blobs that parameters have a part in; `None` if there is one more that the
        training net does not have.
    """
    lasts, made_by = [last_makers(test), last_makers(train)], makers(test.layers)
    learned = learned_layers(train)
    waiting = [(blob, lasts[0].get(blob)) for blob in blobs]
    found, seen = set(), set()
    while waiting:
        blob, source = waiting.pop()
        if source is None:
            return None
        if source in seen:
            continue
        seen.add(source)
        layer = test.layers[source[0]]
        if role_of(layer.type) in DATA_ROLES:
            if blob not in lasts[1]:
                return None
        elif _is_same(blob, source, lasts, train, layer) and learned[lasts[1][blob][0]]:
            found.add(blob)
        elif is_learned(layer):
            return None
        else:
            waiting += zip(layer.bottoms, made_by[source[0]], strict=True)
    return found


def _is_same(blob: str, source: Top, lasts, train: Net, layer) -> bool:
    """Tell whether a blob is one of the training net, by a layer of the same name."""
    if blob not in lasts[1] or lasts[0][blob] != source:
        return False
    other = train.layers[lasts[1][blob][0]]
    return (other.name, other.type) == (layer.name, layer.type)
