"""One walk through a Caffe net that makes a Keras graph."""

from __future__ import annotations

from collections.abc import Sequence

from keras_caffe_zoo.conversion.net_builder import NetBuilder
from keras_caffe_zoo.lazy import caffe_model, keras
from keras_caffe_zoo.rules.names import caffe_name, keras_name
from keras_caffe_zoo.rules.node import Node, unused
from keras_caffe_zoo.rules.registry import is_input


class GraphBuilder(NetBuilder):
    """A Keras model of a net in the making.

    Attributes:
        nodes: The layers with parameters and the Keras layers that hold them.
        places: `[Keras layer, output index]` of each blob.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.places = {}
        self.nodes: list[tuple[Node, keras.Layer]] = []
        self._layers: dict[str, keras.Layer] = {}  # of `nodes`, by the node's name
        self._ties = []
        self._stands_in = False

    def model(self, ends: Sequence[str] | None = None) -> keras.Model:
        """Return the Keras model of the whole net.

        Args:
            ends: The blobs to end with; those that no layer reads if not given.
        """
        self.build()
        outputs = self.outputs(ends)
        if len(outputs) == 1:
            (outputs,) = outputs.values()
        inputs = self.inputs[0] if len(self.inputs) == 1 else self.inputs
        name = keras_name(self.net.name or "net")
        model = caffe_model.CaffeModel(inputs, outputs, name=name)
        kept = {layer.name for layer in model.layers}
        places = {k: place for k, place in self.places.items() if place[0] in kept}
        model.remember(places, [t for t in self._ties if {t[0], t[2]} <= kept])
        return model

    def find_windows(self) -> dict[str, tuple[int, int]]:
        """Return the height and width of the blobs that inner products flatten.

        Their own outputs are flat stand-ins: no dense layer is made.
        """
        self._stands_in = True
        self.build()
        return self.windows

    def add_input(self, node, blob, shape):
        items, *sizes = shape
        if len(sizes) == 3:
            sizes = [*sizes[1:], sizes[0]]
        name = keras_name(blob)
        if name in self._used - self._reserved:
            name = unused(name, self._used)
        self._used.add(name)
        return keras.Input(batch_shape=(items, *sizes), name=name)

    def builds(self, node):
        if node.rule is None:
            return self.custom[node.layer.type]
        stand_in = getattr(node.rule, "stand_in", node.rule.build)
        return stand_in if self._stands_in else node.rule.build

    def keep(self, node, tensor, tensors):
        return node.rule.keep(node, tensor, tensors)

    def written(self, node, blob, tensor):
        history = tensor._keras_history
        self.places[blob] = [history.operation.name, history.tensor_index]

    def learn(self, node, tensors):
        layer = made = tensors[0]._keras_history.operation
        while not layer.weights:  # what only gives an output its name
            if not isinstance(layer.input, keras.KerasTensor) or is_input(layer):
                raise node.error(
                    f"Expected a layer with weights, for parameters of the shapes "
                    f"{node.shapes}; received: '{caffe_name(made.name)}'"
                )
            layer = layer.input._keras_history.operation
        self.nodes.append((node, layer))
        self._layers[node.name] = layer
        super().learn(node, tensors)

    def share(self, node, i, owner, index):
        layer, owner = self._layers[node.name], self._layers[owner.name]
        self._ties.append([layer.name, i, owner.name, index])
