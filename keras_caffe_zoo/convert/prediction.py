"""From a training net to the net that predicts: no data layers, no losses.

Data layers become inputs, labels go, `SoftmaxWithLoss` becomes the `Softmax` inside
it and `SigmoidCrossEntropyLoss` the `Sigmoid`. Whatever only made labels goes too.
"""

from dataclasses import dataclass, field, replace

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net

DATA_LAYERS = {
    "Data": "data_param",
    "DummyData": "dummy_data_param",
    "HDF5Data": "hdf5_data_param",
    "ImageData": "image_data_param",
    "MemoryData": "memory_data_param",
    "WindowData": "window_data_param",
}
_PREDICTIONS = {"SoftmaxWithLoss": "Softmax", "SigmoidCrossEntropyLoss": "Sigmoid"}
# Layers that are left out, and from which bottom on theirs are labels.
_LABELS_FROM = {
    "Accuracy": 1,
    "ContrastiveLoss": 2,
    "EuclideanLoss": 1,
    "HDF5Output": 0,
    "HingeLoss": 1,
    "InfogainLoss": 1,
    "MultinomialLogisticLoss": 1,
    "SigmoidCrossEntropyLoss": 1,
    "SoftmaxWithLoss": 1,
}

Shape = tuple[int | None, ...]


@dataclass
class Prediction:
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


def predicting(
    net: Net, trained: Net | None = None, hooked=(), answers: bool = True
) -> Prediction:
    """Return the part of a net that predicts, with inputs for data.

    Args:
        net: The net, filtered for its phase.
        trained: The caffemodel, whose first convolution tells the data's channels.
        hooked: Types of layers to leave as they are: the caller imports them.
        answers: Whether a loss leaves its prediction in its place. Without, the net
            ends with the blobs that its losses read.

    Raises:
        CaffeFormatError: If a data layer's fields contradict each other.
    """
    result = Prediction(net)
    unneeded = _unneeded(net.layers, hooked)
    layers = []
    constants = _constants(net, hooked)
    for at, layer in enumerate(net.layers):
        if layer.type in hooked:
            layers.append(layer)
        elif layer.type == "Input":
            declared = _declared(layer, result, net, unneeded)
            layers += [declared] if declared.tops or not layer.tops else []
        elif layer.type in DATA_LAYERS and at not in constants:
            tops = [top for i, top in enumerate(layer.tops) if (at, i) not in unneeded]
            for top in tops:
                result.inputs[top] = _data_shape(net, layer, top, trained)
            layers += [Layer(layer.name, "Input", [], tops)] if tops else []
            result.changed.add(layer.name)
        elif layer.type in _LABELS_FROM:
            layers += _prediction(layer, answers)
            result.changed.add(layer.name)
        elif layer.tops and all((at, i) in unneeded for i in range(len(layer.tops))):
            result.changed.add(layer.name)
        else:
            layers += _silence(layer, at, net.layers, unneeded)
    result.net = replace(net, layers=layers)
    return result


def _declared(layer: Layer, result: Prediction, net: Net, unneeded) -> Layer:
    try:
        declared = Net(layers=[layer]).inputs
    except CaffeFormatError as error:
        place = {**error.__dict__, "source": net.source}
        raise CaffeFormatError(place.pop("problem"), **place) from None
    at = next(i for i, other in enumerate(net.layers) if other is layer)
    tops = [t for i, t in enumerate(layer.tops) if (at, i) not in unneeded]
    for top in tops:
        result.inputs[top] = declared.get(top)
    return replace(layer, tops=tops)


def _prediction(layer: Layer, answers: bool) -> list[Layer]:
    """Return the layers that stand for a loss: none, or what it is taken of."""
    kind = _PREDICTIONS.get(layer.type)
    if kind is None or not layer.bottoms:
        return []
    tops = loss_tops(layer)
    if not answers:  # but the second top of SoftmaxWithLoss, which others may read
        tops = tops[1:]
        if not tops:
            return []
    message = None
    if kind == "Softmax":
        message = Layer(layer.name, kind).message
        message.softmax_param.CopyFrom(layer.message.softmax_param)
    made = [Layer(layer.name, kind, layer.bottoms[:1], tops[:1], message)]
    if len(tops) > 1:  # the second top of SoftmaxWithLoss is the prediction itself
        made.append(Layer(f"{layer.name}_{tops[1]}", "Split", tops[:1], tops[1:2]))
    return made


