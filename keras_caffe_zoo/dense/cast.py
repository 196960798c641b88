"""From a classifier to the fully convolutional net that slides it over an image."""

import keras
import numpy as np
from keras import layers, ops

from keras_caffe_zoo.convert.model import CaffeModel
from keras_caffe_zoo.convert.names import conv_name
from keras_caffe_zoo.layers import CaffeConv2D, CaffeFlatten, CaffeReshape

# Layers that look at one pixel at a time, so that a map goes through them as a vector
# did. (Others are taken over as they are while the blob is still an image.)
_POINTWISE = (
    layers.Activation,
    layers.BatchNormalization,
    layers.Dropout,
    layers.ELU,
    layers.LeakyReLU,
    layers.ReLU,
    layers.Softmax,
)


def to_fully_convolutional(model: keras.Model) -> keras.Model:
    """Cast a classifier into a fully convolutional net.

    Its dense layers become convolutions by a reshape of their kernels, so for an image
    of the training size the net gives the same answer, and for a larger one a map of
    answers, one for each window. Flatten in either order (Keras' H, W, C, or Caffe's
    C, H, W after a Permute or with `channels_first`) and global average pooling are
    understood.

    Args:
        model: A functional or sequential model of one image input of known size, made
            of convolutions and poolings, then Flatten (or global average pooling) and
            Dense layers.

    Returns:
        A `keras.Model` for images `(N, None, None, C)`. Its weights are copies of the
        model's; `fc6` is called `fc6-conv`.

    Raises:
        ValueError: If a layer cannot be cast; says which and why.
    """
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(
            "Expected a model of one image (N, H, W, C); received: "
            f"'{model.name}' with inputs {[tuple(i.shape) for i in model.inputs]}."
        )
    cast = _Cast()
    (image,) = model.inputs
    outputs = model.outputs[0] if len(model.outputs) == 1 else model.outputs
    functional = keras.Model(image, outputs, name=model.name)
    inputs = keras.Input((None, None, image.shape[-1]), name=image.name)
    result = keras.models.clone_model(
        functional,
        input_tensors=inputs,
        clone_function=cast.clone,
        call_function=cast.call,
    )
    for layer, source in cast.sources:
        _copy_weights(layer, source)
    return cast.remembering(model, result)


class _Gone(layers.Layer):
    """Stands in for a layer that a map does not need."""


class _Cast:
    """The layers of one cast: which became what."""

    def __init__(self):
        self.sources = []  # (new layer, old layer)

    def clone(self, layer):
        """Return the layer that takes the place of another."""
        if isinstance(layer, layers.Flatten) or _reorders(layer):
            return _Gone(name=layer.name)
        if isinstance(layer, layers.GlobalAveragePooling2D):
            return self._average(layer)
        if isinstance(layer, layers.Dense):
            new = self._convolution(layer)
        elif isinstance(layer, keras.Model):
            return to_fully_convolutional(layer)
        else:
            new = self._same(layer)
        self.sources.append((new, layer))
        return new

    def call(self, layer, *args, **kwargs):
        """Apply a new layer; a Flatten vanishes."""
        return args[0] if isinstance(layer, _Gone) else layer(*args, **kwargs)

    def remembering(self, model, result) -> keras.Model:
        """Return the cast net, knowing Caffe's blobs if the model knew them."""
        places = getattr(model, "caffe_blobs", {})
        if not places:
            return result
        names = {old.name: new.name for new, old in self.sources}
        outputs = result.outputs[0] if len(result.outputs) == 1 else result.outputs
        result = CaffeModel(result.inputs[0], outputs, name=result.name)
        kept = {layer.name for layer in result.layers}
        result.caffe_blobs = {
            blob: [names.get(layer, layer), index]
            for blob, (layer, index) in places.items()
            if names.get(layer, layer) in kept
        }
        return result

    def _convolution(self, layer):
        on_pixels = len(layer.input.shape) == 4  # over the channels of an image
        window = (1, 1) if on_pixels else _image_before(layer)[0]
        config = layer.get_config()
        return CaffeConv2D(
            layer.units,
            window,
            activation=config["activation"],
            use_bias=layer.use_bias,
            name=conv_name(layer.name),
            data_format="channels_last",
            dtype=config["dtype"],
        )

    def _average(self, layer):
        size = layer.input.shape[1:3]
        if None in size:
            raise _refusal(layer, "its input has no known size")
        return layers.AveragePooling2D(
            size, 1, data_format="channels_last", name=layer.name
        )

    def _same(self, layer):
        flat = len(getattr(layer.output, "shape", (0,) * 4)) != 4
        if flat and not isinstance(layer, _POINTWISE):
            raise _refusal(layer, "it looks at the whole vector")
        if flat and isinstance(layer, layers.BatchNormalization | layers.Softmax):
            axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
            if axis not in (-1, 1):
                raise _refusal(layer, f"its axis is {axis}")
        config = layer.get_config()
        if flat and "axis" in config:
            config["axis"] = -1
        return layer.__class__.from_config(config)


def _reorders(layer) -> bool:
    """Tell whether a Permute or Reshape only prepares a Flatten or is one."""
    if isinstance(layer, layers.Permute):
        if tuple(layer.dims) == (3, 1, 2):
            return True
        raise _refusal(layer, f"its order of axes is {layer.dims}")
    if isinstance(layer, layers.Reshape | CaffeReshape | CaffeFlatten):
        if len(layer.output.shape) == 2:
            return True
        raise _refusal(layer, f"its output has the shape {layer.output.shape}")
    return False


def _refusal(layer, why: str) -> ValueError:
    return ValueError(
        "Expected convolutions and poolings, then Flatten and Dense layers; received: "
        f"layer '{layer.name}' ({type(layer).__name__}), which cannot be cast, since "
        f"{why}."
    )


def _image_before(layer) -> tuple[tuple[int, int], bool]:
    """Return the size of the image that a dense layer sees, and if it is in C, H, W.

    (1, 1) where another dense layer, or a global pooling, comes before.
    """
    tensor = layer.input
    while True:
        source = tensor._keras_history.operation
        if isinstance(source, layers.Flatten | layers.Reshape):
            return _flattened(source)
        if isinstance(source, CaffeReshape | CaffeFlatten):
            return _flattened(source)[0], True
        if isinstance(source, layers.Dense | layers.GlobalAveragePooling2D):
            return (1, 1), False
        if not isinstance(source, _POINTWISE):
            raise _refusal(source, "a dense layer reads it")
        tensor = source.input


def _flattened(flatten) -> tuple[tuple[int, int], bool]:
    shape = tuple(flatten.input.shape)
    before = flatten.input._keras_history.operation
    if len(shape) == 2:
        return (1, 1), False
    if len(shape) != 4 or None in shape[1:]:
        raise _refusal(flatten, f"its input has the shape {shape}")
    if isinstance(before, layers.Permute):
        return shape[2:], True
    return shape[1:3], False


def _copy_weights(layer, source) -> None:
    if not isinstance(source, layers.Dense):
        layer.set_weights(source.get_weights())
        return
    kernel, *bias = source.get_weights()
    if len(source.input.shape) != 4 and _image_before(source)[1]:  # rows in C, H, W
        height, width, channels, units = layer.kernel.shape
        kernel = kernel.reshape(channels, height, width, units).transpose(1, 2, 0, 3)
    weights = [np.reshape(kernel, ops.shape(layer.kernel)), *bias]
    layer.set_weights(weights)
