"""A twin of a model that predicts the same with fewer layers."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.arithmetic.affine import scale_inputs, scale_outputs
from keras_caffe_zoo.conversion.chains import Chain, Chains
from keras_caffe_zoo.conversion.rebuilding import (
    functional,
    rebuilt,
    remembering,
    same,
)
from keras_caffe_zoo.lazy import keras, ops
from keras_caffe_zoo.rules.registry import is_input, rule_for


def fold(model: keras.Model) -> keras.Model:
    """Return a twin of a model that predicts the same with fewer layers.

    BatchNorm, Scale, Bias and other layers with a factor and an offset for each channel
    go into the weights of the convolution, deconvolution or inner product before them
    (or after them, where no window reaches beyond the map); a ReLU becomes the
    activation of the layer before it; Dropout, Split and what else does nothing go.
    What something else reads too, what is an output, or shares its weights, stays as it
    is, and so do BatchNorm layers that take the batch's statistics and layers that
    no rule knows.

    The outputs are the model's to float32 rounding: the new weights are computed in
    float64 and rounded once. Kernels that compute in bfloat16 are kept in it, where
    the model rounds them at each call. The twin has weights of its own; what trains one
    does not change the other.

    Args:
        model: A functional or sequential model.

    Returns:
        A `keras.Model` with the same inputs and outputs. A layer, or one of Caffe's
        blobs, that it still has by its name has the same values as in `model`; for
        others `feature_extractor` says what they went into.

    Raises:
        ValueError: If the model is not functional.

    Example:
        >>> x = keras.Input((8, 8, 3))
        >>> y = kcz.CaffeConv2D(4, kernel_size=3)(x)
        >>> y = keras.layers.ReLU()(keras.layers.BatchNormalization()(y))
        >>> model = keras.Model(x, y)
        >>> folded = kcz.fold(model)
        >>> len(model.layers), len(folded.layers)  # the input and the convolution
        (4, 2)
        >>> image = np.random.default_rng(0).normal(size=(1, 8, 8, 3))
        >>> np.allclose(model(image), folded(image), atol=1e-6)
        True
    """
    model = functional(model)
    return _Twin(model, Chains(model)).model()


def folded_if_faster(model: keras.Model) -> keras.Model:
    """Return the twin of a model, or the model itself if that computes no less.

    Args:
        model: A functional or sequential model.
    """
    known = functional(model)
    chains = Chains(known)
    computes_less = chains.found or any(map(_stored_type, known.layers))
    return _Twin(known, chains).model() if computes_less else model


class _Twin:
    """The twin of a model in the making: its layers, and what is called how."""

    def __init__(self, model: keras.Model, chains: Chains):
        self._model, self._chains = model, chains

    def model(self) -> keras.Model:
        """Return the twin."""
        made = {id(chain.call.layer): chain for chain in self._chains.found}
        new_weights = []

        def make(layer):
            if id(layer) in self._chains.left_out:
                return None
            if id(layer) not in made:
                return same(layer, **_stored_type(layer))
            new, weights = _folded(made[id(layer)])
            new_weights.append((new, weights))
            return new

        twin = rebuilt(self._model, make)
        for layer, weights in new_weights:
            for variable, array in zip(layer.weights, weights, strict=True):
                variable.assign(array)
        places = self._places()
        known = (self._blobs(places), self._ties(twin), self._gone(places))
        return remembering(twin, self._model, *known)

    def _places(self) -> dict[int, list]:
        """Return `[layer, output index]` of each tensor in the twin.

        Of one that is gone it is the layer that it went into, and `None`.
        """
        chains = {id(chain.call.layer): chain for chain in self._chains.found}
        places: dict[int, list] = {}
        for chain in self._chains.found:
            for call in chain.gone:
                places[id(call.outputs[0])] = [chain.name, None]
        for call in self._chains.calls:
            chain = chains.get(id(call.layer))
            if chain is not None:
                places[id(call.outputs[0])] = [chain.name, None]
                places.update({id(y): [chain.name, 0] for y in chain.ends})
            elif id(call.layer) not in self._chains.left_out:
                for i, y in enumerate(call.outputs):
                    places[id(y)] = [call.layer.name, i]
            elif id(call.outputs[0]) not in places:
                places[id(call.outputs[0])] = places[id(call.inputs[0])]
        return places

    def _blobs(self, places: dict) -> dict:
        """Return where Caffe's blobs are in the twin, but for those that are gone."""
        found = {}
        for blob, (name, index) in self._own_blobs.items():
            place = self._place(name, index, places)
            if place[1] is not None:
                found[blob] = place
        return found

    @property
    def _own_blobs(self) -> dict:
        return getattr(self._model, "caffe_blobs", {})

    def _place(self, name: str, index: int, places: dict) -> list:
        layer = self._model.get_layer(name)
        (call, *others) = [call for call in self._chains.calls if call.layer is layer]
        return [name, index] if others else places[id(call.outputs[index])]

    def _gone(self, places: dict) -> dict:
        """Return what has become of names that the twin has no more."""
        blobs = {
            blob: self._place(name, index, places)
            for blob, (name, index) in self._own_blobs.items()
        }
        gone = {name: place for name, place in blobs.items() if place[1] is None}
        gone |= getattr(self._model, "folded", {})
        for call in self._chains.calls:
            name, place = call.layer.name, places[id(call.outputs[0])]
            alone = self._chains.times[id(call.layer)] == 1
            if alone and place != [name, 0] and not is_input(call.layer):
                gone.setdefault(name, place)
        return gone

    def _ties(self, twin: keras.Model) -> list:
        kept = {layer.name for layer in twin.layers}
        ties = getattr(self._model, "shared_params", [])
        return [list(tie) for tie in ties if {tie[0], tie[2]} <= kept]


def _folded(chain: Chain) -> tuple[keras.Layer, list[np.ndarray]]:
    """Return the layer that does the work of a chain, and its weights."""
    layer, (x,) = chain.call.layer, chain.call.inputs
    arrays = [ops.convert_to_numpy(w).astype("float64") for w in layer.weights]
    kernel = np.ascontiguousarray(arrays[0])
    view = rule_for(layer).by_channel(layer, x, kernel)
    added = scale_inputs(view, chain.before)
    scale_outputs(view, chain.after)
    bias = arrays[1] if layer.use_bias else 0.0
    bias = (bias + added) * chain.after.factor + chain.after.offset
    # Of zeros, too: TensorFlow merges a convolution with bias and ReLU together.
    changes = {"name": chain.name, "use_bias": True, **_stored_type(layer)}
    if chain.function is not None:
        changes["activation"] = chain.function
    return same(layer, **changes), [kernel, bias]


def _stored_type(layer) -> dict[str, str]:
    """Return the type for the weights of a kernel that is rounded at each call."""
    policy = getattr(layer, "dtype_policy", None)
    if policy is None or policy.name != "mixed_bfloat16":
        return {}
    return {"dtype": "bfloat16"} if rule_for(layer).precision == "reduced" else {}
