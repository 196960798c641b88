"""What a Keras graph does, step by step: each becomes a Caffe layer, or a few."""

from __future__ import annotations

from keras_caffe_zoo.conversion.walk import Call, calls
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.registry import rule_for
from keras_caffe_zoo.rules.target import may_agree


def steps(model: keras.Model) -> list[Call]:
    """Return a functional model's calls in an order in which they can run.

    Several calls of one convolution are one step, as in Caffe: a filter that is
    applied to each bottom and writes a top for each.
    """
    found = list(calls(model))
    layers = {id(call.layer): call.layer for call in found}
    for layer in layers.values():
        same = [call for call in found if call.layer is layer]
        same.sort(key=lambda call: call.outputs[0]._keras_history.node_index)
        if len(same) > 1 and _can_be_one(layer, same):
            ends = {id(tensor) for tensor in model.outputs}
            found = _joined(found, same, ends) or found
    return found


def readers(found: list[Call]) -> dict[int, list[Call]]:
    """Return the calls that read each tensor, by its id, once for each time."""
    result: dict[int, list[Call]] = {}
    for call in found:
        for tensor in call.inputs:
            result.setdefault(id(tensor), []).append(call)
    return result


def _can_be_one(layer: keras.Layer, same: list[Call]) -> bool:
    activation = getattr(layer, "activation", None)
    linear = activation in (None, keras.activations.linear)
    alike = all(may_agree(call.inputs[0], same[0].inputs[0]) for call in same)
    return rule_for(layer).applies_to_each and linear and alike


def _joined(found: list[Call], same: list[Call], ends: set[int]) -> list[Call] | None:
    """Return calls with some of them as one, or `None` if one needs another's output.

    An Identity that only gives such an output a name (`from_caffe` makes them) goes.
    """
    reading, gone, outputs = readers(found), list(same), []
    for tensor in (call.outputs[0] for call in same):
        (reader, *others) = reading.get(id(tensor), [None])
        named = reader is not None and rule_for(reader.layer).splits
        if named and not others and id(tensor) not in ends:
            gone.append(reader)
            tensor = reader.outputs[0]
        outputs.append(tensor)
    whole = Call(same[0].layer, [call.inputs[0] for call in same], outputs)
    kept = [
        whole if call is same[0] else call
        for call in found
        if call is same[0] or not any(call is other for other in gone)
    ]
    return _in_order(kept)


def _in_order(found: list[Call]) -> list[Call] | None:
    """Return calls so that each comes after those it needs; `None` if none can."""
    made, ordered, left = set(), [], found
    while left:
        waiting = []
        for call in left:
            if all(id(tensor) in made for tensor in call.inputs):
                made.update(id(tensor) for tensor in call.outputs)
                ordered.append(call)
            else:
                waiting.append(call)
        if len(waiting) == len(left):
            return None
        left = waiting
    return ordered
