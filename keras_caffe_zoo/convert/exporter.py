"""From a Keras model to a prototxt and a caffemodel."""

import os
from collections import Counter
from collections.abc import Mapping

import keras
import numpy as np

from keras_caffe_zoo.caffe import Layer, Net, write_caffemodel, write_prototxt
from keras_caffe_zoo.convert.walk import calls
from keras_caffe_zoo.layers import _blobs
from keras_caffe_zoo.rules.data import input_layer
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import rule_for, traits_of
from keras_caffe_zoo.rules.target import Target

PathLike = str | os.PathLike


def to_caffe(
    model: keras.Model,
    prototxt: PathLike,
    caffemodel: PathLike,
    *,
    input_shape: tuple | Mapping[str, tuple] | None = None,
) -> None:
    """Write a Keras model as files that Caffe 1.0 loads (V2).

    Args:
        model: A functional or sequential model of layers that Caffe has: those of this
            package, and Keras' own where they compute the same.
        prototxt: The definition to write.
        caffemodel: The weights to write.
        input_shape: Shape of one item in Keras layout, `(H, W, C)` for images, where
            the model leaves it open; by input name where there are several.

    Raises:
        ValueError: If the model has layers that Caffe does not have; names all of them
            and says why. Then no file is written.
        OSError: If a file cannot be written.
    """
    net, params = caffe_net(model, input_shape=input_shape)
    write_caffemodel(caffemodel, params, net=net)
    write_prototxt(prototxt, net)


def caffe_net(
    model: keras.Model, *, input_shape: tuple | Mapping[str, tuple] | None = None
) -> tuple[Net, dict[str, list[np.ndarray]]]:
    """Return a Keras model in Caffe's terms: the net, and its parameters by layer.

    Args:
        model: As in `to_caffe`, like `input_shape`.
        input_shape: As in `to_caffe`.

    Raises:
        ValueError: As `to_caffe`.
    """
    return _Writer(model, input_shape).net()


