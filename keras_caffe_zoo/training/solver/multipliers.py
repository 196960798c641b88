"""Caffe's lr_mult and decay_mult, from a net's layers to a model's variables."""

from collections.abc import Mapping

import keras

from keras_caffe_zoo.caffe import CaffeFormatError, Net
from keras_caffe_zoo.conversion.params import layers_with_weights
from keras_caffe_zoo.rules.names import caffe_name, twin_name
from keras_caffe_zoo.training.solver.optimizers import Multipliers

_FIELDS = ("lr_mult", "decay_mult")


def declared(net: Net) -> dict[str, list[Multipliers]]:
    """Return what a net's definition says of each layer's parameters, by layer name.

    Parameters that a layer does not name have multipliers of 1. Of a parameter that
    layers share by its name each multiplier is what the first layer says that gives it.

    Raises:
        CaffeFormatError: If layers give a parameter that they share different ones, as
            in Caffe.

    Reference:
        `Net::AppendParam` of Caffe 1.0.
    """
    shared: dict[tuple[str, str], float] = {}
    for layer in net.layers:
        for spec in layer.message.param:
            for field in _FIELDS if spec.name else ():
                if not spec.HasField(field):
                    continue
                value = getattr(spec, field)
                known = shared.setdefault((spec.name, field), value)
                if known != value:
                    raise CaffeFormatError(
                        f"Expected {known:g}, as another layer has it for the "
                        f"parameter {spec.name!r} that they share; received: {value:g}",
                        source=net.source,
                        layer=layer.name,
                        field=f"param.{field}",
                    )

    def told(spec):
        return Multipliers(
            *(shared.get((spec.name, x), getattr(spec, x)) for x in _FIELDS)
        )

    return {layer.name: list(map(told, layer.message.param)) for layer in net.layers}


def by_variable(
    model: keras.Model, by_layer: Mapping[str, list[Multipliers]]
) -> dict[str, Multipliers]:
    """Return multipliers by `variable.path`, and freeze the layers that are all 0.

    A parameter that several layers share has those of the first.

    Args:
        model: The model; layers without a trainable parameter become untrainable.
        by_layer: Multipliers of the parameters of layers, by Caffe's names.
    """
    found = {}
    default = Multipliers()
    for layer in layers_with_weights(model):
        name = caffe_name(layer.name)
        given = by_layer.get(name, by_layer.get(twin_name(name), []))
        given = given + [default] * (len(layer.weights) - len(given))
        pairs = list(zip(layer.weights, given, strict=False))
        trained = [(w, pair) for w, pair in pairs if w.trainable]
        if trained and all(pair.lr_mult == 0 for _, pair in trained):
            layer.trainable = False  # saves its gradients
        for weight, pair in trained:
            found.setdefault(weight.path, (layer, pair))
    return {
        path: pair
        for path, (layer, pair) in found.items()
        if layer.trainable and pair != default
    }