def loss_tops(layer: Layer) -> list[str]:
    """Return the tops of a loss, which Caffe names by itself if nobody does."""
    return layer.tops or [layer.name]


def _silence(layer: Layer, at: int, layers, unneeded) -> list[Layer]:
    """Return a layer; a Silence without the blobs that are gone."""
    if layer.type != "Silence":
        return [layer]
    sources = makers(layers)[at]
    kept = [b for b, m in zip(layer.bottoms, sources, strict=True) if m not in unneeded]
    return [replace(layer, bottoms=kept)] if kept else []


def makers(layers) -> list[list[tuple[int, int] | None]]:
    """Return which (layer, top) wrote each bottom of each layer."""
    last: dict[str, tuple[int, int]] = {}
    found = []
    for at, layer in enumerate(layers):
        found.append([last.get(bottom) for bottom in layer.bottoms])
        last.update({top: (at, i) for i, top in enumerate(layer.tops)})
    return found


def _unneeded(layers, hooked) -> set[tuple[int, int]]:
    """Return the tops, as (layer, top), that serve only as labels, or to be silenced.

    Tops that nobody reads are outputs, but for those of data layers after the first.
    """
    sources_of = makers(layers)
    readers: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for at, sources in enumerate(sources_of):
        for i, source in enumerate(sources):
            readers.setdefault(source, []).append((at, i))
    unneeded: set[tuple[int, int]] = set()

    def only_label(at: int, i: int) -> bool:
        reader = layers[at]
        if reader.type in hooked:
            return False
        if reader.type in _LABELS_FROM:
            return i >= _LABELS_FROM[reader.type]
        if reader.type == "Silence":
            return True
        return bool(reader.tops) and all(
            (at, top) in unneeded for top in range(len(reader.tops))
        )

    for at in reversed(range(len(layers))):
        data = layers[at].type in DATA_LAYERS and layers[at].type not in hooked
        for i in range(len(layers[at].tops)):
            uses = readers.get((at, i), [])
            labels = [only_label(*use) for use in uses]
            silenced = all(layers[use[0]].type == "Silence" for use in uses)
            if (uses and all(labels) and (data or not silenced)) or (
                not uses and data and i > 0
            ):
                unneeded.add((at, i))
    return unneeded


def _constants(net: Net, hooked) -> set[int]:
    """Return the DummyData layers that hold constants: others are the net's data."""
    others = any(
        layer.type in {"Input", *DATA_LAYERS} - {"DummyData"} for layer in net.layers
    )
    return {
        at
        for at, layer in enumerate(net.layers)
        if layer.type == "DummyData"
        and layer.type not in hooked
        and others
        and all(
            filler.type == "constant"
            for filler in layer.message.dummy_data_param.data_filler
        )
    }


def _data_shape(net: Net, layer: Layer, top: str, trained: Net | None) -> Shape | None:
    param = getattr(layer.message, DATA_LAYERS[layer.type])
    if layer.type == "DummyData":
        return _dummy_shape(net, layer, top)
    first = layer.tops and layer.tops[0] == top
    if layer.type == "MemoryData" and first:
        return (param.batch_size, param.channels, param.height, param.width)
    if not first and layer.type != "HDF5Data":
        return (param.batch_size or None,)
    channels = _channels_of_convolution(net, top, trained)
    if layer.type == "HDF5Data":
        shape = (param.batch_size or None, channels, None, None)
        return shape if channels else None
    crop = layer.message.transform_param.crop_size or param.crop_size
    height = width = crop or None
    gray = layer.message.transform_param.force_gray
    if layer.type == "ImageData":
        gray = not param.is_color  # force_gray is for databases only
        height, width = height or param.new_height, width or param.new_width
    channels = channels or (1 if gray else 3)
    return (param.batch_size or None, channels, height or None, width or None)


def _dummy_shape(net: Net, layer: Layer, top: str) -> Shape:
    from keras_caffe_zoo.convert.graph import Node
    from keras_caffe_zoo.convert.handlers.data import dummy_shapes

    shapes = dummy_shapes(Node(layer, net.source))
    return shapes[layer.tops.index(top)]


def _channels_of_convolution(net: Net, blob: str, trained: Net | None) -> int | None:
    """Return the channels that the convolution which reads a blob was trained on."""
    blobs = {} if trained is None else trained.params
    for layer in net.layers:
        if layer.type == "Convolution" and blob in layer.bottoms:
            weights = blobs.get(layer.name)
            if weights and weights[0].ndim == 4:
                return weights[0].shape[1] * layer.message.convolution_param.group
    return None
