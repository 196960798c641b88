"""A Keras model that remembers which layer holds which of Caffe's blobs."""

import keras


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeModel(keras.Model):
    """A functional model imported from Caffe.

    In every respect a `keras.Model`. Besides, `caffe_blobs` maps the name of each of
    Caffe's blobs to `[layer name, output index]` of the Keras layer that wrote it last:
    a ReLU in place makes the blob `fc7` the output of the layer `relu7`. The mapping
    is saved and loaded with the model.
    """

    caffe_blobs: dict = {}

    def get_config(self):
        blobs = {name: list(place) for name, place in self.caffe_blobs.items()}
        return {**super().get_config(), "caffe_blobs": blobs}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        blobs = config.pop("caffe_blobs", {})
        model = super().from_config(config, custom_objects=custom_objects)
        model.caffe_blobs = blobs
        return model


def blob_tensor(model: keras.Model, name: str):
    """Return the symbolic tensor of a Caffe blob, or of the layer of that name.

    Args:
        model: An imported model, a builder's, or any functional model.
        name: Caffe's name of a blob or layer; Keras' own name of the layer will do.

    Raises:
        ValueError: If the model has neither.
    """
    from keras_caffe_zoo.convert.names import keras_name, twin_name

    blobs = getattr(model, "caffe_blobs", {})
    for candidate in (name, twin_name(name)):
        if candidate in blobs:
            layer, index = blobs[candidate]
            return keras.tree.flatten(model.get_layer(layer).output)[index]
    layers = {layer.name: layer for layer in model.layers}
    for candidate in (name, keras_name(name), keras_name(twin_name(name))):
        if candidate in layers:
            return layers[candidate].output
    known = list(blobs) or list(layers)
    raise ValueError(
        f"Expected the name of a blob or layer of '{model.name}', one of {known}; "
        f"received: {name!r}."
    )
