"""What a rule is given to build a Keras layer with.

Tensors of 4-D blobs are channels last, all others in Caffe's order of axes. The Keras
layer that makes the (last) top is named `node.name`; others are named by `node.aux`. A
rule of a type with parameters says the shapes of Caffe's blobs (`node.learns`) before
it makes the layer, and gives the layer no values.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_caffe_zoo.arithmetic import axes
from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Param, declared
from keras_caffe_zoo.rules.names import conv_name, keras_name

MAX_PARAM_BYTES = 2 << 30  # of a net; protobuf cannot hold more either
MAX_VALUES = 2**31 - 1  # of a blob, which Caffe counts in an int


class NeedsBatch(Exception):
    """A layer needs to know the number of items that the prototxt declares."""


@dataclass
class Budget:
    """What the parameters of a net may take, and have taken, in bytes."""

    most: int = MAX_PARAM_BYTES
    taken: int = 0


@dataclass
class Node:
    """One Caffe layer on its way into a Keras graph.

    Attributes:
        layer: The Caffe layer.
        source: The prototxt's name, for errors.
        phase: `"TEST"` or `"TRAIN"`.
        fully_convolutional: Whether inner products become convolutions.
        windows: Height and width of the blob that each inner product flattens, by
            layer name; for `fully_convolutional`.
        suffix: Makes the Keras name unique where Caffe's is not.
        blobs: The layer's parameters, `None` if no caffemodel was given.
        anchor: The net's first input, for layers that read none.
        used: Names that no other Keras layer may take.
        budget: Bounds the parameters of the net.
        shapes: Shapes of the layer's blobs in Caffe, once `learns` was told.
        rule: The rule that builds it; `None` for a function of the caller's.
        python_config: What a Python layer's code reads elsewhere than in the net.
        max_detections: Most rows for one item, where the net does not say.
    """

    layer: Layer
    source: str
    phase: str = "TEST"
    fully_convolutional: bool = False
    windows: dict[str, tuple[int, int]] = field(default_factory=dict)
    suffix: str = ""
    blobs: list | None = None
    anchor: Any = None
    used: set[str] = field(default_factory=set)
    budget: Budget = field(default_factory=Budget)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    rule: Any = None
    python_config: Mapping[str, Any] = field(default_factory=dict)
    max_detections: int | None = None

    @property
    def name(self) -> str:
        """The Keras layer's name."""
        return keras_name(self.layer.name) + self.suffix

    @property
    def conv_name(self) -> str:
        """The Keras layer's name if it became a convolution."""
        return conv_name(keras_name(self.layer.name)) + self.suffix

    def aux(self, purpose: str) -> str:
        """Return a name for a Keras layer that Caffe does not have."""
        name = unused(f"{self.name}_{purpose}", self.used)
        self.used.add(name)
        return name

    @functools.cached_property
    def param(self) -> Any:
        """The layer's own parameters, `convolution_param` and the like.

        As its rule declares them; a type that no rule declares has those that stand in
        the prototxt, without types and defaults: `node.param.size`.

        Raises:
            CaffeFormatError: If the file's are not as declared, or there are none.
        """
        param = self.rule.param_of(self.layer) if self.rule else None
        if param is None and declared(self.layer.type).params:
            return self.layer.param
        return self.layer.undeclared() if param is None else self.read(param)

    def read(self, param: Param) -> Any:
        """Return a parameter message of the layer, as declared."""
        return self.layer.decode(param).message

    def has(self, param: Param) -> bool:
        """Tell whether the layer has a parameter message."""
        return self.layer.decode(param).given

    def channels(self, x) -> int:
        """Return the channels of a blob, its axis 1 in Caffe.

        Raises:
            CaffeFormatError: If it has none, or their number is not known.
        """
        shape = caffe_shape(x)
        if len(shape) < 2 or shape[1] is None:
            raise self.error(f"Expected a blob (N, C, …); received shape: {shape}")
        return shape[1]

    @property
    def shares(self) -> bool:
        """Whether a parameter has a name, by which another layer may share it."""
        return any(spec.name for spec in self.layer.message.param)

    def error(self, problem: str, name: str | None = None) -> CaffeFormatError:
        """Return an error that names the file, the layer, its type and a field."""
        problem = f"({self.layer.type}) {problem}"
        return CaffeFormatError(
            problem, source=self.source, layer=self.layer.name, field=name
        )

    def axis(self, axis: int, rank: int, name: str = "axis") -> int:
        """Return the axis of a tensor that is a Caffe axis, of a blob with `rank` axes.

        Raises:
            CaffeFormatError: If the blob has no such axis.
        """
        return axes.keras_axis(self.caffe_axis(axis, rank, name), rank)

    def caffe_axis(self, axis: int, rank: int, name: str = "axis") -> int:
        """Return an axis of a blob with `rank` axes counted from 0, in Caffe's order.

        Raises:
            CaffeFormatError: If the blob has no such axis.
        """
        if not -rank <= axis < rank:
            raise self.error(
                f"Expected an axis of a blob with {rank} axes; received: {axis}", name
            )
        return axis % rank

    def whole_batch(self, *tensors) -> None:
        """Ask that the number of items be known: the layer mixes them.

        Raises:
            NeedsBatch: If it is not; the net is then built with the prototxt's.
        """
        if any(len(x.shape) and x.shape[0] is None for x in tensors):
            raise NeedsBatch

    def count(self, value: int, name: str) -> int:
        """Return `value`, a number of outputs or the like, if it is positive."""
        if value < 1:
            raise self.error(f"Expected a positive number; received: {value}", name)
        return value

    def checked(self, top):
        """Return a top, if one of Caffe's could hold as many values.

        Raises:
            CaffeFormatError: If not.
        """
        shape = caffe_shape(top)
        if math.prod(size or 1 for size in shape) > MAX_VALUES:
            raise self.error(
                f"Expected a top of at most {MAX_VALUES:,} values; received shape: "
                f"{shape}"
            )
        return top

    def learns(self, *shapes: Sequence[int]) -> None:
        """Say the shapes of the layer's parameters in Caffe, before they are made.

        Raises:
            CaffeFormatError: If they are not the caffemodel's, or too large.
        """
        self.shapes = [tuple(int(size) for size in shape) for shape in shapes]
        if self.blobs:
            self._check_blobs()
        self.budget.taken += 4 * sum(map(math.prod, self.shapes))
        if self.budget.taken > self.budget.most:
            raise self.error(
                f"Expected parameters of at most {self.budget.most / 2**30:g} GiB in "
                f"all; received {self.budget.taken / 2**30:.1f} GiB up to this layer, "
                f"whose own have the shapes {self.shapes}"
            )

    def _check_blobs(self) -> None:
        found = [tuple(blob.shape) for blob in self.blobs]
        if len(found) != len(self.shapes) or not all(map(_fits, found, self.shapes)):
            raise self.error(
                f"Expected parameters of the shapes {self.shapes} in the caffemodel; "
                f"received: {found}. It is not this net's"
            )


def _fits(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether a blob is a parameter, or its convolutional or dense twin."""
    if _trimmed(found) == _trimmed(wanted):
        return True
    twins = {len(found), len(wanted)} == {2, 4} and found[0] == wanted[0]
    return twins and math.prod(found) == math.prod(wanted)


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape and shape[0] == 1:
        shape = shape[1:]
    return shape


def unused(name: str, used) -> str:
    """Return `name`, or the first of `name_1`, `name_2`, … that is not in `used`."""
    found, number = name, 0
    while found in used:
        number += 1
        found = f"{name}_{number}"
    return found


def caffe_shape(tensor) -> tuple[int | None, ...]:
    """Return a tensor's shape in Caffe's order of axes."""
    if hasattr(tensor, "caffe_shape"):  # of a graph that has no other order
        return tensor.caffe_shape
    return axes.caffe_shape(tensor.shape)
