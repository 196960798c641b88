"""Which of Caffe's blobs share memory, and what it holds once the net has run.

A layer in place overwrites the blob that it reads. Flatten, Reshape and Split copy
nothing: their tops are their bottom's memory under other names, so what overwrites one
of them overwrites all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from keras_caffe_zoo.conversion.walk import Call, calls
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import rule_for


def is_copy(layer: keras.Layer) -> bool:
    """Tell whether a layer gives back what it is given."""
    return rule_for(layer).is_copy(layer)


def shares_memory(call: Call) -> bool:
    """Tell whether Caffe's layer copies nothing: its top is its bottom's memory."""
    return rule_for(call.layer).shares_memory(call)


def bottoms(call: Call) -> list:
    """Return the tensors that Caffe's layer reads.

    Some of Keras' layers read one that they only pass on, or hang on.
    """
    return rule_for(call.layer).caffe_bottoms(call.inputs)


@dataclass
class _Block:
    """Memory: what it holds in the end, and what else it may hold."""

    last: list
    perhaps: list = field(default_factory=list)


class Memory:
    """The memory of the blobs of an imported model.

    A model that does not know of every blob (`CaffeModel.caffe_blobs`) is taken to
    have memory of its own for each tensor.
    """

    def __init__(self, model: keras.Model):
        self._blocks: dict[int, _Block] = {}
        self._contents: dict[int, int] = {}  # tensors of the same values, one's id
        places = getattr(model, "caffe_blobs", {})
        self._knows = all(caffe_name(x.name) in places for x in model.inputs)
        self._named = {tuple(place) for place in places.values()}
        found = list(calls(model))
        self._reads = Counter(id(x) for call in found for x in bottoms(call))
        self._ends = _ends(model, found)
        for call in found:
            for tensor in call.outputs:
                self._place(call, tensor)

    def held(self, tensor) -> list:
        """Return what a blob's memory holds in the end: one tensor, rarely one of some.

        An output of the model is to be found where the model says: if something
        overwrites it, Caffe's output is not the model's.
        """
        return [tensor] if id(tensor) in self._ends else self.overwritten(tensor)

    def overwritten(self, tensor) -> list:
        """Return likewise what holds for any blob, be it an output or not."""
        block, content = self._blocks[id(tensor)], self._contents[id(tensor)]
        kept = any(self._contents[id(last)] == content for last in block.last)
        found = [tensor] if kept else list(block.last)
        for other in block.perhaps:
            found += self.overwritten(other)
        return found

    def _place(self, call: Call, tensor) -> None:
        source = self._source(call)
        if source is not None and shares_memory(call):
            self._blocks[id(tensor)] = self._blocks[id(source)]
            self._contents[id(tensor)] = self._contents[id(source)]
            return
        self._contents[id(tensor)] = id(tensor)
        if source is None or not self._is_overwritten(source):
            self._blocks[id(tensor)] = _Block([tensor])
            if source is not None and self._may_overwrite(call, source):
                self._blocks[id(source)].perhaps.append(tensor)
            return
        block = self._blocks[id(tensor)] = self._blocks[id(source)]
        before = self._contents[id(source)]
        block.last = [x for x in block.last if self._contents[id(x)] != before]
        block.last.append(tensor)

    def _source(self, call: Call):
        """Return the tensor that stands for the (first) bottom."""
        if not self._knows or not bottoms(call):
            return None
        tensor = bottoms(call)[0]
        maker = tensor._keras_history.operation
        # Caffe's net has no such layer: an InnerProduct flattens by itself.
        return maker.input if rule_for(maker).left_out else tensor

    def _is_overwritten(self, tensor) -> bool:
        history = tensor._keras_history
        return (history.operation.name, history.tensor_index) not in self._named

    def _may_overwrite(self, call: Call, source) -> bool:
        """Tell whether a layer may be in place on one of several tops of a Split.

        They are one tensor here, which has a name as long as one of them has.
        """
        return (
            is_copy(source._keras_history.operation)
            and bool(rule_for(call.layer).in_place)
            and (self._reads[id(source)] > 1 or id(source) in self._ends)
        )


def _ends(model: keras.Model, found: list[Call]) -> set[int]:
    """Return which tensors are outputs, also those that go through a Silence."""
    ends = {id(tensor) for tensor in model.outputs}
    for call in reversed(found):
        silences = rule_for(call.layer).role == "silence"
        if silences and id(call.outputs[0]) in ends:
            ends.add(id(call.inputs[0]))
    return ends
