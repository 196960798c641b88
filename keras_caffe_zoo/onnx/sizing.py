"""The sizes of a net, as far as they can be told: whatever its layers are.

Where a graph for a file ends at the first layer that it cannot have, this goes on: what
such a layer writes has no shape, nor has what is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from keras_caffe_zoo.caffe import CaffeFormatError, Layer
from keras_caffe_zoo.onnx.builder import OnnxBuilder
from keras_caffe_zoo.onnx.graph import Op, Size, Value
from keras_caffe_zoo.rules.forks import fork_of_type
from keras_caffe_zoo.rules.node import NeedsBatch
from keras_caffe_zoo.rules.python import code_name
from keras_caffe_zoo.rules.registry import role_of, rule_of

Shape = tuple[Size, ...]
_ENDS = ("loss", "metric", "output")


@dataclass
class LayerSizes:
    """What is known of the sizes of one layer.

    Attributes:
        bottoms: The shapes of what it reads; None for one that nobody knows.
        tops: The shapes of what it writes, likewise.
        params: The shapes of its parameters.
        parameters: How many numbers it has learned that no layer before it shares.
        multiply_adds: Products that it sums up, of its parameters and what it reads;
            None if that depends on sizes which only data tell.
        problem: Why its tops have no shape; `""` if they have.
    """

    bottoms: list[Shape | None] = field(default_factory=list)
    tops: list[Shape | None] = field(default_factory=list)
    params: list[Shape] = field(default_factory=list)
    parameters: int = 0
    multiply_adds: int | None = 0
    problem: str = ""


class Sizing(OnnxBuilder):
    """A walk through a net that asks for shapes alone.

    Args:
        *args: As of `OnnxBuilder`, like all others. Data blobs whose shape is unknown
            have none.
        **kwargs: As of `OnnxBuilder`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._made = None

    def sizes(
        self, advance: Callable[[int], None] = lambda _: None
    ) -> list[LayerSizes]:
        """Return what is known of each layer, in the net's order.

        Args:
            advance: Is told of each layer that is done.
        """
        found = []
        for at, layer in enumerate(self.net.layers):
            sizes = LayerSizes(bottoms=[self._shape(blob) for blob in layer.bottoms])
            try:
                self._size(at, layer, sizes)
            except NeedsBatch:
                sizes.problem = "Expected a known number of items"
            except CaffeFormatError as error:
                sizes.problem = error.problem
            except ValueError as error:
                sizes.problem = str(error)
            if sizes.problem:
                self._forget(layer, sizes)
            sizes.tops = [self._shape(blob) for blob in layer.tops]
            self.graph.ops.clear()  # nothing is kept but the blobs
            found.append(sizes)
            advance(1)
        return found

    def _node(self, at, layer):
        self._made = super()._node(at, layer)
        return self._made

    def _shape(self, blob: str) -> Shape | None:
        value = self.blobs.get(blob)
        return None if value is None else tuple(value.shape)

    def _forget(self, layer: Layer, sizes: LayerSizes) -> None:
        """Know nothing of what a layer writes, but for data whose shape was told."""
        given = {} if layer.bottoms else self.shapes
        for top in layer.tops:
            if given.get(top) is None:
                self.blobs.pop(top, None)
        sizes.multiply_adds = None

    def _size(self, at: int, layer: Layer, sizes: LayerSizes) -> None:
        if layer.tops and all(top in self.shapes for top in layer.tops):
            self._give(at, layer, sizes)
        elif role_of(layer.type) in _ENDS:
            self._end(layer, sizes)
        elif rule_of(layer.type) is None:
            fork = fork_of_type(code_name(layer))
            of_fork = f", which is of {fork}" if fork else ""
            sizes.problem = f"No rule is for the type {code_name(layer)!r}{of_fork}"
        elif missing := [x for x in layer.bottoms if x not in self.blobs]:
            sizes.problem = (
                f"The shape of {missing[0][:80]!r}, which it reads, is unknown"
            )
        else:
            self._build(at, layer, sizes)

    def _give(self, at: int, layer: Layer, sizes: LayerSizes) -> None:
        """Give a net its data."""
        node = self._node(at, layer)
        for top in layer.tops:
            if self.shapes[top] is None:
                sizes.problem = "The net does not tell the shape of its data"
            elif top not in self.blobs:
                self._add_input(node, top)

    def _end(self, layer: Layer, sizes: LayerSizes) -> None:
        """A loss is a number; what else it may write is told by nobody."""
        for blob in layer.tops[:1]:
            self.blobs[blob] = Value((), self.graph.constant(0.0).dtype)

    def _build(self, at: int, layer: Layer, sizes: LayerSizes) -> None:
        layers = len(self.graph.layers)
        self._made = None
        self._add(at, layer)
        if self._made is None:  # data without a top
            return
        sizes.params = [tuple(shape) for shape in self._made.shapes]
        if len(self.graph.layers) > layers:
            sizes.parameters = self.graph.layers[-1].parameters
        if sizes.params:
            sizes.multiply_adds = multiply_adds(self.graph.ops)


def multiply_adds(ops: Iterable[Op]) -> int | None:
    """Return how many products operations sum up; None if a size is not known.

    Those of convolutions, of products of matrices, and of recurrent steps.
    """
    total = 0
    for op in ops:
        if op.type in _PRODUCTS:
            shapes = [None if x is None else x.shape for x in op.inputs]
            product = _PRODUCTS[op.type](shapes, op.outputs[0].shape)
            if product is None:
                return None
            total += product
    return total


def _product(*shapes: Iterable[Size]) -> int | None:
    sizes = [size for shape in shapes for size in shape]
    return None if None in sizes else math.prod(sizes)


def _recurrent(shapes, _) -> int | None:
    x, w, r = shapes[:3]
    steps, matrices = _product(x[:2]), (_product(w), _product(r))
    return None if None in (steps, *matrices) else steps * sum(matrices)


_PRODUCTS: Mapping[str, Callable[[list, Shape], int | None]] = {
    "Conv": lambda shapes, y: _product(y, shapes[1][1:]),
    "ConvTranspose": lambda shapes, _: _product(shapes[0], shapes[1][1:]),
    "Gemm": lambda shapes, y: _product(shapes[0], y[1:]),  # no layer has transA
    "MatMul": lambda shapes, y: _product(shapes[0][-1:], y),
    "LSTM": _recurrent,
    "RNN": _recurrent,
    "GRU": _recurrent,
}
