"""From a classifier to the fully convolutional net that slides it over an image."""

import keras
from keras import layers

from keras_caffe_zoo.conversion.model import CaffeModel, derived
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import rule_for, traits_of


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

    Example:
        >>> model = kcz.squeezenet_v1_1(weights=None)
        >>> dense = kcz.to_fully_convolutional(model)
        >>> dense.compute_output_shape((1, 451, 451, 3))
        (1, 15, 15, 1000)
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
        rule_for(source).give_weights(layer, source, _image_before)
    return cast.remembering(model, result)


class _Gone(layers.Layer):
    """Stands in for a layer that a map does not need."""


class _Cast:
    """The layers of one cast: which became what."""

    def __init__(self):
        self.sources = []  # (new layer, old layer)

    def clone(self, layer):
        """Return the layer that takes the place of another."""
        if isinstance(layer, keras.Model):
            return to_fully_convolutional(layer)
        try:
            new = rule_for(layer).on_map(layer, _image_before)
        except ValueError as error:
            raise _refusal(layer, str(error)) from error
        if new is None:
            return _Gone(name=layer.name)
        self.sources.append((new, layer))
        return new

    def call(self, layer, *args, **kwargs):
        """Apply a new layer; a Flatten vanishes."""
        return args[0] if isinstance(layer, _Gone) else layer(*args, **kwargs)

    def remembering(self, model, result) -> keras.Model:
        """Return the cast net, knowing Caffe's blobs if the model knew them."""
        places = getattr(model, "caffe_blobs", {})
        outputs = result.outputs[0] if len(result.outputs) == 1 else result.outputs
        if not places:
            return derived(model, result.inputs[0], outputs, result.name)
        names = {old.name: new.name for new, old in self.sources}
        result = CaffeModel(result.inputs[0], outputs, name=result.name)
        kept = {layer.name for layer in result.layers}
        result.caffe_blobs = {
            blob: [names.get(layer, layer), index]
            for blob, (layer, index) in places.items()
            if names.get(layer, layer) in kept
        }
        return result


def _refusal(layer, why: str) -> ValueError:
    return ValueError(
        f"Layer '{caffe_name(layer.name)}' ({type(layer).__name__}) cannot be cast, "
        f"since {why}. Expected convolutions and poolings, then Flatten and Dense "
        "layers."
    )


def _image_before(layer) -> tuple[tuple[int, int], bool]:
    """Return the size of the image that a dense layer sees, and if it is in C, H, W.

    (1, 1) where another dense layer, or a global pooling, comes before.
    """
    tensor = layer.input
    while True:
        source = tensor._keras_history.operation
        order = traits_of(source).order
        if order == "flattened":
            return _flattened(source)
        if order == "flattened in Caffe's order":
            return _flattened(source)[0], True
        if order == "new":
            return (1, 1), False
        if order != "kept" or not isinstance(source.input, keras.KerasTensor):
            raise _refusal(source, "a dense layer reads it")
        tensor = source.input


def _flattened(flatten) -> tuple[tuple[int, int], bool]:
    shape = tuple(flatten.input.shape)
    before = flatten.input._keras_history.operation
    if len(shape) == 2:
        return (1, 1), False
    if len(shape) != 4 or None in shape[1:]:
        raise _refusal(flatten, f"its input has the shape {shape}")
    if traits_of(before).order == "permuted":
        return shape[2:], True
    return shape[1:3], False
