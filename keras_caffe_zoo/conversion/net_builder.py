"""One walk through a Caffe net that makes a graph of another kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net
from keras_caffe_zoo.messages import said, there_are
from keras_caffe_zoo.rules.names import keras_name
from keras_caffe_zoo.rules.node import Budget, NeedsBatch, Node, unused
from keras_caffe_zoo.rules.registry import rule_of
from keras_caffe_zoo.rules.rule import Rule

Custom = Mapping[str, Rule | Callable]


class NetBuilder:
    """A net in the making, layer by layer, blob by blob.

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
        inputs: The tensors of the data blobs.
        blobs: The tensor that holds each blob now, by name.
        windows: Height and width of the blobs that inner products flatten, by layer.
    """

    node_class: type[Node] = Node

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
        self.windows = dict(windows or {})
        self._blobs, self._fixed, self._phase = blobs, fixed, phase
        self._settings = dict(settings)
        self.inputs = []
        self.blobs = {}
        self.unread = {}  # the blobs that no layer has read yet, in order
        self._silenced = []
        self._owners = {}  # name of a shared parameter -> (node, index)
        self._budget = Budget()
        self._reserved = {keras_name(layer.name) for layer in net.layers}
        self._used = set(self._reserved)
        self._seen = Counter()

    def add_input(self, node: Node, blob: str, shape: tuple) -> Any:
        """Return the tensor of a data blob.

        Args:
            node: The layer that gives it.
            blob: Its name.
            shape: Its shape in Caffe's order of axes; None for the number of items
                where it is free.
        """
        raise NotImplementedError

    def builds(self, node: Node) -> Callable:
        """Return the function of a node and tensors that makes a layer's tops."""
        raise NotImplementedError

    def keep(self, node: Node, tensor: Any, tensors: list) -> Any:
        """Return an output, given what a layer silences that it does not read."""
        return tensor

    def learn(self, node: Node, tensors: list) -> None:
        """Take note of a layer that has parameters, and of its tops."""
        for i, spec in enumerate(node.layer.message.param[: len(node.shapes)]):
            if spec.name:
                owner, index = self._owners.setdefault(spec.name, (node, i))
                if owner is not node or index != i:
                    self._check_shared(node, i, owner, index, spec.name)
                    self.share(node, i, owner, index)

    def share(self, node: Node, i: int, owner: Node, index: int) -> None:
        """Take note of a parameter of one layer that is one of another's."""

    def _check_shared(self, node, i, owner, index, name) -> None:
        ours, theirs = _stored_shape(node, i), _stored_shape(owner, index)
        if ours != theirs or node.layer.type != owner.layer.type:
            raise node.error(
                f"Expected the shape of '{owner.layer.name}' for the shared parameter "
                f"{name!r}, {theirs} in {owner.layer.type}; received: {ours} in "
                f"{node.layer.type}",
                "param",
            )

    def written(self, node: Node, blob: str, tensor: Any) -> None:
        """Take note of what a layer wrote into a blob."""

    def build(self) -> None:
        """Build the whole net."""
        self._add_inputs()
        for at, layer in enumerate(self.net.layers):
            self._add(at, layer)

    def outputs(self, ends: Sequence[str] | None = None) -> dict[str, Any]:
        """Return the tensors that the net ends with, by blob.

        Args:
            ends: The blobs to end with; those that no layer reads if not given.

        Raises:
            CaffeFormatError: If there are none.
        """
        return self._outputs() if ends is None else self._ends(ends)

    def _ends(self, blobs: Sequence[str]) -> dict:
        missing = [blob for blob in blobs if blob not in self.blobs]
        if missing:
            raise CaffeFormatError(
                f"Expected names of blobs that layers write; received: {missing}. "
                f"{there_are(self.blobs, missing[0])}",
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
            outputs[name] = self.keep(node, tensor, tensors)
        return outputs

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
        if self._fixed and items is None:
            raise node.error(
                "Expected a known number of items: a layer of the net mixes them; "
                f"received none for the blob {blob!r}"
            )
        tensor = self.add_input(node, blob, (items if self._fixed else None, *sizes))
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
        return self.node_class(
            layer,
            self.net.source,
            phase=self._phase,
            fully_convolutional=self.fully_convolutional,
            windows=self.windows,
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
            self.learn(node, tensors)
        elif node.blobs:
            raise node.error(
                "The caffemodel has parameters of this layer, of the shapes "
                f"{[blob.shape for blob in node.blobs]}; what builds it takes none. "
                "Say their shapes with node.learns(…) before the layer is made"
            )

    def _tops(self, node: Node, bottoms: list) -> list:
        """Return the tensors of a layer's tops."""
        try:
            tensors = self.builds(node)(node, *bottoms)
        except (CaffeFormatError, NeedsBatch):
            raise
        except Exception as error:
            # Whatever is said of a layer's arguments and inputs is said of the file.
            if node.layer.type in self.custom:
                raise
            raise node.error(said(error)) from error
        return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]

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
        self.written(node, blob, tensor)
        self.unread.pop(blob, None)
        self.unread[blob] = True


def _stored_shape(node: Node, index: int) -> tuple[int, ...]:
    """Return the shape that a parameter has in a caffemodel."""
    shape = node.shapes[index]
    if node.rule is None:
        return tuple(shape)
    return node.rule.stored(node, index, np.broadcast_to(np.float32(0), shape)).shape


def with_items(build: Callable[[bool], Any], source: str) -> Any:
    """Build with any number of items, or with the prototxt's if that is needed.

    Args:
        build: Builds a net, given whether to fix the number of items.
        source: The prototxt's name, for the error.

    Raises:
        CaffeFormatError: If the number is needed and not known.
    """
    try:
        return build(False)
    except NeedsBatch:
        pass
    try:
        return build(True)
    except NeedsBatch:
        raise CaffeFormatError(
            "Expected a net whose layers do not mix its items, or mix a known number "
            "of them; received a layer that mixes an unknown number",
            source=source,
        ) from None