class _Writer:
    """One model on its way to a Caffe net."""

    def __init__(self, model: keras.Model, input_shape):
        if isinstance(model, keras.Sequential):
            model = keras.Model(model.inputs, model.outputs, name=model.name)
        if not hasattr(model, "_nodes_by_depth"):
            raise ValueError(
                "Expected a functional or sequential model; received: "
                f"'{model.name}' ({type(model).__name__}), whose layers are not known "
                "to Keras."
            )
        self.model = model
        self.calls = list(calls(model))
        self.shapes = self._given_shapes(input_shape)
        self.readers = {}
        for call in self.calls:
            for tensor in call.inputs:
                self.readers.setdefault(id(tensor), []).append(call)
        self.blobs = self._names()
        self.owners = self._shared_weights()
        self.layers: list[Layer] = []
        self.params: dict[str, list[np.ndarray]] = {}

    def net(self) -> tuple[Net, dict]:
        """Return the net and its parameters by layer name."""
        problems = []
        for call in self.calls:
            try:
                self._add(call)
            except ValueError as error:
                problems.append(str(error))
        if problems:
            raise ValueError("\n".join(problems))
        return Net(caffe_name(self.model.name), self.layers), self.params

    def _given_shapes(self, given) -> dict[str, tuple]:
        if given is None or isinstance(given, Mapping):
            return dict(given or {})
        return {self.model.inputs[0].name: tuple(given)}

    def _names(self) -> dict[int, str]:
        """Return Caffe's name for the blob that each tensor is.

        A layer that works in place gives its blob the name of the one it reads. The
        names that an imported model remembers go before.
        """
        names = self._remembered()
        for call in self.calls:
            for i, tensor in enumerate(call.outputs):
                if id(tensor) in names:
                    continue
                if self._passes_on(call):
                    names[id(tensor)] = names[id(call.inputs[0])]
                    continue
                name = caffe_name(call.layer.name) + self._repeat(call)
                names[id(tensor)] = f"{name}_{i}" if len(call.outputs) > 1 else name
        return names

    def _remembered(self) -> dict[int, str]:
        blobs = getattr(self.model, "caffe_blobs", {})
        kept = {tuple(place): blob for blob, place in blobs.items()}
        names = {}
        for call in reversed(self.calls):
            for i, tensor in enumerate(call.outputs):
                name = kept.get((call.layer.name, i))
                for reader in self.readers.get(id(tensor), []):
                    if reader.inputs[0] is tensor and self._passes_on(reader):
                        name = name or names.get(id(reader.outputs[0]))
                if name is not None:
                    names[id(tensor)] = name
        return names

    def _passes_on(self, call) -> bool:
        """Tell whether a call's output is the blob that it reads (first).

        So it is of what Caffe does in place, if nobody else reads the blob.
        """
        rule = rule_for(call.layer)
        if rule.role == "silence":
            return True
        if not rule.in_place:
            return False
        (tensor,) = call.inputs
        made_by = tensor._keras_history.operation
        return (
            len(self.readers[id(tensor)]) == 1
            and not any(tensor is output for output in self.model.outputs)
            and rule_for(made_by).role != "input"
            and not _flattens(made_by)
        )

    def _repeat(self, call) -> str:
        """Return what tells a layer's later calls from its first."""
        same = [other for other in self.calls if other.layer is call.layer]
        index = next(i for i, other in enumerate(same) if other is call)
        return f"_{index + 1}" if index else ""

    def _add(self, call) -> None:
        layer = call.layer
        rule = rule_for(layer)
        if rule.role == "input":
            self.layers.append(self._input(call))
            return
        if _flattens(layer):
            self._pass_on(call)
            return
        target = Target(
            layer,
            call.inputs,
            call.outputs,
            [self.blobs[id(tensor)] for tensor in call.inputs],
            [self.blobs[id(tensor)] for tensor in call.outputs],
            name=caffe_name(layer.name) + self._repeat(call),
            rule=rule,
        )
        rule.encode(target)
        self._give_params(target)
        self.layers += target.layers

    def _input(self, call) -> Layer:
        (tensor,) = call.outputs
        shape = (tensor.shape[0], *self.shapes.get(tensor.name, tensor.shape[1:]))
        sizes = [1 if shape[0] is None else shape[0], *shape[1:]]
        if None in sizes:
            raise ValueError(
                f"Expected the size of input '{tensor.name}', which Caffe's files must "
                f"tell; received shape {shape}. Pass input_shape=…"
            )
        blob = self.blobs[id(tensor)]
        return input_layer(blob, [blob], [_blobs.caffe_shape(sizes)])

    def _pass_on(self, call) -> None:
        """Leave a Flatten out: an InnerProduct flattens by itself, in Caffe's order."""
        (source,), (tensor,) = call.inputs, call.outputs
        for reader in self._readers_behind(tensor):
            if (
                not self._is_inner_product(reader)
                and max(source.shape[1:-1], default=1) != 1
            ):
                raise ValueError(
                    "Expected Flatten before Dense layers only, since Caffe flattens "
                    f"in another order; received: layer '{call.layer.name}' before "
                    f"'{reader.layer.name}' ({type(reader.layer).__name__})."
                )
        self.blobs[id(tensor)] = self.blobs[id(source)]

    def _readers_behind(self, tensor):
        for reader in self.readers.get(id(tensor), []):
            if self._stays_flat(reader):
                yield from self._readers_behind(reader.outputs[0])
            else:
                yield reader

    @staticmethod
    def _is_inner_product(call) -> bool:
        """Tell whether a call reads a vector by a kernel whose rows can be ordered."""
        flat = len(call.inputs[0].shape) == 2
        return flat and traits_of(call.layer).outputs == "units"

    @staticmethod
    def _stays_flat(call) -> bool:
        """Tell whether a call's values stand as those it reads, one for one."""
        alone = len(call.inputs) == 1 and not call.layer.weights
        traits = traits_of(call.layer)
        by_value = (traits.places, traits.order) == ("kept", "kept")
        return alone and by_value and traits.activation != "softmax"

    def _shared_weights(self) -> dict[int, str]:
        """Return a name for each variable that several calls use."""
        uses = Counter(
            id(weight) for call in self.calls for weight in call.layer.weights
        )
        owners = {}
        for call in self.calls:
            for i, weight in enumerate(call.layer.weights):
                if uses[id(weight)] > 1:
                    name = f"{caffe_name(call.layer.name)}/{i}"
                    owners.setdefault(id(weight), name)
        return owners

    def _give_params(self, target: Target) -> None:
        weights = target.layer.weights
        if all(weight.dtype == "uint32" for weight in weights):
            return  # none, or the state of a dropout's random numbers
        self.params |= target.rule.params(target.layer, target.name)
        names = [self.owners.get(id(weight), "") for weight in weights]
        if any(names):  # by which Caffe's layers share their parameters
            for name in names:
                target.layers[0].message.param.add(name=name)


def _flattens(layer: keras.Layer) -> bool:
    """Tell whether a layer flattens in Keras' order, which Caffe has no layer for."""
    return traits_of(layer).order == "flattened"
