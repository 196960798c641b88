"""A functional model once more, with other layers in places."""

from __future__ import annotations

from collections.abc import Callable

from keras_caffe_zoo.lazy import caffe_model, keras


def functional(model: keras.Model) -> keras.Model:
    """Return a model whose graph Keras knows, of a functional or sequential one.

    Raises:
        ValueError: If it is neither, or not built.
    """
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if isinstance(model, keras.Sequential):
        raise ValueError(
            f"Expected a model that knows its input; received: '{model.name}', which "
            "is not built. Begin it with keras.Input(…), or call it"
        )
    if not hasattr(model, "_nodes_by_depth"):
        name = getattr(model, "name", model)
        raise ValueError(
            "Expected a functional or sequential model; received: "
            f"'{name}' ({type(model).__name__}), whose layers are not known to Keras."
        )
    return model


def same(layer: keras.Layer, **changes) -> keras.Layer:
    """Return a new layer of a layer's configuration, with some of it changed."""
    return layer.__class__.from_config({**layer.get_config(), **changes})


def rebuilt(
    model: keras.Model, make: Callable[[keras.Layer], keras.Layer | None]
) -> keras.Model:
    """Return a model of new layers, and of weights of its own.

    Args:
        model: A functional model.
        make: Returns the new layer for one of the model's; `None` for one that goes,
            so that what read it reads what it read. A new layer that has the weights'
            shapes of the old one gets the weights, too.

    Returns:
        A model that knows nothing of Caffe's blobs: see `remembering`.
    """
    pairs = []

    def clone(layer):
        new = make(layer)
        pairs.append((new, layer))
        return _Gone(layer.name) if new is None else new

    def call(layer, *args, **kwargs):
        return args[0] if isinstance(layer, _Gone) else layer(*args, **kwargs)

    plain = keras.Model(model.input, model.output, name=model.name)
    new = keras.models.clone_model(plain, clone_function=clone, call_function=call)
    for layer, old in pairs:
        _give_weights(layer, old)
    return new


def remembering(
    new: keras.Model, model: keras.Model, blobs: dict, ties: list, folded: dict
) -> keras.Model:
    """Return a rebuilt model that knows what `CaffeModel` does, if there is any of it.

    Args:
        new: The rebuilt model.
        model: What it was rebuilt of.
        blobs: Its `caffe_blobs`.
        ties: Its `shared_params`.
        folded: Its `folded`.
    """
    if not (isinstance(model, caffe_model.CaffeModel) or blobs or folded):
        return caffe_model.derived(model, new.input, new.output, model.name)
    new = caffe_model.CaffeModel(new.input, new.output, name=model.name)
    new.remember(blobs, ties, folded)
    return new


class _Gone:
    """Stands in for a layer that is left out."""

    def __init__(self, name: str):
        self.name = name


def _give_weights(layer, old) -> None:
    ours, theirs = getattr(layer, "weights", ()), getattr(old, "weights", ())
    if [w.shape for w in ours] == [w.shape for w in theirs]:
        for new, weight in zip(ours, theirs, strict=True):
            new.assign(weight)
