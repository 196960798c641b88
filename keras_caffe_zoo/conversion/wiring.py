"""A Keras graph as Caffe wires it: which layer reads and writes which blob.

Caffe runs a layer in place if a top has the name of the bottom at its place, and
refuses any other top that has a name again. It also refuses a layer in place on a blob
that another layer reads; where a Flatten, Reshape or Split comes in between, so that
the blobs share memory, it computes something else without a word. None of this is
ever written.
"""

from __future__ import annotations

from collections.abc import Iterator

from keras_caffe_zoo.conversion.memory import bottoms, is_copy, shares_memory
from keras_caffe_zoo.conversion.steps import readers, steps
from keras_caffe_zoo.conversion.walk import Call
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.node import unused
from keras_caffe_zoo.rules.registry import is_input, rule_for, traits_of

_USUAL, _POSSIBLE = ("usual",), ("usual", "possible")


class Wiring:
    """The names of the layers and blobs of a model in Caffe.

    Names that an imported model remembers go before; others are the layers' own.

    Attributes:
        steps: What the net does, in order.
        unread: Names of the blobs that no layer reads, and that are no outputs.
    """

    def __init__(self, model: keras.Model):
        self.steps = steps(model)
        self.unread: list[str] = []
        self._makers = {id(y): step for step in self.steps for y in step.outputs}
        self._readers = readers(self.steps)
        self._ends = {id(y) for y in model.outputs}
        self._left_out = {id(s) for s in self.steps if self._can_be_left_out(s)}
        self._ends = {id(self._blob(y)) for y in model.outputs}
        self._readers = readers([self._in_caffe(step) for step in self.steps])
        self._layer_names: set[str] = set()
        self._blob_names: set[str] = set()
        self._names = self._name_layers()
        self._read: dict[int, list[str]] = {}  # what a tensor's readers call it
        self._tops: dict[int, list[str]] = {}  # several of a Split
        self._copies: dict[int, str] = {}
        self._name_blobs(model)

    def name(self, step: Call) -> str:
        """Return the name of a step's (main) Caffe layer."""
        return self._names[id(step)]

    def bottoms(self, step: Call) -> list[str]:
        """Return the names of the blobs that a step reads; to be asked for once.

        The tops of a Split are one tensor: its readers get one after the other.
        """
        if _silences(step):  # passes on what it reads first
            return ["", *map(self._next, step.inputs[1:])]
        return [self._next(tensor) for tensor in step.inputs]

    def tops(self, step: Call) -> list[str]:
        """Return the names of the blobs that a step writes."""
        return [name for y in step.outputs for name in self._tops.get(id(y), ())]

    def copies(self, step: Call) -> Iterator[tuple[str, str]]:
        """Yield outputs that layers read as well, and names for copies.

        Caffe's outputs are the blobs that no layer reads.
        """
        for y in step.outputs:
            if id(y) in self._copies:
                yield self._tops[id(y)][0], self._copies[id(y)]

    def end(self, tensor, name: str) -> str:
        """Return the name of the blob that holds one of the model's outputs.

        Args:
            tensor: The output.
            name: What the model calls it.
        """
        y = self._blob(tensor)
        tops = self._tops[id(y)]
        return name if name in tops else self._copies.get(id(y), tops[-1])

    def is_left_out(self, step: Call) -> bool:
        """Tell whether a step is a Flatten that InnerProducts do by themselves."""
        return id(step) in self._left_out

    def new_layer(self, name: str) -> str:
        """Return `name`, or one like it that no other layer has."""
        return _new(name, self._layer_names)

    def new_blob(self, name: str) -> str:
        """Return `name`, or one like it that no other blob has."""
        return _new(name, self._blob_names)

    def _can_be_left_out(self, step: Call) -> bool:
        return rule_for(step.layer).left_out and all(
            reader is not None and _is_inner_product(reader)
            for reader in self._behind(step)
        )

    def _behind(self, step: Call) -> Iterator[Call | None]:
        """Yield the layers to which a step's shape matters; `None` for an output."""
        if any(id(y) in self._ends for y in step.outputs):
            yield None
        for reader in self._readers.get(id(step.outputs[0]), ()):
            if _keeps_order(reader):
                yield from self._behind(reader)
            else:
                yield reader

    def _blob(self, tensor):
        """Return the tensor that stands for the same blob and is made by a layer."""
        step = self._makers[id(tensor)]
        if _silences(step) or self.is_left_out(step):
            return self._blob(step.inputs[0])
        return tensor

    def _in_caffe(self, step: Call) -> Call:
        """Return a step that reads the blobs that its layer reads in Caffe."""
        inputs = [] if self.is_left_out(step) else map(self._blob, bottoms(step))
        return step._replace(inputs=list(inputs))

    def _name_layers(self) -> dict[int, str]:
        seen, names = {}, {}
        for step in self.steps:
            seen.setdefault(id(step.layer), []).append(step)
        for same in seen.values():
            names[id(same[0])] = self.new_layer(caffe_name(same[0].layer.name))
        for same in seen.values():
            for i, step in enumerate(same[1:], 2):
                names[id(step)] = self.new_layer(f"{names[id(same[0])]}_{i}")
        return names

    def _name_blobs(self, model: keras.Model) -> None:
        remembered = self._remembered(model)
        self._blob_names.update(n for names in remembered.values() for n in names)
        named = model.output if isinstance(model.output, dict) else {}
        for step in self.steps:
            if _silences(step) or self.is_left_out(step):
                continue
            for i, y in enumerate(step.outputs):
                own = remembered.get(id(y), [])
                if rule_for(step.layer).splits:
                    self._name_split(step, y, own, named)
                else:
                    self._name_blob(step, i, y, own)

    def _name_blob(self, step: Call, i: int, y, own: list[str]) -> None:
        is_read, is_end = id(y) in self._readers, id(y) in self._ends
        if own:
            name = own[0] if is_read else own[-1]
        elif self._runs_in_place(step, _USUAL):
            name = self._read[id(self._blob(step.inputs[0]))][0]
        else:
            several = f"_{i}" if len(step.outputs) > 1 else ""
            name = self.new_blob(self.name(step) + several)
        self._tops[id(y)] = self._read[id(y)] = [name]
        if not is_read and not is_end:
            self.unread.append(name)
        if is_read and is_end:
            more = own[1:] or [self.new_blob(f"{name}_output")]
            self._copies[id(y)] = more[-1]

    def _name_split(self, step: Call, y, own: list[str], named: dict) -> None:
        """Name the tops of a Split: some are read, others are outputs."""
        is_read, is_end = id(y) in self._readers, id(y) in self._ends
        ends = [name for name in own if name in named] if is_end else []
        if is_end and not ends:
            ends = own[-1:] if not is_read or len(own) > 1 else []
            ends = ends or [self.new_blob(self.name(step) + "_output" * is_read)]
        read = [name for name in own if name not in ends] if is_read else []
        if is_read and not read:
            read = [self.new_blob(self.name(step))]
        if not is_read and not is_end:
            ends = own[:1] or [self.new_blob(self.name(step))]
            self.unread += ends
        self._read[id(y)], self._tops[id(y)] = list(read), [*read, *ends]

    def _remembered(self, model: keras.Model) -> dict[int, list[str]]:
        """Return the names that an imported model remembers of its tensors.

        What a layer in place overwrites has the name of what it becomes.
        """
        tensors, names = {}, {}
        for y in (y for step in self.steps for y in step.outputs):
            history = y._keras_history
            place = (history.operation.name, history.tensor_index)
            tensors.setdefault(place, y)
        for blob, place in getattr(model, "caffe_blobs", {}).items():
            if tuple(place) in tensors:
                y = self._blob(tensors[tuple(place)])
                names.setdefault(id(y), []).append(blob)
        for y in reversed([y for step in self.steps for y in step.outputs]):
            (reader, *_) = self._readers.get(id(y), [None])
            if (
                id(y) not in names
                and reader is not None
                and self._blob(reader.inputs[0]) is y
                and self._runs_in_place(reader, _POSSIBLE)
                and id(reader.outputs[0]) in names
            ):
                names[id(y)] = names[id(reader.outputs[0])][:1]
        return names

    def _runs_in_place(self, step: Call, kinds: tuple[str, ...]) -> bool:
        """Tell whether a step may overwrite its bottom, which nobody else must need.

        Nor must anybody need a blob that shares the bottom's memory.
        """
        if rule_for(step.layer).in_place not in kinds or is_copy(step.layer):
            return False
        tensor = self._blob(step.inputs[0])
        while len(self._readers[id(tensor)]) == 1 and id(tensor) not in self._ends:
            maker = self._makers[id(tensor)]
            if not shares_memory(maker):
                if is_input(maker.layer):
                    return kinds is not _USUAL
                return not rule_for(maker.layer).keeps_tops
            tensor = self._blob(maker.inputs[0])
        return False

    def _next(self, tensor) -> str:
        names = self._read[id(self._blob(tensor))]
        return names.pop(0) if len(names) > 1 else names[0]


def _new(name: str, used: set[str]) -> str:
    found = unused(name, used)
    used.add(found)
    return found


def _silences(step: Call) -> bool:
    return rule_for(step.layer).role == "silence"


def _is_inner_product(step: Call) -> bool:
    """Tell whether a step reads a vector by a kernel whose rows can be ordered."""
    flat = len(step.inputs[0].shape) == 2
    return flat and traits_of(step.layer).outputs == "units"


def _keeps_order(step: Call) -> bool:
    """Tell whether a step's values stand as those it reads, and are made one by one."""
    alone = len(step.inputs) == 1 and not _has_weights(step.layer)
    traits = traits_of(step.layer)
    by_value = (traits.places, traits.order) == ("kept", "kept")
    return alone and by_value and traits.activation != "softmax"


def _has_weights(layer) -> bool:
    return any(weight.dtype != "uint32" for weight in getattr(layer, "weights", ()))
