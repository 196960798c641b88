"""What a training net asks for: its losses, its accuracies, and of which blobs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net
from keras_caffe_zoo.conversion.deploy import Kept, loss_tops
from keras_caffe_zoo.conversion.roles import (
    DATA_ROLES,
    Top,
    is_learned,
    label_bottoms,
    last_makers,
    learned_layers,
    makers,
    roles,
)
from keras_caffe_zoo.rules.registry import role_of, rule_of
from keras_caffe_zoo.training.losses import LOSS_LAYERS


class Objective(NamedTuple):
    """A loss, or an accuracy, of a net.

    Attributes:
        name: The blob that Caffe writes it to.
        layer: Caffe's layer.
        blobs: What it reads of the net: one blob, or several, such as the two of a
            ContrastiveLoss; the top itself of an ordinary layer with a `loss_weight`.
        labels: The blobs that have its labels; behind the first what comes with them,
            such as their weights. None of an ordinary layer.
        weight: What a loss is multiplied with.
        top: Which top of the layer it is.
        stopped: Whether no gradient goes to what it reads.
    """

    name: str
    layer: Layer
    blobs: tuple[str, ...]
    labels: tuple[str, ...]
    weight: float = 1.0
    top: int = 0
    stopped: bool = False

    @property
    def is_sum(self) -> bool:
        """Whether it is the sum of a top, and not what a loss makes of labels."""
        return not self.labels


@dataclass
class Objectives:
    """What is made of a net's losses.

    Attributes:
        losses: All that Caffe minimizes, or only prints, in the net's order.
        kept: What of the net must stay for them.
        computed: Blobs that are labels and that parameters have a part in, and whether
            they have a gradient.
    """

    losses: list[Objective] = field(default_factory=list)
    kept: Kept = field(default_factory=lambda: Kept(set(), set(), set()))
    computed: dict[str, bool] = field(default_factory=dict)

    @property
    def minimized(self) -> list[Objective]:
        """The losses that have a weight."""
        return [objective for objective in self.losses if objective.weight]


def objectives_of(net: Net) -> Objectives:
    """Return the losses of a net that was filtered for its phase.

    Raises:
        CaffeFormatError: If there is none, or Caffe could not train on one.
    """
    found, graph = Objectives(), _Graph(net)
    for at, layer in enumerate(net.layers):
        role, weights = role_of(layer.type), list(layer.message.loss_weight)
        if role == "metric" and not any(weights):
            continue
        tops = loss_tops(layer) if role == "loss" else layer.tops
        if weights and len(weights) != len(tops):
            raise _error(
                net,
                layer,
                f"Expected a loss_weight for each of {len(tops)} tops, or none; "
                f"received: {len(weights)}",
            )
        if role == "loss":
            _add_loss(found, graph, at, [*weights, 1.0][0])
        sums = enumerate(weights)
        for i, weight in [(i, w) for i, w in sums if w and (i or role != "loss")]:
            found.losses.append(_sum(graph, at, i, weight))
            found.kept.tops.add((at, i))
    if not found.minimized:
        raise CaffeFormatError(
            f"Expected a net with a loss, one of {sorted(LOSS_LAYERS)}, or a layer "
            "with a loss_weight; received none",
            source=net.source,
        )
    return found


def losses(net: Net) -> list[Objective]:
    """Return what a net that was filtered for its phase minimizes.

    Raises:
        CaffeFormatError: As `objectives_of`.
    """
    return objectives_of(net).minimized


def accuracies(net: Net) -> list[Objective]:
    """Return what the Accuracy layers of a filtered net make, a top at a time.

    Raises:
        CaffeFormatError: If one has no labels.
    """
    graph = _Graph(net)
    return [
        graph.objective(at, top=i)
        for at, layer in enumerate(net.layers)
        if role_of(layer.type) == "metric"
        for i in range(len(loss_tops(layer)))
    ]


class UnreadTop(NamedTuple):
    """A top that no layer reads, which Caffe prints.

    Attributes:
        place: The layer's position, and which of its tops.
        weight: Its weight if it is a loss, else 0.
    """

    place: Top
    weight: float


def unread_tops(net: Net) -> dict[str, UnreadTop]:
    """Return the output blobs of a filtered net, by the order of their names.

    A loss whose top has no name has none in Caffe either, and is not printed.

    Reference:
        `Net::Init` of Caffe 1.0.
    """
    read = {s for sources in makers(net.layers) for s in sources if s}
    found = {}
    for at, layer in enumerate(net.layers):
        told = list(layer.message.loss_weight)
        told = told or [1.0] * (role_of(layer.type) == "loss")
        for i, top in enumerate(layer.tops):
            if (at, i) not in read:
                weight = told[i] if i < len(told) else 0.0
                found[top] = UnreadTop((at, i), weight)
    return dict(sorted(found.items()))


def backward_bottoms(net: Net) -> dict[int, list[int]]:
    """Return the layers that gradients go through, in the net's order, by position.

    Returns:
        For each the bottoms that have a gradient; none of a layer whose parameters
        alone have one.
    """
    graph, found = _Graph(net), {}
    weighed = {o.layer.name for o in losses(net)}
    under: set[Top] = set()  # tops that a loss is made of
    for at in reversed(range(len(net.layers))):
        layer = net.layers[at]
        tops = {(at, i) for i in range(len(layer.tops))}
        if layer.name not in weighed and not tops & under:
            continue
        reads = [i for i in range(len(layer.bottoms)) if graph.needs_gradient(at, i)]
        if reads or (is_learned(layer) and not _is_frozen(layer)):
            found[at] = reads
            under.update(s for i in reads if (s := graph.sources[at][i]))
    return dict(sorted(found.items()))


def label_order(net: Net, at: int) -> tuple[list[int], list[int]]:
    """Return which bottoms of a loss are predictions, and which labels.

    Raises:
        CaffeFormatError: If it has too many, or too few, of them.
    """
    layer = net.layers[at]
    rule = rule_of(layer.type)
    most = len(layer.bottoms) - rule.labels_from - 1
    if most not in rule.more_labels:
        more = " or ".join(f"{n} more behind them" for n in rule.more_labels if n)
        more = f", with {more}" if more else ""
        raise _error(
            net,
            layer,
            f"Expected {rule.labels_from + 1} bottoms, the labels last{more}; "
            f"received: {layer.bottoms}",
        )
    labels = sorted(label_bottoms(net, at))
    if 0 not in labels:  # parameters may have a part in both
        labels = list(range(rule.labels_from, len(layer.bottoms)))
    return [i for i in range(len(layer.bottoms)) if i not in labels], labels


def _add_loss(found: Objectives, graph: "_Graph", at: int, weight: float) -> None:
    layer = graph.net.layers[at]
    _, labels = label_order(graph.net, at)
    both_ways = rule_of(layer.type).both_ways
    needed = [i for i in labels if graph.needs_gradient(at, i)]
    if weight and any(i != labels[0] or not both_ways for i in needed):
        raise _error(
            graph.net,
            layer,
            f"Expected labels without a gradient; received the blob "
            f"{layer.bottoms[needed[0]]!r}, which parameters are learned by. Give "
            "these lr_mult: 0, or the bottom propagate_down: false",
        )
    if graph.is_read((at, 0)):
        found.kept.layers.add(at)
        found.kept.bottoms.update((at, i) for i in range(len(layer.bottoms)))
        found.losses.append(_sum(graph, at, 0, weight))
        return
    objective = graph.objective(at, weight)
    for i, blob in zip(labels, objective.labels, strict=True):
        if graph.is_learned(at, i):
            graph.check_stays(at, i)
            found.kept.bottoms.add((at, i))
            found.computed[blob] = found.computed.get(blob, False) or i in needed
    found.losses.append(objective)


def _sum(graph: "_Graph", at: int, top: int, weight: float) -> Objective:
    layer = graph.net.layers[at]
    blob = loss_tops(layer)[top]
    if (at, top) != graph.last.get(blob, (at, top)):
        raise _overwritten(graph.net, layer, blob)
    return Objective(blob, layer, (blob,), (), weight, top)


class _Graph:
    """A net, and what is made of what in it."""

    def __init__(self, net: Net):
        self.net, self.sources = net, makers(net.layers)
        self.last, self._learned = last_makers(net), learned_layers(net)
        self._gradient: list[bool] = []
        for at, layer in enumerate(net.layers):
            reads = range(len(layer.bottoms))
            trains = is_learned(layer) and not _is_frozen(layer)
            trains = trains or any(self.needs_gradient(at, i) for i in reads)
            self._gradient.append(trains)

    def is_learned(self, at: int, bottom: int) -> bool:
        """Tell whether parameters have a part in what a layer reads."""
        source = self.sources[at][bottom]
        return source is not None and self._learned[source[0]]

    def needs_gradient(self, at: int, bottom: int) -> bool:
        """Tell whether Caffe wants the gradient of what a layer reads."""
        told = list(self.net.layers[at].message.propagate_down)
        if bottom < len(told):
            return told[bottom]
        source = self.sources[at][bottom]
        return source is not None and self._gradient[source[0]]

    def is_read(self, top: Top) -> bool:
        """Tell whether a layer computes something of a top."""
        return any(
            source == top and role_of(self.net.layers[at].type) != "silence"
            for at, sources in enumerate(self.sources)
            for source in sources
        )

    def check_stays(self, at: int, bottom: int) -> None:
        """Refuse a blob that a later layer overwrites."""
        layer, source = self.net.layers[at], self.sources[at][bottom]
        blob = layer.bottoms[bottom]
        if source is None:
            raise _error(
                self.net,
                layer,
                "Expected the name of a blob that a layer before it writes; received: "
                f"{blob!r}",
            )
        if source != self.last[blob]:
            raise _overwritten(self.net, layer, blob)

    def _check_labels(self, at: int, blobs: list[str]) -> None:
        """Refuse labels that the net does not make of data by itself."""
        for i in ancestors(self.net, blobs):
            maker = self.net.layers[i]
            if role_of(maker.type) == "targets":
                raise _error(
                    self.net,
                    self.net.layers[at],
                    "Expected labels that come from a data layer, or are computed of "
                    f"data; received {blobs}, which '{maker.name}' ({maker.type}) "
                    "draws. Import the net with from_caffe and compile it with a loss "
                    "of your own",
                )

    def objective(self, at: int, weight: float = 1.0, top: int = 0) -> Objective:
        """Return what a loss, or an accuracy, asks for."""
        layer = self.net.layers[at]
        blobs, labels = label_order(self.net, at)
        for i in (*blobs, *labels):
            self.check_stays(at, i)
        self._check_labels(at, [layer.bottoms[i] for i in labels])
        told = list(layer.message.propagate_down)
        names = (tuple(layer.bottoms[i] for i in found) for found in (blobs, labels))
        stopped = bool(told) and not any(told[i] for i in blobs if i < len(told))
        name = loss_tops(layer)[top]
        return Objective(name, layer, *names, weight, top, stopped)


def _is_frozen(layer: Layer) -> bool:
    """Tell whether a layer's parameters are all said not to be learned."""
    specs = layer.message.param
    axes = rule_of(layer.type).blob_axes(layer) if rule_of(layer.type) else None
    enough = len(specs) >= (len(axes) if axes else 1)
    return enough and all(spec.lr_mult == 0 for spec in specs)


