"""Keras models that answer to Caffe's names, and know which layer holds which blob."""

import os

import keras
import numpy as np

from keras_caffe_zoo.conversion.sharing import tie
from keras_caffe_zoo.lazy import register_classes
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules.names import caffe_name, keras_name, twin_name
from keras_caffe_zoo.rules.registry import rule_for

_PACKAGE = "keras_caffe_zoo"
# Keras' error where nobody has registered our classes shows a model's config, from end
# to end: so it begins and ends with what to do.
_NEEDS = "import keras_caffe_zoo before keras.saving.load_model"


@keras.saving.register_keras_serializable(package=_PACKAGE)
class ZooModel(keras.Model):
    """A functional model whose layers answer to Caffe's names.

    In every respect a `keras.Model`. Besides, `get_layer` takes Caffe's name of a layer
    as well as Keras', and `export` asks for no call before.
    """

    def get_layer(self, name=None, index=None):
        """Return a layer by its name, Caffe's or Keras', or by its index.

        Raises:
            ValueError: If there is none, or not just one of `name` and `index` is
                given; like `keras.Model.get_layer`.
        """
        if not isinstance(name, str) or index is not None:
            return super().get_layer(name, index)
        return named_layer(self, name)

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Export the model, like `keras.Model.export`, though it was never called."""
        call_once(self)
        super().export(os.fspath(filepath), format=format, **kwargs)

    def get_config(self):
        return {"needs": _NEEDS, **super().get_config()}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = {key: value for key, value in config.items() if key != "needs"}
        return super().from_config(config, custom_objects=custom_objects)

    def get_build_config(self):
        return {**(super().get_build_config() or {}), "needs": _NEEDS}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class CaffeModel(ZooModel):
    """A functional model imported from Caffe.

    In every respect a `ZooModel`. Besides, `caffe_blobs` maps the name of each of
    Caffe's blobs to `[layer name, output index]` of the Keras layer that wrote it last:
    a ReLU in place makes the blob `fc7` the output of the layer `relu7`.
    `shared_params` lists the weights that are other layers' too, `[layer, index, owner,
    owner's index]`. `folded` has what `fold` has left of names that it took away, the
    `[layer name, output index]` with the same values, or the layer that the work went
    into and `None`. All are saved and loaded with the model, and copied by
    `CaffeModel.from_config(model.get_config())` (`keras.models.clone_model` knows
    none of them).
    """

    caffe_blobs: dict = {}
    shared_params: list = []
    folded: dict = {}

    def predict(self, x, *args, **kwargs):
        """Return the outputs for an input, like `keras.Model.predict`.

        Where the first axis is no batch that may be cut (inputs of different length,
        a net that mixes its items, an output without axes), all is computed at once.
        Rows that begin with the number of their item count through all batches.
        """
        arrays = keras.tree.flatten(x)
        if all(hasattr(a, "shape") for a in arrays) and self._is_whole(arrays):
            return self.predict_on_batch(x)
        found = super().predict(x, *args, **kwargs)
        for tensor, array in zip(self.outputs, keras.tree.flatten(found), strict=True):
            if _rows_of(tensor) == "of one item":
                array[..., 0] = np.arange(len(array))[:, None]
        return found

    def _is_whole(self, arrays) -> bool:
        sizes = {tuple(a.shape)[:1] for a in arrays}
        fixed = any(len(i.shape) and i.shape[0] is not None for i in self.inputs)
        mixed = any(rule_for(layer).rows == "of all items" for layer in self.layers)
        bare = any(not len(y.shape) for y in self.outputs)
        return len(sizes) > 1 or fixed or mixed or bare

    def get_config(self):
        blobs = {name: list(place) for name, place in self.caffe_blobs.items()}
        ties = [list(tie) for tie in self.shared_params]
        config = super().get_config()
        config = {**config, "caffe_blobs": blobs, "shared_params": ties}
        folded = {name: list(place) for name, place in self.folded.items()}
        return {**config, "folded": folded} if folded else config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        blobs = config.pop("caffe_blobs", {})
        ties = config.pop("shared_params", [])
        folded = config.pop("folded", {})
        model = super().from_config(config, custom_objects=custom_objects)
        model.remember(blobs, ties, folded)
        return model

    def remember(self, blobs: dict, ties: list, folded: dict | None = None) -> None:
        """Take in where Caffe's blobs are, and share what is to be shared."""
        tie(self, ties)
        self.caffe_blobs, self.shared_params = blobs, ties
        self.folded = folded or {}


