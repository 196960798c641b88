"""What each layer of a training net is to the net that predicts.

Most say so by their type. A layer of a type that nobody knows tells it by its place: it
is data if it reads nothing, and a loss, or a measure, where nothing reads what it makes
and it says so, or reads labels: what depends on labels is no prediction.
"""

from collections.abc import Collection

from keras_caffe_zoo.caffe import Layer, Net
from keras_caffe_zoo.rules.node import Node
from keras_caffe_zoo.rules.python import code_name
from keras_caffe_zoo.rules.registry import role_of, rule_of

Top = tuple[int, int]  # position of a layer, and which of its tops
DATA_ROLES = ("input", "data")


def roles(net: Net, custom: Collection[str] = (), by_place: bool = True) -> list[str]:
    """Return the role of each layer of a net, as in `Rule`.

    Args:
        net: The net, filtered for its phase.
        custom: Types of layers that are what they are: the caller imports them.
        by_place: Whether layers of types that nobody knows have a role by their place.
    """
    has_data = any(
        role_of(x.type) in DATA_ROLES and not _may_be_constant(x, net)
        for x in net.layers
    )
    unread = unread_layers(net)
    found = []
    for at, layer in enumerate(net.layers):
        role = role_of(layer.type)
        constant = role == "data" and has_data and _may_be_constant(layer, net)
        if layer.type in custom or constant:
            role = "layer"
        elif by_place and is_unknown(layer):
            role = _role_by_place(layer, at in unread)
        found.append(role)
    return found


def is_unknown(layer: Layer) -> bool:
    """Tell whether nobody can build a layer."""
    rule = rule_of(layer.type)
    return rule is None or bool(rule.refused)


def gives_data(layer: Layer) -> bool:
    """Tell whether a layer may be data: by its type, or since it reads nothing."""
    if role_of(layer.type) in DATA_ROLES:
        return True
    return is_unknown(layer) and bool(layer.tops) and not layer.bottoms


def _role_by_place(layer: Layer, unread: bool) -> str:
    if gives_data(layer):
        return "data"
    return "loss" if unread and _is_loss(layer) else role_of(layer.type)


def _is_loss(layer: Layer) -> bool:
    """Tell whether a layer that nobody reads makes no part of a prediction."""
    kind = code_name(layer).lower().removesuffix("layer")
    labelled = any("label" in blob or blob.startswith("gt") for blob in layer.bottoms)
    weighed = any(layer.message.loss_weight)
    return not layer.tops or weighed or labelled or kind.endswith("loss")


def unread_layers(net: Net) -> set[int]:
    """Return the positions of the layers whose tops no layer reads."""
    read = {source[0] for sources in makers(net.layers) for source in sources if source}
    return set(range(len(net.layers))) - read


def _may_be_constant(layer: Layer, net: Net) -> bool:
    """Tell whether a layer makes constants, which are the data where no other is."""
    rule = rule_of(layer.type)
    is_constant = getattr(rule, "is_constant", None)
    return is_constant is not None and is_constant(Node(layer, net.source, rule=rule))


def makers(layers) -> list[list[Top | None]]:
    """Return which (layer, top) wrote each bottom of each layer."""
    last: dict[str, Top] = {}
    found = []
    for at, layer in enumerate(layers):
        found.append([last.get(bottom) for bottom in layer.bottoms])
        last.update({top: (at, i) for i, top in enumerate(layer.tops)})
    return found


def last_makers(net: Net) -> dict[str, Top]:
    """Return which (layer, top) writes each blob as it is in the end."""
    return {
        top: (at, i)
        for at, layer in enumerate(net.layers)
        for i, top in enumerate(layer.tops)
    }


def is_learned(layer: Layer) -> bool:
    """Tell whether a layer has parameters, or may have some."""
    rule = rule_of(layer.type)
    return not gives_data(layer) and (rule is None or rule.codec is not None)


def learned_layers(net: Net) -> list[bool]:
    """Tell of each layer whether parameters have a part in what it makes."""
    found: list[bool] = []
    for layer, sources in zip(net.layers, makers(net.layers), strict=True):
        found.append(is_learned(layer) or any(s and found[s[0]] for s in sources))
    return found


def label_bottoms(net: Net, at: int) -> set[int]:
    """Return which bottoms of a loss, or of what else reads labels, are labels.

    A loss whose first two bottoms may change places has its labels where no parameter
    of the net has a part; where parameters have a part in both, it has none. So too
    one of an unknown type, whichever its bottoms are; if they have a part in none, the
    first is no label.
    """
    layer = net.layers[at]
    if is_unknown(layer):
        learned = _learned_bottoms(net, at)
        if not any(learned):
            return set(range(1, len(learned)))
        return {i for i, own in enumerate(learned) if not own}
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
    learned = learned_layers(net)
    return [bool(s and learned[s[0]]) for s in makers(net.layers)[at]]
