"""Parameters of Keras layers as Caffe's blobs, and back.

`caffe_params` is what `net.params` was to pycaffe: arrays in Caffe's layout by Caffe's
layer names. Each layer's rule says how its weights are blobs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from keras_caffe_zoo.lazy import keras, ops
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules import layout
from keras_caffe_zoo.rules.names import caffe_name, twin_name
from keras_caffe_zoo.rules.registry import codec_of

Arrays = list[np.ndarray]


def caffe_params(model: keras.Model) -> dict[str, Arrays]:
    """Return a model's parameters as pycaffe's `net.params` would show them.

    Args:
        model: A model of Caffe's kinds of layers.

    Returns:
        Caffe layer name to float32 arrays in Caffe's layout, in the model's order.

    Raises:
        ValueError: If a layer with weights is of a kind that Caffe does not have.

    Example:
        >>> x = keras.Input((8, 8, 3))
        >>> model = keras.Model(x, kcz.CaffeConv2D(4, (3, 5), name="conv1")(x))
        >>> tuple(model.get_layer("conv1").kernel.shape)  # Keras' layout
        (3, 5, 3, 4)
        >>> [blob.shape for blob in kcz.caffe_params(model)["conv1"]]  # Caffe's
        [(4, 3, 3, 5), (4,)]
    """
    params = {}
    for layer in layers_with_weights(model):
        arrays = [ops.convert_to_numpy(w).astype("float32") for w in layer.weights]
        params[caffe_name(layer.name)] = codec_of(layer).encode(layer, arrays)
    return params


def set_caffe_params(
    model: keras.Model, params: Mapping[str, Sequence[np.ndarray]]
) -> None:
    """Set parameters of a model from arrays in Caffe's layout.

    A layer takes the arrays of its own name, or of its twin's (`fc6-conv` for `fc6`).
    Shapes may differ by a reshape, as in Caffe's net surgery: an InnerProduct's weights
    fit the convolution that does the same. Layers that `params` does not name keep
    their values. Either all of `params` is set or nothing.

    Args:
        model: A model of Caffe's kinds of layers.
        params: Caffe layer name, or Keras' own, to arrays in Caffe's layout.

    Raises:
        ValueError: If a name or a shape does not fit; names the layer and both shapes.

    Example:
        >>> x = keras.Input((1, 1, 2))
        >>> model = keras.Model(x, kcz.CaffeConv2D(1, 1, name="fc8-conv")(x))
        >>> inner_product = [np.array([[1.0, 10.0]]), np.array([0.5])]
        >>> kcz.set_caffe_params(model, {"fc8": inner_product})  # net surgery
        >>> float(model(np.array([[[[3.0, 4.0]]]]))[0, 0, 0, 0])  # 3 + 40 + 0.5
        43.5
    """
    layers = {caffe_name(layer.name): layer for layer in layers_with_weights(model)}
    plan = []
    for name, blobs in params.items():
        own = name if name in layers else caffe_name(name)  # or Keras' name of it
        layer = layers.get(own) or layers.get(twin_name(own))
        if layer is None:
            raise ValueError(
                f"The model has no layer {name!r} with parameters. Leave it out. "
                f"{there_are(layers, caffe_name(name))}."
            )
        arrays = codec_of(layer).decode(layer, [np.asarray(blob) for blob in blobs])
        plan.append((layer, fitted(layer, arrays, [np.shape(b) for b in blobs])))
    for layer, arrays in plan:
        assign(layer, arrays)


def layers_with_weights(model: keras.Model) -> list[keras.Layer]:
    """Return the layers that hold learned parameters, in the model's order."""
    # A dropout layer's only weight is the state of its random numbers.
    return [
        layer
        for layer in model.layers
        if any(w.dtype != "uint32" for w in layer.weights)
    ]


def fitted(layer: keras.Layer, arrays: Arrays, shapes: Sequence[tuple]) -> Arrays:
    """Return `arrays` in the exact shapes of a layer's weights.

    Args:
        layer: The layer.
        arrays: Its new weights in Keras layout.
        shapes: The shapes they had where they came from, for the error.

    Raises:
        ValueError: If number or shapes do not fit.
    """
    targets = [tuple(w.shape) for w in layer.weights]
    if len(arrays) != len(targets) or not all(
        layout.fits_by_reshape(a.shape, t) for a, t in zip(arrays, targets, strict=True)
    ):
        raise ValueError(
            f"Expected weights of the shapes {targets} (Keras layout) for layer "
            f"'{caffe_name(layer.name)}'; received: {[a.shape for a in arrays]}, "
            f"which are {list(shapes)} in the source."
        )
    return [a.reshape(t) for a, t in zip(arrays, targets, strict=True)]


def assign(layer: keras.Layer, arrays: Arrays) -> None:
    """Assign arrays that fit, one by one, so that no second copy of all is needed."""
    for variable, array in zip(layer.weights, arrays, strict=True):
        variable.assign(array)
