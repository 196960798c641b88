"""What a Caffe net's structure tells: channels of blobs, and whether a model is it."""

import numpy as np

from keras_caffe_zoo.caffe import Layer, Net
from keras_caffe_zoo.rules.names import caffe_name, twin_name
from keras_caffe_zoo.rules.registry import rule_of


def flattened_channels(net: Net) -> dict[str, int]:
    """Return the channels of the blob that each layer reads flattened.

    Args:
        net: A net as read from a file; shapes of blobs need not be known.

    Returns:
        Layer name to number of channels. Layers whose bottom cannot be traced to a
        layer that tells are left out.
    """
    channels: dict[str, int | None] = {}
    for blob, shape in net.inputs.items():
        channels[blob] = shape[1] if len(shape) > 1 else None
    found = {}
    for layer in net.layers:
        bottoms = [channels.get(blob) for blob in layer.bottoms]
        rule = rule_of(layer.type)
        if rule and rule.flattens and bottoms and bottoms[0]:
            found[layer.name] = bottoms[0]
        if rule is None or rule.role != "input":
            known = rule.channels(layer, bottoms) if rule else None
            channels.update(dict.fromkeys(layer.tops, known))
    return found


def learned_blobs(layer: Layer) -> list[np.ndarray]:
    """Return a layer's blobs as its rule's codec takes them."""
    rule = rule_of(layer.type)
    return layer.blobs if rule is None else rule.learned_blobs(layer)


def check_structure(net: Net, model) -> None:
    """Check that a model computes what a net's structure says, layer by layer.

    Weights of one net often fit another: those of VGG-CNN-M have the shapes of
    VGG-CNN-S, those of AlexNet the shapes of CaffeNet. What tells them apart is in
    the file: strides, padding, groups, pooling, LRN, and which layer reads which.
    Layers that only one of the two has are passed over.

    Args:
        net: The structure that came with the weights.
        model: The `keras.Model` that they are meant for.

    Raises:
        ValueError: Naming each layer that differs, and how.
    """
    layers = {caffe_name(layer.name): layer for layer in model.layers}
    problems = []
    for layer, makers in zip(net.layers, _producers(net), strict=True):
        ours = layers.get(layer.name) or layers.get(twin_name(layer.name))
        if ours is not None:
            problems += _differences(layer, ours)
            problems += _reads_another(layer, ours, makers, layers)
    if problems:
        raise ValueError(
            f"Expected the weights of a net like '{model.name}'; received those of "
            f"another, '{net.name}' ({net.source}): " + "; ".join(problems) + "."
        )


def _differences(layer: Layer, ours) -> list[str]:
    rule = rule_of(layer.type)
    theirs = rule.facts(layer) if rule else {}
    return [
        f"layer '{layer.name}' has {key} {value} in the file, {getattr(ours, key)} here"
        for key, value in theirs.items()
        if hasattr(ours, key) and not _agree(getattr(ours, key), value)
    ]


def _agree(ours, theirs) -> bool:
    if isinstance(theirs, float):
        return abs(ours - theirs) <= 1e-6 * abs(theirs)  # Caffe keeps float32
    return ours == theirs


def _reads_another(layer: Layer, ours, makers: list, layers: dict) -> list[str]:
    """Compare the order of pooling and LRN, which no shape of weights shows."""
    rule = rule_of(layer.type)
    if rule is None or not rule.compares_reads or not makers:
        return []
    here = caffe_name(ours.input._keras_history.operation.name)
    if here in makers or not {here, makers[0]} <= layers.keys():
        return []
    return [f"layer '{layer.name}' reads '{makers[0]}' in the file, '{here}' here"]


def _producers(net: Net) -> list[list[str]]:
    """Return, layer by layer, what made its first bottom: a layer, those in place."""
    makers: dict[str, list[str]] = {}
    found = []
    for layer in net.layers:
        found.append(list(makers.get(layer.bottoms[0], ())) if layer.bottoms else [])
        for top in layer.tops:
            earlier = makers.get(top, []) if top in layer.bottoms else []
            makers[top] = [*earlier, layer.name]
    return found
