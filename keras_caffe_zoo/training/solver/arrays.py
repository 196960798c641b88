"""Arrays as the endless batches that a solver trains on."""

from typing import Any

import keras
import numpy as np

from keras_caffe_zoo.caffe import Net
from keras_caffe_zoo.conversion.deploy import deploy_net
from keras_caffe_zoo.conversion.preparing import items_of
from keras_caffe_zoo.training.data.order import Order
from keras_caffe_zoo.training.data.pipeline import dataset_of, sequence
from keras_caffe_zoo.training.solver.shapes import data_blobs

_BATCH = 32  # as Keras has it, where the net does not tell


def is_arrays(data) -> bool:
    """Tell whether data is `(x, y)` of arrays, and no dataset."""
    if not isinstance(data, tuple):
        return False
    leaves = keras.tree.flatten(data)
    return bool(leaves) and all(np.ndim(leaf) for leaf in leaves)


def arrays_dataset(data: tuple, net: Net | None, resume=None):
    """Return arrays in batches of the net's size, over the end, as Caffe's data runs.

    Args:
        data: `(x, y)`; each an array, or a dict or list of them, with as many items.
        net: The training net, whose data layer tells the batch; 32 without.
        resume: As in `image_dataset`.

    Returns:
        An endless `tf.data.Dataset` of float32 `(x, y)`.

    Raises:
        ValueError: If the arrays have different numbers of items, or none.
    """
    import tensorflow as tf

    data = keras.tree.map_structure(lambda x: np.asarray(x, "float32"), data)
    counts = {len(x) for x in keras.tree.flatten(data)}
    if len(counts) > 1:
        raise ValueError(
            f"Expected arrays with as many items each; received: {sorted(counts)}"
        )
    order = Order(counts.pop(), _batch_of(net), repeat=True)

    def specs(x: np.ndarray) -> Any:
        return tf.TensorSpec((None, *x.shape[1:]), tf.float32)

    def load(batch):
        return keras.tree.map_structure(lambda x: x[batch[1]], data)

    def batches(order, start, stop=None):
        signature = keras.tree.map_structure(specs, data)
        return sequence(order, start, stop, load, signature)

    return dataset_of(batches, order, resume)


def _batch_of(net: Net | None) -> int:
    if net is None:
        return _BATCH
    part = deploy_net(net, answers=False)
    told = [items_of(part, blob) for blob in data_blobs(net) if blob in part.inputs]
    return next(filter(None, told), _BATCH)
