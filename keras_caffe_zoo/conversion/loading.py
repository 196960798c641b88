"""A caffemodel's parameters, found by name and put into the layers."""

from collections import Counter
from dataclasses import replace

import numpy as np

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net
from keras_caffe_zoo.conversion.params import assign, fitted
from keras_caffe_zoo.rules.names import twin_name
from keras_caffe_zoo.rules.registry import codec_of, rule_of

_SHOWN = 3  # layers without parameters, in an error


def blobs_by_position(net: Net, trained: Net) -> dict[int, list]:
    """Return the parameters that a caffemodel has for each layer of a net.

    InnerProduct weights come as (outputs, inputs), whatever the net's `transpose` says
    of the file.

    Args:
        net: The net.
        trained: The caffemodel.

    Returns:
        As `stored_by_position`.
    """
    found = stored_by_position(net, trained)
    return {at: learned(net.layers[at], blobs) for at, blobs in found.items()}


def stored_by_position(net: Net, trained: Net) -> dict[int, list]:
    """Return the parameters that a caffemodel has for each layer, as it has them.

    As in Caffe, layers are found by name alone. The second layer of a name takes the
    second record of that name, or the only one.

    Args:
        net: The net.
        trained: The caffemodel.

    Returns:
        Position of the layer to its parameters; layers that have none are left out.
    """
    records: dict[str, list] = {}
    for layer in trained.layers:
        if layer.blobs:
            records.setdefault(layer.name, []).append(layer.blobs)
    if trained.version == "HDF5":
        _add_shared(net, records)
    seen, found = Counter(), {}
    for at, layer in enumerate(net.layers):
        mine = records.get(layer.name) or records.get(twin_name(layer.name)) or []
        if mine:
            found[at] = mine[min(seen[layer.name], len(mine) - 1)]
        seen[layer.name] += 1
    return found


def _add_shared(net: Net, records: dict[str, list]) -> None:
    """Give layers with some parameters in a `.caffemodel.h5` those that they share.

    It has them where their owner is. Layers that share all have none of their own, and
    take their owners' variables.

    Raises:
        CaffeFormatError: If no earlier layer has one that is missing.
    """
    owners: dict[str, np.ndarray] = {}
    for layer in net.layers:
        if layer.name not in records:
            continue
        (blobs,) = records[layer.name]
        names = [spec.name for spec in layer.message.param]
        shared = [i for i, name in enumerate(names) if name in owners]
        blobs += [None] * (max(shared, default=-1) + 1 - len(blobs))
        for i in shared:
            blobs[i] = owners[names[i]] if blobs[i] is None else blobs[i]
        missing = [i for i, blob in enumerate(blobs) if blob is None]
        if missing:
            raise CaffeFormatError(
                "Expected all parameters, or those that an earlier layer has by the "
                f"same name; received none for: {missing}",
                layer=layer.name,
            )
        for name, blob in zip(names, blobs, strict=False):
            if name:
                owners.setdefault(name, blob)


def learned(layer: Layer, blobs: list) -> list:
    """Return blobs as the codec takes them, whatever the definition says of them."""
    rule = rule_of(layer.type)
    if rule is None or {blob.ndim for blob in blobs[:1]} == {4}:
        return blobs  # of a convolution's twin they are as they should be
    return rule.learned_blobs(replace(layer, blobs=blobs))


def load(nodes, source: str, partial: bool = False) -> None:
    """Put parameters into the layers of a model.

    Args:
        nodes: The nodes of layers with parameters, and the Keras layers.
        source: The caffemodel's name, for errors.
        partial: Whether layers may have none in the file: they keep their own.

    Raises:
        CaffeFormatError: If a layer has none in the file and shares none; names the
            first.
    """
    loaded = {id(w) for node, layer in nodes if node.blobs for w in layer.weights}
    missing = [
        f"'{node.layer.name}' ({node.layer.type}) {node.shapes}"
        for node, layer in nodes
        if not node.blobs and any(id(w) not in loaded for w in layer.weights)
    ]
    if missing and not partial:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        others = "" if loaded else ". Its parameters are another net's, or it has none"
        raise CaffeFormatError(
            "Expected parameters for every layer; received none for: "
            f"{', '.join(missing[:_SHOWN])}{more}{others}",
            source=source,
        )
    for node, layer in nodes:
        if node.blobs:
            arrays = [
                with_axes(blob, shape)
                for blob, shape in zip(node.blobs, node.shapes, strict=True)
            ]
            decoded = codec_of(layer).decode(layer, arrays)
            assign(layer, fitted(layer, decoded, [blob.shape for blob in node.blobs]))


def with_axes(blob, shape):
    """Return a blob with the axes of the parameter; a twin's as it is.

    Raises:
        ValueError: If it has not as many values.
    """
    return blob if {blob.ndim, len(shape)} == {2, 4} else blob.reshape(shape)
