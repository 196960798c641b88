"""What a training net asks for: its losses, its accuracies, and of which blobs."""

from typing import NamedTuple

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net
from keras_caffe_zoo.conversion.deploy import loss_tops
from keras_caffe_zoo.conversion.roles import label_bottoms, makers
from keras_caffe_zoo.rules.registry import role_of, rule_of
from keras_caffe_zoo.training.losses import LOSS_LAYERS


class Objective(NamedTuple):
    """A loss, or an accuracy, of a net.

    Attributes:
        name: The blob that Caffe writes it to.
        layer: Caffe's layer.
        blobs: What it reads of the net: one blob, or several, such as the two of a
            ContrastiveLoss.
        labels: The blob of a data layer that has its labels; behind it those that weigh
            them, if there are any.
        weight: What a loss is multiplied with.
    """

    name: str
    layer: Layer
    blobs: tuple[str, ...]
    labels: tuple[str, ...]
    weight: float = 1.0


def losses(net: Net) -> list[Objective]:
    """Return the losses of a net that was filtered for its phase.

    Raises:
        CaffeFormatError: If there is none, or one is not of labels, or what is to be
            minimized is no loss layer.
    """
    found = []
    for at, layer in enumerate(net.layers):
        weights = list(layer.message.loss_weight)
        if role_of(layer.type) != "loss":
            if any(weights):
                raise _error(
                    net,
                    layer,
                    "Expected loss_weight on loss layers only, "
                    f"{sorted(LOSS_LAYERS)}; received it on a {layer.type}",
                )
            continue
        weight = weights[0] if weights else 1.0
        if weight:
            found.append(_objective(net, at, weight))
    if not found:
        raise CaffeFormatError(
            f"Expected a net with a loss, one of {sorted(LOSS_LAYERS)}; received none",
            source=net.source,
        )
    return found


def accuracies(net: Net) -> list[Objective]:
    """Return the Accuracy layers of a net that was filtered for its phase.

    Raises:
        CaffeFormatError: If one is not of labels.
    """
    return [
        _objective(net, at)
        for at, layer in enumerate(net.layers)
        if role_of(layer.type) == "metric"
    ]


def _objective(net: Net, at: int, weight: float = 1.0) -> Objective:
    layer, sources = net.layers[at], makers(net.layers)[at]
    at_labels = _at_labels(net, at)
    ends = list(zip(layer.bottoms, sources, strict=True))
    blobs = [end for i, end in enumerate(ends) if i not in at_labels]
    for blob, source in blobs:
        if source != _last_maker(net, blob):
            raise _error(
                net,
                layer,
                f"Expected a blob that stays as it is; received {blob!r}, which a "
                "layer after this one overwrites. Give that layer a top of its own",
            )
    labels = [ends[i] for i in at_labels]
    for blob, source in labels:
        if source is None or not _is_label(net, *source):
            raise _error(
                net,
                layer,
                "Expected labels that come from a data layer and nowhere else; "
                f"received the blob {blob!r}, which the net computes or reads itself. "
                "Import the net with from_caffe and compile it with a loss of your own",
            )
    names = (tuple(blob for blob, _ in found) for found in (blobs, labels))
    return Objective(loss_tops(layer)[0], layer, *names, weight)


def _at_labels(net: Net, at: int) -> list[int]:
    """Return which bottoms of a loss are labels, and weights of these.

    Raises:
        CaffeFormatError: If it has too many, or too few, of them.
    """
    layer = net.layers[at]
    rule = rule_of(layer.type)
    given = len(layer.bottoms) - rule.labels_from
    if given != 1 and not (rule.weighed and given == 3):
        weights = ", or their two weights behind them" if rule.weighed else ""
        raise _error(
            net,
            layer,
            f"Expected {rule.labels_from + 1} bottoms, the labels last{weights}; "
            f"received: {layer.bottoms}",
        )
    return sorted(label_bottoms(net, at)) or [rule.labels_from]


def _last_maker(net: Net, blob: str) -> tuple[int, int] | None:
    """Return the layer, and which of its tops, that writes a blob last."""
    found = None
    for at, layer in enumerate(net.layers):
        if blob in layer.tops:
            found = at, layer.tops.index(blob)
    return found


def _is_label(net: Net, maker: int, top: int) -> bool:
    """Tell whether a top is a data layer's, and read only where labels belong."""
    if role_of(net.layers[maker].type) not in ("input", "data"):
        return False
    return all(
        _reads_labels(net, at, i)
        for at, sources in enumerate(makers(net.layers))
        for i, source in enumerate(sources)
        if source == (maker, top)
    )


def _reads_labels(net: Net, at: int, bottom: int) -> bool:
    """Tell whether a layer's bottom is for labels, or to be silenced."""
    role = role_of(net.layers[at].type)
    labelled = role in ("loss", "metric") and bottom in label_bottoms(net, at)
    return labelled or role == "silence"


def _error(net: Net, layer: Layer, problem: str) -> CaffeFormatError:
    problem = f"({layer.type}) {problem}"
    return CaffeFormatError(problem, source=net.source, layer=layer.name)
