"""A caffemodel's parameters, found by name and put into the layers."""

from collections import Counter
from dataclasses import replace

from keras_caffe_zoo.caffe import CaffeFormatError, Net
from keras_caffe_zoo.conversion.params import assign, fitted
from keras_caffe_zoo.rules.names import twin_name
from keras_caffe_zoo.rules.registry import codec_of, rule_of

_SHOWN = 3  # layers without parameters, in an error


def blobs_by_position(net: Net, trained: Net) -> dict[int, list]:
    """Return the parameters that a caffemodel has for each layer of a net.

    As in Caffe, layers are found by name alone. The second layer of a name takes the
    second record of that name, or the only one. InnerProduct weights come as
    (outputs, inputs), whatever the net's `transpose` says of the file.

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
    seen, found = Counter(), {}
    for at, layer in enumerate(net.layers):
        mine = records.get(layer.name) or records.get(twin_name(layer.name)) or []
        if mine:
            blobs = mine[min(seen[layer.name], len(mine) - 1)]
            found[at] = _learned(layer, blobs)
        seen[layer.name] += 1
    return found


def _learned(layer, blobs):
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
                _with_axes(blob, shape)
                for blob, shape in zip(node.blobs, node.shapes, strict=True)
            ]
            decoded = codec_of(layer).decode(layer, arrays)
            assign(layer, fitted(layer, decoded, [blob.shape for blob in node.blobs]))


def _with_axes(blob, shape):
    """Return a blob with the axes of the parameter; a twin's as it is."""
    return blob if {blob.ndim, len(shape)} == {2, 4} else blob.reshape(shape)
