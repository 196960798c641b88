"""One walk through a Caffe net that makes a Keras graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.messages import said
from keras_caffe_zoo.rules.names import keras_name
from keras_caffe_zoo.rules.node import Budget, NeedsBatch, Node, unused
from keras_caffe_zoo.rules.registry import is_input, rule_of
from keras_caffe_zoo.rules.rule import Rule

Custom = Mapping[str, Rule | Callable]


class GraphBuilder:
    """A Keras model of a net in the making, layer by layer, blob by blob.

    Args:
        net: A net that predicts, of types that there are rules for.
        shapes: Shape of each data blob in Caffe's order of axes.
        custom: The caller's own rules, or functions, by type.
        windows: Turn inner products into convolutions of these windows.
        blobs: Parameters of each layer, by its position in the net.
        fixed: Whether to fix the number of items to the prototxt's.
        phase: `"TEST"` or `"TRAIN"`.
        settings: Attributes of all nodes that no file tells, by name.

    Attributes:
        nodes: The layers with parameters and the Keras layers that hold them.
    """

    def __init__(
        self,
        net: Net,
        shapes: Mapping[str, tuple],
        custom: Custom,
        windows: Mapping[str, tuple[int, int]] | None = None,
        blobs: Mapping[int, list] | None = None,
        fixed: bool = False,
        phase: str = "TEST",
        settings: Mapping = MappingProxyType({}),
    ):
        self.net, self.shapes, self.custom = net, shapes, custom
        self.fully_convolutional = windows is not None
        self._windows = dict(windows or {})
        self._blobs, self._fixed, self._phase = blobs, fixed, phase
        self._settings = settings
        self.inputs = []
        self.blobs = {}  # name -> tensor that holds it now
        self.places = {}  # name -> [Keras layer, output index]
        self.unread = {}  # the blobs that no layer has read yet, in order
        self.nodes: list[tuple[Node, keras.Layer]] = []
        self._silenced = []
        self._owners = {}  # name of a shared parameter -> (Keras layer, index)
        self._ties = []
        self._budget = Budget()
        self._reserved = {keras_name(layer.name) for layer in net.layers}
        self._used = set(self._reserved)
        self._seen = Counter()
        self._stands_in = False

    def model(self, ends: Sequence[str] | None = None) -> keras.Model:
        """Return the Keras model of the whole net.

        Args:
            ends: The blobs to end with; those that no layer reads if not given.
        """
        from keras_caffe_zoo.conversion.model import CaffeModel

        self._add_inputs()
        for at, layer in enumerate(self.net.layers):
            self._add(at, layer)
        outputs = self._outputs() if ends is None else self._ends(ends)
        if len(outputs) == 1:
            (outputs,) = outputs.values()
        inputs = self.inputs[0] if len(self.inputs) == 1 else self.inputs
        model = CaffeModel(inputs, outputs, name=keras_name(self.net.name or "net"))
        kept = {layer.name for layer in model.layers}
        places = {k: place for k, place in self.places.items() if place[0] in kept}
        model.remember(places, [t for t in self._ties if {t[0], t[2]} <= kept])
        return model

    def _ends(self, blobs: Sequence[str]) -> dict:
        missing = [blob for blob in blobs if blob not in self.blobs]
        if missing:
            raise CaffeFormatError(
                "Expected losses of blobs that layers write; received losses of: "
                f"{missing}",
                source=self.net.source,
            )
        return {blob: self.blobs[blob] for blob in blobs}

    def _outputs(self) -> dict:
        outputs = {name: self.blobs[name] for name in self.unread}
        if not outputs and self._silenced:  # it shows or writes its answers itself
            ends = [(x.layer.bottoms, tensors) for x, tensors in self._silenced]
            return {k: v for end in ends for k, v in zip(*end, strict=True)}
        if not outputs:
            raise CaffeFormatError(
                "Expected a blob that no layer reads, for an output; received none",
                source=self.net.source,
            )
        for node, tensors in self._silenced:
            name, tensor = next(iter(outputs.items()))
            outputs[name] = node.rule.keep(node, tensor, tensors)
        return outputs

    def windows(self) -> dict[str, tuple[int, int]]:
        """Return the height and width of the blobs that inner products flatten.

        Their own outputs are flat stand-ins: no dense layer is made.
        """
        self._stands_in = True
        self._add_inputs()
        for at, layer in enumerate(self.net.layers):
            self._add(at, layer)
        return self._windows

    def _add_inputs(self) -> None:
        for layer in self.net.layers:
            if self._is_input(layer):
                node = self._node(0, layer)
                self._check_ends(node)
                for blob in layer.tops:
                    self._add_input(node, blob)
        if not self.inputs:
            raise CaffeFormatError(
                "Expected a net with data: an Input or data layer, or `input` with "
                "`input_dim` or `input_shape`; received none",
                source=self.net.source,
            )

    def _add_input(self, node: Node, blob: str) -> None:
        items, *sizes = self.shapes[blob] or (None,)
        if len(sizes) == 3:
            sizes = [*sizes[1:], sizes[0]]
        if self._fixed and items is None:
            raise node.error(
                "Expected a known number of items: a layer of the net mixes them; "
                f"received none for the blob {blob!r}"
            )
        name = keras_name(blob)
        if name in self._used - self._reserved:
            name = unused(name, self._used)
        self._used.add(name)
        batch = items if self._fixed else None
        tensor = keras.Input(batch_shape=(batch, *sizes), name=name)
        self.inputs.append(tensor)
        self._write(node, blob, tensor)

    def _rule(self, layer: Layer) -> Rule | None:
        """Return the rule that builds a layer; `None` if a function does."""
        found = self.custom.get(layer.type, rule_of(layer.type))
        return found if isinstance(found, Rule) else None

    def _is_input(self, layer: Layer) -> bool:
        rule = self._rule(layer)
        return rule is not None and rule.role == "input"

    def _node(self, at: int, layer: Layer) -> Node:
        return Node(
            layer,
            self.net.source,
            phase=self._phase,
            fully_convolutional=self.fully_convolutional,
            windows=self._windows,
            blobs=None if self._blobs is None else self._blobs.get(at, []),
            anchor=self.inputs[0] if self.inputs else None,
            used=self._used,
            budget=self._budget,
            rule=self._rule(layer),
            **self._settings,
        )

    def _named(self, node: Node) -> Node:
        """Give a node a name that no other layer has."""
        name = node.name
        taken = name in self._seen or name in {x.name for x in self.inputs}
        if taken:
            node.suffix = unused(name, self._used)[len(name) :]
        self._seen[name] += 1
        self._used.add(node.name)
        self._used.add(node.conv_name)
        return node

    def _add(self, at: int, layer: Layer) -> None:
        if self._is_input(layer):
            return
        node = self._named(self._node(at, layer))
        if node.rule is not None:
            self._check_ends(node)
        bottoms = [self._read(node, blob) for blob in layer.bottoms]
        tensors = self._tops(node, bottoms)
        if len(tensors) != len(layer.tops):
            raise node.error(
                f"Expected {len(tensors)} tops; received: {len(layer.tops)}", "top"
            )
        for blob, tensor in zip(layer.tops, tensors, strict=True):
            self._write(node, blob, tensor)
        if node.rule is not None and node.rule.role == "silence":
            self._silenced.append((node, bottoms))
        if node.shapes:
            self._learn(node, tensors[0])
        elif node.blobs and not self._stands_in:
            raise node.error(
                "The caffemodel has parameters of this layer, of the shapes "
                f"{[blob.shape for blob in node.blobs]}; what builds it takes none. "
                "Say their shapes with node.learns(…) before the layer is made"
            )

    def _tops(self, node: Node, bottoms: list) -> list:
        """Return the tensors of a layer's tops."""
        rule = node.rule
        build = self.custom[node.layer.type] if rule is None else rule.build
        if self._stands_in:
            build = getattr(rule, "stand_in", build)
        try:
            tensors = build(node, *bottoms)
        except (CaffeFormatError, NeedsBatch):
            raise
        except Exception as error:
            # Whatever Keras says of a layer's arguments and inputs is said of the file.
            if node.layer.type in self.custom:
                raise
            raise node.error(said(error)) from error
        return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]

    def _learn(self, node: Node, tensor) -> None:
        """Note which Keras layer has a node's parameters, and which are shared."""
        layer = tensor._keras_history.operation
        while not layer.weights:  # what only gives an output its name
            if not isinstance(layer.input, keras.KerasTensor) or is_input(layer):
                raise node.error(
                    f"Expected a layer with weights, for parameters of the shapes "
                    f"{node.shapes}; received: '{tensor._keras_history.operation.name}'"
                )
            layer = layer.input._keras_history.operation
        self.nodes.append((node, layer))
        for i, spec in enumerate(node.layer.message.param):
            if not spec.name or i >= len(node.shapes):
                continue
            owner, index = self._owners.setdefault(spec.name, (layer, i))
            if owner is not layer or index != i:
                self._tie(node, layer, i, owner, index, spec.name)

    def _tie(self, node, layer, i, owner, index, name) -> None:
        ours, theirs = layer.weights[i], owner.weights[index]
        if tuple(ours.shape) != tuple(theirs.shape) or type(layer) is not type(owner):
            raise node.error(
                f"Expected the shape of '{owner.name}' for the shared parameter "
                f"{name!r}, {tuple(theirs.shape)} in a {type(owner).__name__}; "
                f"received: {tuple(ours.shape)} in a {type(layer).__name__}",
                "param",
            )
        self._ties.append([layer.name, i, owner.name, index])

    def _check_ends(self, node: Node) -> None:
        for what, blobs in (("bottom", node.layer.bottoms), ("top", node.layer.tops)):
            least, most = getattr(node.rule, f"{what}s")
            if not least <= len(blobs) <= (len(blobs) if most is None else most):
                upto = "any number" if most is None else most
                wanted = least if least == most else f"{least} to {upto}"
                raise node.error(
                    f"Expected {wanted} {what}s; received: {len(blobs)}", what
                )

    def _read(self, node: Node, blob: str):
        if blob not in self.blobs:
            raise node.error(
                "Expected the name of a blob that a layer before it writes; received: "
                f"{blob!r}",
                "bottom",
            )
        self.unread.pop(blob, None)
        return self.blobs[blob]

    def _write(self, node: Node, blob: str, tensor) -> None:
        tops, bottoms = node.layer.tops, node.layer.bottoms
        at = tops.index(blob)
        in_place = at < len(bottoms) and bottoms[at] == blob
        if (blob in self.blobs and not in_place) or tops.count(blob) > 1:
            raise node.error(
                f"Expected a top that no other layer writes; received: {blob!r}", "top"
            )
        self.blobs[blob] = tensor
        history = tensor._keras_history
        self.places[blob] = [history.operation.name, history.tensor_index]
        self.unread.pop(blob, None)
        self.unread[blob] = True
