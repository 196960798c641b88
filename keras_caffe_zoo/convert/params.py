"""Parameters of Keras layers as Caffe's blobs, and back.

`caffe_params` is what `net.params` was to pycaffe: arrays in Caffe's layout by Caffe's
layer names. `_CODECS` has one entry for each Keras class that has parameters.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.convert import layout
from keras_caffe_zoo.convert.names import caffe_name, twin_name
from keras_caffe_zoo.layers import (
    CaffeBatchNorm,
    CaffeBias,
    CaffeConvND,
    CaffeDeconv2D,
    CaffeEmbed,
    CaffeInnerProduct,
    CaffeLSTM,
    CaffeParameter,
    CaffeRNN,
    CaffeScale,
)

Arrays = list[np.ndarray]


class _Codec(NamedTuple):
    """How one class of layer turns its weights into blobs, and blobs into weights."""

    encode: Callable[[keras.Layer, Arrays], Arrays]
    decode: Callable[[keras.Layer, Arrays], Arrays]


def caffe_params(model: keras.Model) -> dict[str, Arrays]:
    """Return a model's parameters as pycaffe's `net.params` would show them.

    Args:
        model: A model of Caffe's kinds of layers.

    Returns:
        Caffe layer name to float32 arrays in Caffe's layout, in the model's order.

    Raises:
        ValueError: If a layer with weights is of a kind that Caffe does not have.
    """
    params = {}
    for layer in layers_with_weights(model):
        arrays = [ops.convert_to_numpy(w).astype("float32") for w in layer.weights]
        params[caffe_name(layer.name)] = codec(layer).encode(layer, arrays)
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
        params: Caffe layer name to arrays in Caffe's layout.

    Raises:
        ValueError: If a name or a shape does not fit; names the layer and both shapes.
    """
    layers = {caffe_name(layer.name): layer for layer in layers_with_weights(model)}
    plan = []
    for name, blobs in params.items():
        layer = layers.get(name) or layers.get(twin_name(name))
        if layer is None:
            raise ValueError(
                f"Expected parameters of the layers {list(layers)}; received also: "
                f"{name!r}. Leave it out."
            )
        arrays = codec(layer).decode(layer, [np.asarray(blob) for blob in blobs])
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


def codec(layer: keras.Layer) -> _Codec:
    """Return how a layer's weights become blobs.

    Raises:
        ValueError: If Caffe has no such layer.
    """
    for kind, found in _CODECS.items():
        if isinstance(layer, kind):
            return found
    known = sorted(kind.__name__ for kind in _CODECS)
    raise ValueError(
        f"Expected layers with weights of the classes {known}; received layer "
        f"'{layer.name}' of class {type(layer).__name__}."
    )


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
            f"'{layer.name}'; received: {[a.shape for a in arrays]}, "
            f"which are {list(shapes)} in the source."
        )
    return [a.reshape(t) for a, t in zip(arrays, targets, strict=True)]


def assign(layer: keras.Layer, arrays: Arrays) -> None:
    """Assign arrays that fit, one by one, so that no second copy of all is needed."""
    for variable, array in zip(layer.weights, arrays, strict=True):
        variable.assign(array)


def flat_channels(layer: keras.Layer) -> int:
    """Return how many channels the blob had that a dense layer reads flattened.

    1 where the layer's input is flat from the start, or flattened in Caffe's order.
    """
    shape = tuple(layer.kernel.shape) if hasattr(layer, "kernel") else ()
    if len(shape) != 2:
        return shape[-2] if shape else 1
    tensor = layer.input
    while True:
        source = tensor._keras_history.operation
        if isinstance(source, keras.layers.Flatten | keras.layers.Reshape):
            return _flattened_channels(source)
        if not isinstance(source, _KEEPS_ORDER):
            return 1
        tensor = source.input


def _flattened_channels(flatten: keras.Layer) -> int:
    shape = flatten.input.shape
    before = flatten.input._keras_history.operation
    if len(shape) != 4 or isinstance(before, keras.layers.Permute):
        return 1
    first = getattr(flatten, "data_format", None) == "channels_first"
    return shape[1 if first else -1]


_KEEPS_ORDER = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
)


def _encode_conv(_, arrays):
    kernel, *bias = arrays
    return [np.ascontiguousarray(layout.conv_weight(kernel)), *bias]


def _encode_dense(layer, arrays):
    kernel, *bias = arrays
    return [layout.dense_weight(kernel, flat_channels(layer)), *bias]


def kernel_from_caffe(layer: keras.Layer, blobs: Arrays) -> Arrays:
    """Return Caffe's weights and bias as a kernel and bias, dense or convolutional."""
    weight, *bias = blobs
    if weight.ndim > 2:
        return [layout.conv_kernel(weight), *bias]
    channels = flat_channels(layer)
    if weight.ndim == 2 and weight.shape[1] % channels == 0:
        weight = layout.dense_kernel(weight, channels)
    return [weight, *bias]  # as it is where it cannot fit, for `fitted` to tell


def _decode_convolution_nd(_, blobs):
    weight, *bias = blobs
    return [layout.conv_kernel(weight) if weight.ndim > 1 else weight, *bias]


def _encode_inner_product(layer, arrays):
    kernel, *bias = arrays
    return [kernel.T if layer.transpose else kernel, *bias]


def _decode_inner_product(layer, blobs):
    weight, *bias = blobs
    if weight.ndim == 4:
        weight = weight.reshape(len(weight), -1)
    return [weight.T if layer.transpose else weight, *bias]


def _encode_prelu(layer, arrays):
    (alpha,) = arrays
    return [alpha.reshape(() if _is_shared(layer) else -1)]


def _decode_prelu(layer, blobs):
    (slopes,) = blobs
    shape = tuple(layer.alpha.shape)
    return [slopes.reshape(shape) if slopes.size == np.prod(shape) else slopes]


def _is_shared(layer) -> bool:
    return len(layer.shared_axes or ()) == len(layer.alpha.shape)


def _as_stored(_, arrays):
    return list(arrays)


_STORED = _Codec(_as_stored, _as_stored)

_CODECS = {
    CaffeInnerProduct: _Codec(_encode_inner_product, _decode_inner_product),
    CaffeDeconv2D: _Codec(_encode_conv, kernel_from_caffe),
    CaffeConvND: _Codec(_encode_conv, _decode_convolution_nd),
    CaffeBatchNorm: _STORED,
    CaffeScale: _STORED,
    CaffeBias: _STORED,
    CaffeEmbed: _STORED,
    CaffeLSTM: _STORED,
    CaffeRNN: _STORED,
    CaffeParameter: _STORED,
    keras.layers.Embedding: _STORED,
    keras.layers.PReLU: _Codec(_encode_prelu, _decode_prelu),
    keras.layers.Conv2D: _Codec(_encode_conv, kernel_from_caffe),
    keras.layers.Dense: _Codec(_encode_dense, kernel_from_caffe),
}