def ancestors(
    net: Net, blobs: Iterable[str], ends: Iterable[str] = (), data: bool = True
) -> list[int]:
    """Return the positions of the layers that make blobs, in the net's order.

    Args:
        net: The net.
        blobs: The blobs, as they are when the net has run.
        ends: Blobs that are there and need not be made; data always are, but for
            constants beside other data.
        data: Whether the net has data layers, or only what is made of data.
    """
    role_at = roles(net, by_place=False) if data else [""] * len(net.layers)
    last, sources = last_makers(net), makers(net.layers)
    ends, found = set(ends), set()
    waiting = [last[blob][0] for blob in blobs if blob in last and blob not in ends]
    while waiting:
        at = waiting.pop()
        if at in found or role_at[at] in DATA_ROLES:
            continue
        found.add(at)
        pairs = zip(net.layers[at].bottoms, sources[at], strict=True)
        waiting += [s[0] for blob, s in pairs if s and blob not in ends]
    return sorted(found)


def _overwritten(net: Net, layer: Layer, blob: str) -> CaffeFormatError:
    return _error(
        net,
        layer,
        f"Expected a blob that stays as it is; received {blob!r}, which a layer after "
        "this one overwrites. Give that layer a top of its own",
    )


def _error(net: Net, layer: Layer, problem: str) -> CaffeFormatError:
    problem = f"({layer.type}) {problem}"
    return CaffeFormatError(problem, source=net.source, layer=layer.name)
