"""Features: the blobs inside a net as outputs."""

from collections.abc import Sequence

import keras

from keras_caffe_zoo.conversion.model import blob_tensor, derived
from keras_caffe_zoo.weights import FEATURES


def feature_extractor(model: keras.Model, layers: str | Sequence[str]) -> keras.Model:
    """Return a model that gives the values of layers inside another.

    Outputs are float32, also of a model that computes in less. The name is that of
    Caffe's blob: `"fc7"` is taken after its ReLU, as `net.blobs`
    had it. Of a fully convolutional net `"fc7"` is the map `fc7-conv`. The weights are
    shared with `model`.

    Args:
        model: A model of the zoo, an imported one, or any functional model.
        layers: One name, or several.

    Returns:
        A model with the same inputs, and as output one tensor for one name, or a dict
        by name for several.

    Raises:
        ValueError: If the model has no blob or layer of a name.

    Example:
        >>> model = kcz.squeezenet_v1_1(weights=None)
        >>> inside = kcz.feature_extractor(model, ["fire9/concat", "pool10"])
        >>> {name: y.shape for name, y in inside.output.items()}
        {'fire9/concat': (None, 14, 14, 512), 'pool10': (None, 1, 1, 1000)}
    """
    if isinstance(layers, str):
        outputs = _in_float32(blob_tensor(model, layers))
    else:
        outputs = {name: _in_float32(blob_tensor(model, name)) for name in layers}
        if not outputs:
            raise ValueError("Expected at least one layer's name; received: none")
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    return derived(model, inputs, outputs, f"{model.name}{FEATURES}")


def _in_float32(tensor):
    if tensor.dtype not in ("bfloat16", "float16"):
        return tensor
    name = f"{tensor._keras_history.operation.name}_float32"
    return keras.layers.Identity(dtype="float32", name=name)(tensor)