def _rows_of(tensor) -> str:
    return rule_for(tensor._keras_history.operation).rows


def call_once(model: keras.Model) -> keras.Model:
    """Return a functional model that was called, for which Keras' exporters ask.

    The call is of symbols, in the shapes that the model has: nothing is computed.
    """
    if not getattr(model, "_called", False):
        specs = (keras.KerasTensor(t.shape, t.dtype) for t in model.inputs)
        model(keras.tree.pack_sequence_as(model._inputs_struct, list(specs)))
    return model


def derived(model: keras.Model, inputs, outputs, name: str) -> keras.Model:
    """Return a functional model that is made of another, and can be exported at once.

    It is a `ZooModel`, if the other is one or has layers of this package; else Keras'
    own, which opens where this package is not installed.

    Args:
        model: The other.
        inputs: As for `keras.Model`, like `outputs`.
        outputs: The outputs.
        name: The new model's name.
    """
    if isinstance(model, ZooModel) or any(map(_is_ours, model.layers)):
        return ZooModel(inputs, outputs, name=name)
    return call_once(keras.Model(inputs, outputs, name=name))


def _is_ours(layer) -> bool:
    name = keras.saving.get_registered_name(type(layer))
    return isinstance(name, str) and name.startswith(f"{_PACKAGE}>")


def named_layer(model: keras.Model, name: str):
    """Return the layer of a model that has a name, Caffe's or Keras'.

    Args:
        model: Any functional or sequential model.
        name: Caffe's name, `fire9/concat`, or Keras', `fire9>concat`.

    Raises:
        ValueError: If there is none.
    """
    layers = {layer.name: layer for layer in model.layers}
    for candidate in (name, keras_name(name)):
        if candidate in layers:
            return layers[candidate]
    known = list(map(caffe_name, layers))
    raise ValueError(
        f"'{model.name}' has no layer {name!r}. {there_are(known, caffe_name(name))}."
    )


def blob_tensor(model: keras.Model, name: str):
    """Return the symbolic tensor of a Caffe blob, or of the layer of that name.

    Args:
        model: An imported model, a builder's, or any functional model.
        name: Caffe's name of a blob or layer; Keras' own name of the layer will do.

    Raises:
        ValueError: If the model has neither.
    """
    blobs, folded = getattr(model, "caffe_blobs", {}), getattr(model, "folded", {})
    if isinstance(model, CaffeModel) and not blobs and not folded:
        raise ValueError(
            f"Expected a model that knows Caffe's blobs; received: '{model.name}', "
            "which keras.models.clone_model made without them. Use "
            "CaffeModel.from_config(model.get_config()) and set_weights."
        )
    found = find_tensor(model, name)
    if found is not None:
        return found
    for candidate in _candidates(name):
        if candidate in folded:
            where = caffe_name(folded[candidate][0])
            raise ValueError(
                f"Expected a blob or layer of '{model.name}'; received: {name!r}, "
                f"which fold has worked into '{where}'. Take it from the model before "
                "fold."
            )
    known = list(blobs) or [caffe_name(layer.name) for layer in model.layers]
    raise ValueError(
        f"'{model.name}' has no blob or layer {name!r}. "
        f"{there_are(known, caffe_name(name))}."
    )


def find_tensor(model: keras.Model, name: str):
    """Return the tensor of a blob or layer, like `blob_tensor`; `None` if it has none.

    Args:
        model: As for `blob_tensor`, like `name`.
        name: The name.
    """
    layers = {layer.name: layer for layer in model.layers}
    places = [getattr(model, "caffe_blobs", {}), getattr(model, "folded", {})]
    for candidate in (name, twin_name(name)):
        if candidate in places[0]:
            return _output(layers, places[0][candidate])
    for candidate in _candidates(name):
        if candidate in layers:
            return layers[candidate].output
    for candidate in _candidates(name):
        if places[1].get(candidate, [name, None])[1] is not None:
            return _output(layers, places[1][candidate])
    return None


def _candidates(name: str) -> tuple[str, ...]:
    """Return the names that a layer may have in Keras."""
    return name, keras_name(name), twin_name(name), keras_name(twin_name(name))


def _output(layers: dict, place: list):
    layer, index = place
    return keras.tree.flatten(layers[layer].output)[index]


register_classes(__name__)
