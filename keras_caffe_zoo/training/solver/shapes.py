"""What data tells of a net: the shapes of its inputs."""

from collections.abc import Mapping

import keras

from keras_caffe_zoo.caffe import Net
from keras_caffe_zoo.conversion.deploy import deploy_net
from keras_caffe_zoo.rules.names import keras_name
from keras_caffe_zoo.training.solver.objectives import objectives_of


def data_blobs(net: Net) -> list[str]:
    """Return the data blobs that are the inputs of a net's training model.

    Args:
        net: The net, filtered for its phase.
    """
    kept = objectives_of(net).kept
    return list(deploy_net(net, answers=False, kept=kept).inputs)


def shapes_of(data, net: Net) -> dict[str, tuple]:
    """Return the shape of one item of each of a net's inputs, by Caffe's blob.

    Args:
        data: A dataset of `(x, y)` of TensorFlow or Keras, or arrays.
        net: The net, filtered for its phase.

    Raises:
        ValueError: If the data has not as many inputs as the net.
    """
    blobs = data_blobs(net)
    x = _first(data)
    if isinstance(x, Mapping):
        shapes = {blob: x.get(blob, x.get(keras_name(blob))) for blob in blobs}
    else:
        x = list(x) if isinstance(x, list | tuple) else [x]
        shapes = dict(zip(blobs, x, strict=False)) if len(x) == len(blobs) else {}
    missing = [blob for blob in blobs if shapes.get(blob) is None]
    if missing:
        named = sorted(x) if isinstance(x, Mapping) else f"{len(x)} inputs"
        raise ValueError(
            f"Expected data with the inputs {blobs} of '{net.name}'; received: {named}"
        )
    return {blob: tuple(one.shape)[1:] for blob, one in shapes.items()}


def _first(data):
    """Return the inputs of a batch, or what tells their shapes."""
    if hasattr(data, "element_spec"):
        data = data.element_spec
    elif isinstance(data, keras.utils.PyDataset):
        data = data[0]
    x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
    return x
