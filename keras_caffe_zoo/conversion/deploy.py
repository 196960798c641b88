"""From a training net to the net that predicts, Caffe's deploy net.

Data layers become inputs, labels go, a loss leaves the prediction inside it or nothing
at all. Whatever only made labels goes too.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from keras_caffe_zoo.caffe import Layer, Net
from keras_caffe_zoo.rules.data import input_layer
from keras_caffe_zoo.rules.node import Node
from keras_caffe_zoo.rules.registry import role_of, rule_of

Shape = tuple[int | None, ...]
Top = tuple[int, int]  # position of a layer, and which of its tops
_LABELLED = ("loss", "metric", "output")


@dataclass
class DeployNet:
    """A net that predicts.

    Attributes:
        net: The net; its data blobs are the tops of Input layers.
        inputs: Their shapes in Caffe's order of axes, `None` for what no file tells;
            a whole shape is `None` where not even the number of axes is known.
        changed: Names of the layers that were replaced or left out.
    """

    net: Net
    inputs: dict[str, Shape | None] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


def deploy_net(
    net: Net,
    trained: Net | None = None,
    custom: Collection[str] = (),
    answers: bool = True,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> DeployNet:
    """Return the part of a net that predicts, with inputs for data.

    Args:
        net: The net, filtered for its phase.
        trained: The caffemodel, whose first convolution tells the data's channels.
        custom: Types of layers to leave as they are: the caller imports them.
        answers: Whether a loss leaves its prediction in its place. Without, the net
            ends with the blobs that its losses read.
        given: The data blobs whose shapes the caller gives: the tops of a layer of an
            unknown type without bottoms are such if they are all here.

    Raises:
        CaffeFormatError: If a data layer's fields contradict each other.
    """
    result = DeployNet(net)
    roles = _roles(net, custom, given)
    unneeded = _unneeded(net, roles)
    layers = []
    for at, layer in enumerate(net.layers):
        role = roles[at]
        needed = [t for i, t in enumerate(layer.tops) if (at, i) not in unneeded]
        if role == "input":
            for top in needed:
                result.inputs[top] = _declared(layer, net).get(top)
            if needed or not layer.tops:
                layers.append(replace(layer, tops=needed))
        elif role == "data":
            for top in needed:
                result.inputs[top] = _data_shape(net, layer, top, trained)
            if needed:
                layers.append(input_layer(layer.name, needed))
            result.changed.add(layer.name)
        elif role in _LABELLED:
            gone = {i for i in range(len(layer.tops)) if (at, i) in unneeded}
            layers += _prediction(layer, answers, gone)
            result.changed.add(layer.name)
        elif role == "targets":
            layers += rule_of(layer.type).pass_on(layer, needed)
            result.changed.add(layer.name)
        elif layer.tops and not needed:
            result.changed.add(layer.name)
        elif role == "silence":
            layers += _silence(layer, makers(net.layers)[at], unneeded)
        else:
            layers.append(layer)
    result.net = replace(net, layers=layers)
    return result


def _roles(net: Net, custom, given) -> list[str]:
    """Return the role of each layer: its type's, or what it must be by its place."""
    has_data = any(
        role_of(x.type) in ("input", "data") and not _may_be_constant(x, net)
        for x in net.layers
    )
    found = []
    for layer in net.layers:
        role = role_of(layer.type)
        constant = role == "data" and has_data and _may_be_constant(layer, net)
        if layer.type in custom or constant:
            role = "layer"
        elif _is_unknown_data(layer, given):
            role = "data"
        found.append(role)
    return found


def _may_be_constant(layer: Layer, net: Net) -> bool:
    """Tell whether a layer makes constants, which are the data where no other is."""
    rule = rule_of(layer.type)
    is_constant = getattr(rule, "is_constant", None)
    return is_constant is not None and is_constant(Node(layer, net.source, rule=rule))


def _is_unknown_data(layer: Layer, given) -> bool:
    """Tell whether a layer that nobody can build is data whose shape is given."""
    rule = rule_of(layer.type)
    unknown = rule is None or bool(rule.refused)
    first = layer.tops[:1]
    return unknown and bool(first) and not layer.bottoms and set(first) <= set(given)


def _declared(layer: Layer, net: Net) -> dict[str, Shape]:
    return Net(layers=[replace(layer, source=net.source)]).inputs


def _prediction(layer: Layer, answers: bool, gone: Collection[int]) -> list[Layer]:
    """Return the layers that stand for a loss: none, or what it is taken of."""
    predict = getattr(rule_of(layer.type), "predict", None)
    if not answers:  # but the second top of a softmax's, which others may read
        gone = {0, *gone}
    tops = [top for i, top in enumerate(loss_tops(layer)) if i not in gone]
    return predict(layer, tops) if predict and tops and layer.bottoms else []


