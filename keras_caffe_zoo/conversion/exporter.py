"""From a Keras model to a prototxt and a caffemodel."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from keras_caffe_zoo.arithmetic import axes
from keras_caffe_zoo.caffe import Layer, Net, write_caffemodel, write_prototxt
from keras_caffe_zoo.conversion.naming import named_outputs
from keras_caffe_zoo.conversion.rebuilding import functional
from keras_caffe_zoo.conversion.sizes import Sizes
from keras_caffe_zoo.conversion.walk import Call
from keras_caffe_zoo.conversion.wiring import Wiring
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.data import input_layer, silence_layer
from keras_caffe_zoo.rules.merge import copy_layer
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.python import name_python_layers
from keras_caffe_zoo.rules.registry import is_input, rule_for
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
            the model leaves it open; by input name where there are several. Files for
            recurrent layers must tell how many steps and sequences there are: give
            the whole shape then, `(T, N, …)`. The number of other items is 1 unless a
            whole shape, or a constant of the model, says otherwise.

    Raises:
        ValueError: If the model has layers that Caffe does not have; names all of them
            and says why. Also if `input_shape` is needed or does not fit. Then no file
            is written.
        OSError: If a file cannot be written.

    Example:
        >>> x = keras.Input((8, 8, 3), name="data")
        >>> y = kcz.CaffeConv2D(4, kernel_size=3, activation="relu", name="conv1")(x)
        >>> kcz.to_caffe(keras.Model(x, y), "net.prototxt", "net.caffemodel")
        >>> from keras_caffe_zoo.caffe import read_prototxt
        >>> net = read_prototxt("net.prototxt")
        >>> [layer.type for layer in net.layers], net.inputs
        (['Input', 'Convolution', 'ReLU'], {'data': (1, 3, 8, 8)})
        >>> kcz.read_caffemodel("net.caffemodel")["conv1"][0].shape
        (4, 3, 3, 3)
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


class OpenNet(NamedTuple):
    """A Keras model in Caffe's terms, whatever sizes it leaves open.

    Attributes:
        net: The net, whose data blobs have no shape.
        params: Its parameters by layer.
        shapes: The shapes of the data blobs, None for what is open.
        ends: The blobs that are the model's outputs, by the outputs' names.
        unwritten: What no file would tell of the layers: attributes of the nodes that
            build them, by layer.
    """

    net: Net
    params: dict[str, list[np.ndarray]]
    shapes: dict[str, tuple[int | None, ...]]
    ends: dict[str, str]
    unwritten: dict[str, dict]


def open_net(model: keras.Model) -> OpenNet:
    """Return a Keras model in Caffe's terms, whatever sizes it leaves open.

    Args:
        model: As in `to_caffe`.

    Raises:
        ValueError: If the model has layers that Caffe does not have; names all of them.
    """
    writer = _Writer(model, sized=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The settings of .* are in no file")
        net, params = writer.net()
    ends = {
        name: writer.wiring.end(tensor, name)
        for name, tensor in named_outputs(writer.model).items()
    }
    net = name_python_layers(net)
    return OpenNet(net, params, writer.shapes, ends, writer.unwritten)


class _Writer:
    """One model on its way to a Caffe net."""

    def __init__(self, model: keras.Model, input_shape=None, sized: bool = True):
        model = functional(model)
        self.model = model
        self.wiring = Wiring(model)
        steps = self.wiring.steps
        self.sizes = Sizes(model, steps, input_shape) if sized else None
        self.shapes: dict[str, tuple[int | None, ...]] = {}
        self.owners: dict[tuple, str] = {}
        self.uses = Counter(
            id(weight)
            for step in self.wiring.steps
            for weight in getattr(step.layer, "weights", ())  # `x + y` has none
        )
        self.layers: list[Layer] = []
        self.params: dict[str, list[np.ndarray]] = {}
        self.unwritten: dict[str, dict] = {}

    def net(self) -> tuple[Net, dict]:
        """Return the net and its parameters by layer name."""
        problems = []
        for step in self.wiring.steps:
            try:
                self._add(step)
            except ValueError as error:
                problems.append(str(error))
        if problems:
            raise ValueError("\n".join(problems))
        if self.sizes is not None:
            self.sizes.check()
        if self.wiring.unread:
            name = self.wiring.new_layer("unread")
            self.layers.append(silence_layer(name, self.wiring.unread))
        return Net(caffe_name(self.model.name), self.layers), self.params

    def _add(self, step: Call) -> None:
        if is_input(step.layer):
            self.layers.append(self._input(step))
        else:
            self._encode(step)
        for blob, copy in self.wiring.copies(step):
            name = self.wiring.new_layer(copy)
            self.layers.append(copy_layer(name, blob, copy))

    def _encode(self, step: Call) -> None:
        rule = rule_for(step.layer)
        if rule.left_out:
            _check_flatten(step, self.wiring.is_left_out(step))
        if self.wiring.is_left_out(step):
            return
        target = Target(
            step.layer,
            step.inputs,
            step.outputs,
            self.wiring.bottoms(step),
            self.wiring.tops(step),
            self.wiring.new_layer,
            self.wiring.new_blob,
            name=self.wiring.name(step),
            rule=rule,
        )
        rule.encode(target)
        self.unwritten[target.name] = rule.unwritten(step.layer)
        self._give_params(target)
        self.layers += target.layers

    def _input(self, step: Call) -> Layer:
        (tensor,) = step.outputs
        name, tops = self.wiring.name(step), self.wiring.tops(step)
        if self.sizes is None:
            self.shapes |= dict.fromkeys(tops, axes.caffe_shape(tensor.shape))
            return input_layer(name, tops)
        shape = axes.caffe_shape(self.sizes.shape(tensor))
        return input_layer(name, tops, [shape])

    def _give_params(self, target: Target) -> None:
        weights = target.layer.weights
        if all(weight.dtype == "uint32" for weight in weights):
            return  # none, or the state of a dropout's random numbers
        params = target.rule.params(target.layer)
        for layer, blobs in zip(target.layers, params, strict=False):
            self.params[layer.name] = blobs
        is_shared = [self.uses[id(weight)] > 1 for weight in weights]
        if target.rule.own_params(target.layer):
            if all(is_shared):
                self._share_own(target, len(params))
        elif any(is_shared):
            for i, weight in enumerate(weights):
                name = f"{target.name}/{i}"
                shared = (
                    self.owners.setdefault(id(weight), name) if is_shared[i] else ""
                )
                target.layers[0].message.param.add(name=shared)

    def _share_own(self, target: Target, count: int) -> None:
        """Name the blobs of the first layers, which are not Keras' weights."""
        for at, layer in enumerate(target.layers[:count]):
            for i in range(len(self.params[layer.name])):
                key = (id(target.layer), at, i)
                name = self.owners.setdefault(key, f"{layer.name}/{i}")
                layer.message.param.add(name=name)


def _check_flatten(step: Call, left_out: bool) -> None:
    shape = step.inputs[0].shape
    is_image = len(shape) == 4 and shape[3] != 1 and tuple(shape[1:3]) != (1, 1)
    first = step.layer.data_format == "channels_first" and len(shape) > 2
    if first or (is_image and not left_out):
        raise ValueError(
            "Expected Flatten before Dense layers only, and of channels that are last, "
            "since Caffe flattens in another order; received: layer "
            f"'{caffe_name(step.layer.name)}', which flattens {tuple(shape)}. Use "
            "CaffeFlatten."
        )
