"""The part of a net that makes labels of data, or measures of predictions.

It has no parameters. What Caffe's nets do to labels, such as Slice, Flatten or Power,
is a small Keras model of its own, made for the shapes of the first batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import keras
from keras import ops

from keras_caffe_zoo.arithmetic import axes
from keras_caffe_zoo.caffe import Layer, Net, parse_prototxt
from keras_caffe_zoo.conversion.deploy import DeployNet
from keras_caffe_zoo.conversion.importer import build_net
from keras_caffe_zoo.conversion.roles import gives_data, makers
from keras_caffe_zoo.conversion.unknown_types import check_types
from keras_caffe_zoo.rules.data import input_layer
from keras_caffe_zoo.rules.node import unused
from keras_caffe_zoo.training.losses.in_graph import StopGradient
from keras_caffe_zoo.training.solver.objectives import ancestors

_STOP = "caffe.StopGradient"  # a type that no file can have
STOPS = {_STOP: lambda node, x: StopGradient(name=node.name)(x)}


def with_stops(net: Net) -> Net:
    """Return a net with a layer more wherever `propagate_down` stops gradients."""
    layers, made_by = [], makers(net.layers)
    for layer, sources in zip(net.layers, made_by, strict=True):
        told, bottoms = layer.message.propagate_down, list(layer.bottoms)
        for i, (down, source) in enumerate(zip(told, sources, strict=False)):
            if down or source is None or gives_data(net.layers[source[0]]):
                continue
            blob = bottoms[i]
            name = f"{layer.name}_stop_{i}"
            bottoms[i] = blob if blob in layer.tops else f"{blob}_{name}"
            layers.append(Layer(name, _STOP, [blob], [bottoms[i]]))
        layers.append(
            layer if bottoms == layer.bottoms else replace(layer, bottoms=bottoms)
        )
    return replace(net, layers=layers)


class LabelNet:
    """Layers without parameters, and what they make of blobs that are given.

    Args:
        net: The layers, in their order.
    """

    def __init__(self, net: Net | None = None):
        self.net = net or Net()
        self._made = {top for layer in self.net.layers for top in layer.tops}
        self._models: dict = {}

    @classmethod
    def of(cls, net: Net, blobs: Iterable[str], ends: Iterable[str] = ()) -> "LabelNet":
        """Return what makes blobs of a net's data, and of blobs that are there.

        Args:
            net: The whole net, filtered for its phase.
            blobs: The blobs.
            ends: What is there already.

        Raises:
            CaffeFormatError: If a layer is of a type that nobody can build.
        """
        layers = [net.layers[at] for at in ancestors(net, blobs, ends)]
        cut = with_stops(replace(net, layers=layers))
        check_types(cut, STOPS)
        return cls(cut)

    def sources(self, blobs: Iterable[str]) -> list[str]:
        """Return the blobs that others are made of; of those that are given, they."""
        layers = [self.net.layers[at] for at in ancestors(self.net, blobs, data=False)]
        found = {blob: None for blob in blobs if blob not in self._made}
        written = set()
        for layer in layers:
            found.update({b: None for b in layer.bottoms if b not in written})
            written.update(layer.tops)
        return list(found)

    def __call__(self, blobs: Sequence[str], given: Mapping) -> list:
        """Return the tensors of blobs.

        Args:
            blobs: Their names.
            given: The tensors of the blobs that they are made of, by name; 4-D ones
                channels last.
        """
        wanted = list(dict.fromkeys(blob for blob in blobs if blob in self._made))
        found = {}
        if wanted:
            names = self.sources(wanted) or list(given)[:1]  # constants hang on one
            tensors = [_tensor(given[name]) for name in names]
            pairs = zip(names, tensors, strict=True)
            shapes = {name: tuple(x.shape) for name, x in pairs}
            key = (*wanted, *shapes.items())
            if key not in self._models:
                self._models[key] = self._model(wanted, shapes)
            made = self._models[key](tensors[0] if len(tensors) == 1 else tensors)
            found = made if len(wanted) > 1 else {wanted[0]: made}
        return [found[blob] if blob in found else given[blob] for blob in blobs]

    def _model(self, wanted: list[str], shapes: Mapping):
        names = {layer.name for layer in self.net.layers}
        chosen = [self.net.layers[at] for at in ancestors(self.net, wanted, data=False)]
        data = input_layer(unused("data", names), list(shapes))
        net = replace(self.net, layers=[data, *chosen])
        inputs = {blob: axes.caffe_shape(shape) for blob, shape in shapes.items()}
        part = DeployNet(net, inputs=inputs)
        return build_net(part, outputs=wanted, custom=STOPS)[1]

    def to_text(self) -> str:
        """Return the layers as prototxt."""
        return self.net.to_prototxt() if self.net.layers else ""

    @classmethod
    def from_text(cls, text: str) -> "LabelNet":
        """Return what `to_text` was of."""
        return cls(parse_prototxt(text) if text else None)


def _tensor(x):
    return x if isinstance(x, keras.KerasTensor) else ops.convert_to_tensor(x)