def loss_tops(layer: Layer) -> list[str]:
    """Return the tops of a loss, which Caffe names by itself if nobody does."""
    return layer.tops or [layer.name]


def _silence(layer: Layer, sources, unneeded) -> list[Layer]:
    """Return a Silence without the blobs that are gone."""
    kept = [b for b, m in zip(layer.bottoms, sources, strict=True) if m not in unneeded]
    return [replace(layer, bottoms=kept)] if kept else []


def makers(layers) -> list[list[Top | None]]:
    """Return which (layer, top) wrote each bottom of each layer."""
    last: dict[str, Top] = {}
    found = []
    for at, layer in enumerate(layers):
        found.append([last.get(bottom) for bottom in layer.bottoms])
        last.update({top: (at, i) for i, top in enumerate(layer.tops)})
    return found


def label_bottoms(net: Net, at: int) -> set[int]:
    """Return which bottoms of a loss, or of what else reads labels, are labels.

    A loss whose first two bottoms may change places has its labels where no parameter
    of the net has a part; where parameters have a part in both, it has none.
    """
    layer = net.layers[at]
    rule = rule_of(layer.type)
    first = rule.labels_from
    if getattr(rule, "either", False) and len(layer.bottoms) >= 2:
        learned = _learned_bottoms(net, at)
        if learned[:2] == [False, True]:
            return {0, *range(2, len(layer.bottoms))}
        if learned[:2] == [True, True]:
            first = 2
    return set(range(first, len(layer.bottoms)))


def _learned_bottoms(net: Net, at: int) -> list[bool]:
    """Tell of each bottom of a layer whether parameters have a part in it."""
    sources_of = makers(net.layers)
    learned: list[bool] = []
    for layer, sources in zip(net.layers[: at + 1], sources_of, strict=False):
        rule = rule_of(layer.type)
        own = rule is None or rule.codec is not None
        own = own and role_of(layer.type) not in ("input", "data")
        learned.append(own or any(s and learned[s[0]] for s in sources))
    return [bool(s and learned[s[0]]) for s in sources_of[at]]


def _unneeded(net: Net, roles: list[str]) -> set[Top]:
    """Return the tops, as (layer, top), that serve only as labels, or to be silenced.

    Tops that nobody reads are outputs, but for those of data layers after the first.
    What makes labels of bottoms needs them for nothing else, but for those that it
    passes on.
    """
    layers = net.layers
    readers: dict[Top | None, list[Top]] = {}
    for at, sources in enumerate(makers(layers)):
        for i, source in enumerate(sources):
            readers.setdefault(source, []).append((at, i))
    unneeded: set[Top] = set()

    def only_label(at: int, i: int) -> bool:
        if roles[at] in _LABELLED:
            return i in label_bottoms(net, at)
        if roles[at] == "silence":
            return True
        if roles[at] == "targets":
            passed = i < min(rule_of(layers[at].type).passes, len(layers[at].tops))
            return not passed or (at, i) in unneeded
        tops = layers[at].tops
        return bool(tops) and all((at, top) in unneeded for top in range(len(tops)))

    for at in reversed(range(len(layers))):
        data = roles[at] == "data"
        passes = len(layers[at].tops)
        if roles[at] == "targets":
            passes = rule_of(layers[at].type).passes
        ends = data or roles[at] in _LABELLED
        for i in range(len(layers[at].tops)):
            uses = readers.get((at, i), [])
            labels = [only_label(*use) for use in uses]
            silenced = all(roles[use[0]] == "silence" for use in uses)
            if (
                i >= passes
                or (uses and all(labels) and (ends or not silenced))
                or (not uses and data and i > 0)
            ):
                unneeded.add((at, i))
    return unneeded


def _data_shape(net: Net, layer: Layer, top: str, trained: Net | None) -> Shape | None:
    rule = rule_of(layer.type)
    if rule is None or rule.role != "data":
        return None  # of an unknown type: the caller gives the shape
    channels = _channels_of_weights(net, top, trained)
    return rule.data_shape(
        Node(layer, net.source, rule=rule), layer.tops.index(top), channels
    )


def _channels_of_weights(net: Net, blob: str, trained: Net | None) -> int | None:
    """Return the channels that the first layer which reads a blob was trained on."""
    blobs = {} if trained is None else trained.params
    for layer in net.layers:
        tell = getattr(rule_of(layer.type), "data_channels", None)
        if tell is not None and blob in layer.bottoms:
            channels = tell(layer, blobs.get(layer.name))
            if channels:
                return channels
    return None
