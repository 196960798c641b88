"""The sizes of a model's inputs, all of which Caffe's files must tell."""

from __future__ import annotations

from collections.abc import Mapping

from keras_caffe_zoo.conversion.walk import Call
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import rule_for


class Sizes:
    """The shapes of a model's inputs as a file is to tell them.

    Args:
        model: The model.
        steps: What it does.
        given: `input_shape` of `to_caffe`.

    Raises:
        ValueError: If `given` does not fit the model.
    """

    def __init__(self, model: keras.Model, steps: list[Call], given):
        self._model, self._steps = model, steps
        self._timed = _inputs_behind_time(steps)
        self._shapes = {id(x): tuple(x.shape) for x in model.inputs}
        for name, shape in self._by_name(given).items():
            tensor = self._input(name)
            self._shapes[id(tensor)] = _filled(tensor, tuple(shape))
        self._items = self._number_of_items()

    def shape(self, tensor) -> tuple[int, ...]:
        """Return an input's shape, in Keras' order of axes.

        The number of items is 1 where the model leaves it open.

        Raises:
            ValueError: If a size is not known.
        """
        shape = self._shapes[id(tensor)]
        is_timed = id(tensor) in self._timed
        if shape and shape[0] is None and not is_timed:
            shape = (self._items, *shape[1:])
        if None in shape:
            name = caffe_name(tensor.name)
            whole = f"{{'{name}': the whole shape, (T, N, …)}}" * is_timed
            raise ValueError(
                f"Expected the size of input '{name}', which Caffe's files must "
                f"tell; received shape {shape}. Pass input_shape={whole or '…'}"
            )
        return shape

    def check(self) -> None:
        """Check that layers which Caffe gives no choice get inputs of one shape.

        Raises:
            ValueError: Naming the first layer that does not.
        """
        tensors = {id(y): y for step in self._steps for y in step.outputs}
        shapes = [self.shape(x) for x in self._model.inputs]
        graph = keras.Function(self._model.inputs, list(tensors.values()))
        inputs = [
            keras.KerasTensor(shape, x.dtype)
            for shape, x in zip(shapes, self._model.inputs, strict=True)
        ]
        said = {
            caffe_name(x.name): s
            for x, s in zip(self._model.inputs, shapes, strict=True)
        }
        try:
            specs = graph.compute_output_spec(inputs)
        except ValueError as error:
            raise ValueError(
                f"Expected inputs that fit one another; received {said}: {error}"
            ) from error
        found = dict(zip(tensors, (tuple(spec.shape) for spec in specs), strict=True))
        for step in self._steps:
            own = [found[id(x)] for x in step.inputs]
            if _wants_one_shape(step) and len(set(own)) > 1:
                name = caffe_name(step.layer.name)
                raise ValueError(
                    f"Expected inputs of one shape for layer '{name}': Caffe does not "
                    f"broadcast; received: {own} with inputs {said}. Pass input_shape=…"
                )

    def _by_name(self, given) -> dict[str, tuple]:
        if given is None or isinstance(given, Mapping):
            return dict(given or {})
        return {self._model.inputs[0].name: tuple(given)}

    def _input(self, name: str):
        for tensor in self._model.inputs:
            if name in (tensor.name, caffe_name(tensor.name)):
                return tensor
        names = [caffe_name(tensor.name) for tensor in self._model.inputs]
        raise ValueError(
            f"`input_shape` names {name!r}, which is no input. "
            f"{there_are(names, name)}."
        )

    def _number_of_items(self) -> int:
        """Return how many items constants are made for, or 1 if there are none."""
        known = {
            x.shape[0]
            for step in self._steps
            if _wants_one_shape(step) or rule_for(step.layer).same_items
            for x in step.inputs
            if any(len(other.shape) and other.shape[0] is None for other in step.inputs)
            and len(x.shape)
        }
        known.discard(None)
        shapes = [s for key, s in self._shapes.items() if key not in self._timed]
        given = {shape[0] for shape in shapes if shape and shape[0] is not None}
        return min(known or given or {1})


def _wants_one_shape(step: Call) -> bool:
    rule = rule_for(step.layer)
    return rule.same_shapes or (rule.applies_to_each and len(step.outputs) > 1)


def _inputs_behind_time(steps: list[Call]) -> set[int]:
    """Return the inputs of which a recurrent layer is made, except for first states.

    Their first axis is time, or so long that it makes times and items.
    """
    needed: set[int] = set()
    for step in reversed(steps):
        timed = rule_for(step.layer).timed_inputs(step.layer)
        if timed:
            needed.update(id(x) for x in step.inputs[:timed])
        elif any(id(y) in needed for y in step.outputs):
            needed.update(id(x) for x in step.inputs)
    return needed


def _filled(tensor, shape: tuple) -> tuple:
    """Return an input's shape with the sizes that were given, of one item or of all."""
    known = tuple(tensor.shape)
    whole = shape if len(shape) == len(known) else (*known[:1], *shape)
    if len(whole) != len(known) or any(
        None not in (a, b) and a != b for a, b in zip(known, whole, strict=True)
    ):
        raise ValueError(
            f"Expected `input_shape` that fits input '{caffe_name(tensor.name)}' of "
            f"the shape {known}, with its first axis or without; received: {shape}."
        )
    return tuple(a if b is None else b for a, b in zip(known, whole, strict=True))
