"""What layers of a model can be one: a convolution, and what stands around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_caffe_zoo.arithmetic.affine import Affine
from keras_caffe_zoo.arithmetic.axes import keras_axis
from keras_caffe_zoo.conversion.model import find_tensor
from keras_caffe_zoo.conversion.steps import readers
from keras_caffe_zoo.conversion.walk import Call, calls
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import rule_for


@dataclass
class Chain:
    """A layer with a kernel, and the layers around it that it does the work of.

    Attributes:
        call: The layer's own call.
        before: What is done to what it reads.
        after: What is done to what it makes.
        function: The activation that comes then.
        gone: The calls that it replaces, but its own.
        ends: The tensors that have the values of the new layer's output.
        name: The new layer's name.
    """

    call: Call
    before: Affine = Affine()
    after: Affine = Affine()
    function: str | None = None
    gone: tuple[Call, ...] = ()
    ends: tuple = ()
    name: str = ""


class Chains:
    """What becomes of each layer of a model.

    Args:
        model: A functional model.

    Attributes:
        calls: The model's calls, in order.
        times: How often each layer is called, by its id.
        found: The chains.
        left_out: The ids of the layers that the twin does not have.
    """

    def __init__(self, model: keras.Model):
        self._model = model
        self.calls = list(calls(model))
        self.times = Counter(id(call.layer) for call in self.calls)
        self._readers = readers(self.calls)
        self._makers = {id(y): call for call in self.calls for y in call.outputs}
        self._outputs = {id(y) for y in model.outputs}
        self._owners = Counter(
            id(weight)
            for layer in {id(call.layer): call.layer for call in self.calls}.values()
            for weight in getattr(layer, "weights", ())
        )
        self._taken: set[int] = set()  # the layers that chains have taken in
        self.found: list[Chain] = []
        for call in self.calls:
            self._add_chain(call)
        self._find_before()
        self.left_out = self._find_idle()

    def _add_chain(self, call: Call) -> None:
        if not self._is_foldable(call):
            return
        after, function, gone, ends = Affine(), None, [], [call.outputs[0]]
        if _function_of(call.layer) is None:
            after, function, gone, ends = self._run_behind(call)
        if after.is_identity and function is None:
            return
        chain = Chain(call, Affine(), after, function, tuple(gone), tuple(ends))
        chain.name = self._name(chain)
        self.found.append(chain)
        self._taken |= {id(call.layer), *(id(one.layer) for one in gone)}

    def _run_behind(self, call: Call) -> tuple[Affine, str | None, list, list]:
        """Return what is done to a kernel's output, up to where others need it."""
        after, function, gone, ends = Affine(), None, [], [call.outputs[0]]
        options = call.layer.get_config()
        for reader in self._alone_behind(call):
            step = self._affine(reader)
            own = rule_for(reader.layer).function(reader.layer)
            if step is not None and step.is_identity:
                ends.append(reader.outputs[0])
            elif function is not None:
                break
            elif step is not None:
                after, ends = after.then(step), [reader.outputs[0]]
            elif own is not None and "activation" in options:
                function, ends = own, [reader.outputs[0]]
            else:
                break
            gone.append(reader)
        return after, function, gone, ends

    def _alone_behind(self, call: Call) -> Iterator[Call]:
        """Yield the calls behind one, as long as nothing else reads what they read."""
        while self._reader(call) is not None:
            call = self._reader(call)
            yield call

    def _reader(self, call: Call) -> Call | None:
        """Return the one call that needs what another makes, if there is only one."""
        if len(call.outputs) != 1 or id(call.outputs[0]) in self._outputs:
            return None
        (reader, *others) = self._readers.get(id(call.outputs[0]), [None])
        if reader is None or others or not self._is_simple(reader):
            return None
        return reader

    def _is_simple(self, call: Call) -> bool:
        """Tell whether a layer is called once, of one tensor, and makes another."""
        return (
            self.times[id(call.layer)] == 1
            and len(call.inputs) == len(call.outputs) == 1
            and call.inputs[0].dtype == call.outputs[0].dtype
        )

    def _affine(self, call: Call) -> Affine | None:
        found = rule_for(call.layer).affine(call.layer, call.inputs[0])
        return found if found is not None and found.is_finite else None

    def _is_foldable(self, call: Call) -> bool:
        layer = call.layer
        weights = getattr(layer, "weights", ())
        if self.times[id(layer)] != 1 or len(call.inputs) != 1 or not weights:
            return False
        if any(self._owners[id(weight)] > 1 for weight in weights):
            return False
        rule, kernel = rule_for(layer), np.empty(weights[0].shape, "uint8")
        if rule.by_channel(layer, call.inputs[0], kernel) is None:
            return False
        return len(weights) == 1 + layer.use_bias

    def _find_before(self) -> None:
        """Take factors and offsets before a kernel into it, where it can have them."""
        known = {id(chain.call.layer): chain for chain in self.found}
        for call in self.calls:
            if not self._is_foldable(call):
                continue
            before, gone = self._run_before(call)
            if before.is_identity:
                continue
            chain = known.get(id(call.layer))
            if chain is None:
                name = call.layer.name
                chain = Chain(call, ends=(call.outputs[0],), name=name)
                self.found.append(chain)
            chain.before, chain.gone = before, (*gone, *chain.gone)
            self._taken |= {id(call.layer), *(id(one.layer) for one in gone)}

    def _run_before(self, call: Call) -> tuple[Affine, list[Call]]:
        before, gone = Affine(), []
        while True:
            maker = self._makers[id(call.inputs[0])]
            alone = self._is_simple(maker) and self._reader(maker) is call
            step = self._affine(maker) if alone else None
            if step is None or id(maker.layer) in self._taken:
                break
            before, gone, call = step.then(before), [maker, *gone], maker
        kernel = gone[-1].outputs[0] if gone else None
        if kernel is None or not self._may_be_before(kernel, before):
            return Affine(), []
        return before, gone

    def _may_be_before(self, x, before: Affine) -> bool:
        (reader,) = self._readers[id(x)]
        layer, rule = reader.layer, rule_for(reader.layer)
        kernel = np.empty(layer.weights[0].shape, "uint8")
        _, groups, inputs, _ = rule.by_channel(layer, x, kernel).shape
        if groups * inputs != x.shape[keras_axis(1, len(x.shape))]:
            return False  # it reads a map flattened
        return bool(np.all(before.offset == 0)) or not rule.sees_zeros(layer, x)

    def _find_idle(self) -> set[int]:
        """Return the layers that the twin does not have."""
        gone = {id(one.layer) for chain in self.found for one in chain.gone}
        by_layer: dict[int, list[Call]] = {}
        for call in self.calls:
            by_layer.setdefault(id(call.layer), []).append(call)
        idle = {
            layer for layer, same in by_layer.items() if all(map(self._is_idle, same))
        }
        return gone | idle

    def _is_idle(self, call: Call) -> bool:
        if not self._is_simple(call) or id(call.outputs[0]) in self._outputs:
            return False
        # The outputs of a layer that is called twice have no names but such.
        maker = self._makers[id(call.inputs[0])]
        step = self._affine(call) if self.times[id(maker.layer)] == 1 else None
        return step is not None and step.is_identity

    def _name(self, chain: Chain) -> str:
        """Return a name by which the model has the values of a chain's output."""
        *_, last = chain.gone
        own, ends = chain.call.layer.name, {id(y) for y in chain.ends}
        ends_net = id(last.outputs[0]) in self._outputs
        if ends_net and not isinstance(self._model.output, dict):
            return last.layer.name
        found = find_tensor(self._model, caffe_name(own))
        if found is not None and id(found) in ends:
            return own
        return chain.ends[0]._keras_history.operation.name


def _function_of(layer):
    """Return the activation that is built into a layer; `None` if it is none."""
    function = getattr(layer, "activation", None)
    return None if function is keras.activations.linear else function
