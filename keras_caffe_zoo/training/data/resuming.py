"""A dataset that goes on where a model's training has got to."""

import keras
import tensorflow as tf
from keras import ops

from keras_caffe_zoo.training.data.order import Order


class ResumingDataset(tf.data.Dataset):
    """Batches from where the model's optimizer is, asked for whenever a pass starts.

    The optimizer must be asked before the first step: TensorFlow may count the step
    up before it asks for the step's data. So Python asks, in `iter`, and a dataset that
    is made of this one, which TensorFlow iterates alone, cannot know where to start.

    Args:
        batches: Function of an `Order`, of one that tells the first batch's number, and
            of how many batches to stop after, which returns the dataset of one pass.
        order: The sequence of batches.
        model: A compiled model.

    Raises:
        ValueError: If the model is not compiled, or Keras runs on JAX.
    """

    def __init__(self, batches, order: Order, model):
        if getattr(model, "optimizer", None) is None:
            raise ValueError(
                "Expected a compiled model as `resume`; received: one without an "
                "optimizer. Call its `compile` first"
            )
        if keras.backend.backend() == "jax":
            # `fit` empties the optimizer's variables before it asks for a batch.
            raise ValueError(
                "Expected TensorFlow or PyTorch as Keras' engine for `resume`; "
                "received: JAX, on which `fit` hides the optimizer while it trains"
            )
        self._batches, self._order, self._model = batches, order, model
        self._base = batches(order, _refuse)
        super().__init__(self._base._variant_tensor)

    def __iter__(self):
        done, order = batches_done(self._model), self._order
        dataset = self._batches(order, lambda: done)
        if not order.repeat and (over := done % order.batches):
            # A pass is as long as an epoch wherever it starts: a step that finds no
            # data raises, but TensorFlow has done half of it by then.
            end = done - over + order.batches
            dataset = dataset.concatenate(self._batches(order, lambda: end, over))
        return iter(dataset)

    def cardinality(self, name=None):
        """Return how many batches a pass has."""
        infinite = tf.data.INFINITE_CARDINALITY
        count = infinite if self._order.repeat else self._order.batches
        return tf.constant(count, tf.int64)

    def repeat(self, count=None, name=None):
        """Return the endless dataset, whose batches run over the ends of epochs."""
        if count not in (None, -1):
            raise ValueError(
                "Expected an endless repeat() of a dataset with `resume`; received: "
                f"count={count}. Let `fit` count the epochs"
            )
        return ResumingDataset(self._batches, self._order.endless(), self._model)

    def _inputs(self):
        return [self._base]

    @property
    def element_spec(self):
        return self._base.element_spec


def batches_done(model) -> int:
    """Return how many batches a model's optimizer has seen.

    With `gradient_accumulation_steps`, `optimizer.iterations` counts updates; the
    variable behind it counts batches.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    counters = [v for v in optimizer.variables if v.name == "iteration"]
    return int(ops.convert_to_numpy((counters or [optimizer.iterations])[0]))


def _refuse():
    raise RuntimeError(
        "Expected a dataset with `resume` to be iterated itself, as `fit` does; "
        "received: one made of it, such as by map, take, class weights or a "
        "distribution strategy, which cannot tell where to start. Leave out `resume`"
    )
