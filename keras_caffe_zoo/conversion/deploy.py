"""From a training net to the net that predicts, Caffe's deploy net.

Data layers become inputs, labels go, a loss leaves the prediction inside it or nothing
at all. Whatever only made labels goes too.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from keras_caffe_zoo.caffe import Layer, Net
from keras_caffe_zoo.conversion.roles import (
    Top,
    gives_data,
    is_unknown,
    label_bottoms,
    makers,
    roles,
)
from keras_caffe_zoo.rules.data import input_layer
from keras_caffe_zoo.rules.node import Node
from keras_caffe_zoo.rules.registry import rule_of

Shape = tuple[int | None, ...]
_LABELLED = ("loss", "metric", "output")


class Kept(NamedTuple):
    """What stays of a net that would go, since it is to be trained, or looked at.

    Attributes:
        layers: Positions of losses and measures that stay what they are.
        bottoms: Labels that are to be there, as (layer, bottom).
        tops: Tops that are to be there, as (layer, top), whoever reads them.
    """

    layers: Collection[int] = ()
    bottoms: Collection[tuple[int, int]] = ()
    tops: Collection[Top] = ()


_NOTHING = Kept()


@dataclass
class DeployNet:
    """A net that predicts.

    Attributes:
        net: The net; its data blobs are the tops of Input layers.
        inputs: Their shapes in Caffe's order of axes, `None` for what no file tells;
            a whole shape is `None` where not even the number of axes is known.
        data: The data layers of a training net that became inputs, by blob.
        changed: Names of the layers that were replaced or left out.
        guessed: The layers of types that nobody knows which were taken for data,
            losses or measures, and left out.
    """

    net: Net
    inputs: dict[str, Shape | None] = field(default_factory=dict)
    data: dict[str, Layer] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    guessed: list[Layer] = field(default_factory=list)


def deploy_net(
    net: Net,
    trained: Net | None = None,
    custom: Collection[str] = (),
    answers: bool = True,
    by_place: bool = False,
    kept: Kept = _NOTHING,
) -> DeployNet:
    """Return the part of a net that predicts, with inputs for data.

    Args:
        net: The net, filtered for its phase.
        trained: The caffemodel, whose first convolution tells the data's channels.
        custom: Types of layers to leave as they are: the caller imports them.
        answers: Whether a loss leaves its prediction in its place. Without, the net
            ends with the blobs that its losses read.
        by_place: Whether layers of types that nobody knows are data, or losses, if
            their place in the net says so.
        kept: What stays all the same.

    Raises:
        CaffeFormatError: If a data layer's fields contradict each other.
    """
    result = DeployNet(net)
    role_at = roles(net, custom, by_place)
    for at in kept.layers:
        role_at[at] = "layer"
    sources = makers(net.layers)
    unneeded = _unneeded(net, role_at, sources, kept)
    layers = []
    for at, layer in enumerate(net.layers):
        role = role_at[at]
        needed = [t for i, t in enumerate(layer.tops) if (at, i) not in unneeded]
        if role in ("data", *_LABELLED) and is_unknown(layer):
            result.guessed.append(layer)
        if role == "input":
            declared = _declared(layer, net)
            result.inputs |= {top: declared.get(top) for top in needed}
            if needed or not layer.tops:
                layers.append(replace(layer, tops=needed))
        elif role == "data":
            for top in needed:
                result.inputs[top] = _data_shape(net, layer, top, trained)
                result.data[top] = layer
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
            layers += _silence(layer, sources[at], unneeded)
        else:
            layers.append(layer)
    result.net = replace(net, layers=layers)
    return result


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


def _unneeded(net: Net, role_at: list[str], sources, kept: Kept) -> set[Top]:
    """Return the tops, as (layer, top), that serve only as labels, or to be silenced.

    Tops that nobody reads are outputs, but for those of data layers after the first.
    What makes labels of bottoms needs them for nothing else, but for those that it
    passes on.
    """
    layers = net.layers
    readers: dict[Top | None, list[Top]] = {}
    for at, made_by in enumerate(sources):
        for i, source in enumerate(made_by):
            readers.setdefault(source, []).append((at, i))
    unneeded: set[Top] = set()

    def passes(at: int) -> int:
        """Return how many of a layer's tops may be needed."""
        tops = len(layers[at].tops)
        if role_at[at] != "targets":
            return tops
        return min(rule_of(layers[at].type).passes, tops)

    def only_label(at: int, i: int) -> bool:
        if (at, i) in kept.bottoms:
            return False
        if role_at[at] in _LABELLED:
            return i in label_bottoms(net, at)
        if role_at[at] == "silence":
            return True
        if role_at[at] == "targets":
            return i >= passes(at) or (at, i) in unneeded
        tops = layers[at].tops
        return bool(tops) and all((at, top) in unneeded for top in range(len(tops)))

    for at in reversed(range(len(layers))):
        data = role_at[at] == "data"
        ends = data or role_at[at] in _LABELLED
        for i in range(len(layers[at].tops)):
            if (at, i) in kept.tops:
                continue
            uses = readers.get((at, i), [])
            labels = [only_label(*use) for use in uses]
            silenced = all(role_at[use[0]] == "silence" for use in uses)
            if (
                i >= passes(at)
                or (uses and all(labels) and (ends or not silenced))
                or (not uses and data and i > 0)
            ):
                unneeded.add((at, i))
    return unneeded


def _data_shape(net: Net, layer: Layer, top: str, trained: Net | None) -> Shape | None:
    rule = rule_of(layer.type)
    channels = _channels_of_weights(net, top, trained)
    if is_unknown(layer):  # the caller gives the shape, or weights tell what they can
        return (None, channels, None, None) if channels else None
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


def with_data(net: Net, whole: Net, other: Net) -> Net:
    """Return a net with the data of its other phase if it has none in its own.

    What feeds a training net is often there in one phase only.

    Args:
        net: The net, filtered for its phase.
        whole: The net as it is in the file.
        other: It, filtered for the other phase.
    """
    if any(gives_data(layer) for layer in net.layers):
        return net
    kept = [*net.layers, *filter(gives_data, other.layers)]
    ids = {id(layer) for layer in kept}
    return replace(net, layers=[x for x in whole.layers if id(x) in ids])
