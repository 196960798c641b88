"""Layers of types that no rule is for: refused, or left out with a warning."""

import warnings
from collections.abc import Container

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net
from keras_caffe_zoo.conversion.deploy import DeployNet
from keras_caffe_zoo.conversion.roles import is_unknown, unread_layers
from keras_caffe_zoo.rules.forks import fork_of_type
from keras_caffe_zoo.rules.python import code_name
from keras_caffe_zoo.rules.registry import rule_of


def check_types(net: Net, custom: Container[str]) -> None:
    """Refuse a net that has layers of types without a rule.

    Args:
        net: The net.
        custom: Types that the caller imports.

    Raises:
        CaffeFormatError: Names all such types, their layers, and the way out.
    """
    unknown: dict[str, list[Layer]] = {}
    for layer in net.layers:
        if layer.type not in custom and is_unknown(layer):
            unknown.setdefault(layer.type, []).append(layer)
    if not unknown:
        return
    said = [_why_not(type_, layers) for type_, layers in unknown.items()]
    first = code_name(next(iter(unknown.values()))[0])
    raise CaffeFormatError(
        f"No rule for layers of the type{'s' * (len(said) > 1)} {'; '.join(said)}. "
        f"Give one: from_caffe(…, custom_layers={{{first!r}: rule or function}})."
        f"{_ends(net, custom)} keras_caffe_zoo.supported_layers() lists the types that "
        "there are rules for",
        source=net.source,
    )


def _why_not(type_: str, layers: list[Layer]) -> str:
    """Return a type that cannot be built, its first layers, and why."""
    names = ", ".join(_named(layer) for layer in layers[:3])
    more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
    rule = rule_of(type_)
    why = f": {rule.refused}" if rule else ""
    fork = fork_of_type(code_name(layers[0]))
    why += f", of {fork}" if fork else ""
    return f"{type_!r} ({names}{more}{why})"


def _named(layer: Layer) -> str:
    """Return a layer's name, and the name of its code if it has any."""
    kind = code_name(layer)
    return f"'{layer.name}'" + (f" = {kind}" if kind != layer.type else "")


def _ends(net: Net, custom: Container[str]) -> str:
    """Return how a net ends without unknown layers that no other reads, if it does."""
    unread = [net.layers[at] for at in sorted(unread_layers(net))]
    last = [x for x in unread if x.type not in custom and is_unknown(x) and x.bottoms]
    if not last:
        return ""
    names = ", ".join(f"'{layer.name}'" for layer in last[:3])
    blobs = ", ".join(f"'{blob}'" for blob in dict.fromkeys(last[0].bottoms[:3]))
    return f" Or end the net before {names}, which no layer reads, with {blobs}."


def warn_of_guesses(part: DeployNet, source: str) -> None:
    """Warn of layers that were left out though nobody knows what they compute."""
    names = ", ".join(
        f"'{layer.name}' ({code_name(layer)})"
        for layer in part.guessed
        if layer.bottoms
    )
    if names:
        warnings.warn(
            f"{source}: left out {names}, of types that no rule is for: a name, a "
            "loss_weight or labels say that they are losses or measures, and no layer "
            "reads them. If they are part of the prediction, give rules: "
            "from_caffe(…, custom_layers={type: rule or function}).",
            stacklevel=4,
        )
