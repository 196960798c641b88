"""Caffe's DummyData: the values of fillers as data."""

from typing import Any, NamedTuple

import numpy as np

from keras_caffe_zoo.caffe import Layer
from keras_caffe_zoo.rules.node import Node
from keras_caffe_zoo.rules.registry import rule_of
from keras_caffe_zoo.training.data.order import Order, draws_of
from keras_caffe_zoo.training.data.pipeline import dataset_of, sequence


class _Dummy(NamedTuple):
    """A top of DummyData: its name, its shape and its filler."""

    top: str
    shape: tuple[int, ...]
    filler: Any

    def values(self, seed: int, place: int, number: int) -> np.ndarray:
        """Return the values of a batch, channels last."""
        filler = self.filler
        kind = filler.type if filler else "constant"
        constant = filler.value if filler else 0.0
        rng = np.random.Generator(draws_of(seed, place, number))
        fillers = {
            "constant": lambda: np.full(self.shape, constant),
            "uniform": lambda: rng.uniform(
                self.filler.min, self.filler.max, self.shape
            ),
            "gaussian": lambda: rng.normal(
                self.filler.mean, self.filler.std, self.shape
            ),
        }
        values = fillers[kind]().astype("float32")
        return np.moveaxis(values, 1, -1) if values.ndim == 4 else values


_FILLERS = ("constant", "uniform", "gaussian")


def is_dummy(layer: Layer) -> bool:
    """Tell whether a layer is one of DummyData."""
    return layer.type == "DummyData"


def dummy_dataset(
    layer: Layer, source: str = "", *, seed: int = 0, resume=None, **options
):
    """Return what a layer of DummyData makes, without end.

    Values of random fillers are drawn anew for each batch, as in Caffe.

    Args:
        layer: The layer.
        source: The net's file, for errors.
        seed: Chooses what is drawn.
        resume: As for `image_dataset`.
        **options: Options of data in files, which mean nothing here.

    Returns:
        `tf.data.Dataset` of float32, a dict by top; four axes (N, C, H, W) become
        `(N, H, W, C)`.

    Raises:
        CaffeFormatError: If a filler is not constant, uniform or gaussian.
    """
    import tensorflow as tf

    rule = rule_of(layer.type)
    node = Node(layer, source, rule=rule)
    triples = zip(layer.tops, rule.shapes(node), rule.fillers(node), strict=True)
    tops = [_Dummy(*triple) for triple in triples]
    for top in tops:
        if top.filler and top.filler.type not in _FILLERS:
            raise node.error(
                f"Expected one of {list(_FILLERS)} for data; received: "
                f"{top.filler.type!r}",
                "dummy_data_param.data_filler",
            )

    def load(batch):
        number = int(batch[0][0])
        return {
            top.top: top.values(seed, place, number) for place, top in enumerate(tops)
        }

    specs = {
        top.top: tf.TensorSpec(value.shape, tf.float32)
        for top, value in ((top, top.values(seed, 0, 0)) for top in tops)
    }

    def batches(order, start, stop=None):
        return sequence(order, start, stop, load, specs).prefetch(tf.data.AUTOTUNE)

    order = Order(1, 1, repeat=True)  # a position is a batch's number
    return dataset_of(batches, order, resume)
