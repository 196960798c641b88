"""From records to batches: `tf.data` pipelines that decode beside the network."""

import atexit
import functools
import gc
import inspect
import weakref

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.training.data.order import Order, count_passes
from keras_caffe_zoo.training.data.records import BadRecords, Loader, Records


def record_dataset(
    records: Records,
    transform,
    *,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    repeat: bool = False,
    resume=None,
    bad_records: BadRecords | None = None,
    labels: bool = True,
    skip: int = 0,
    order: Order | None = None,
):
    """Return records as a `tf.data.Dataset` of batches.

    Args:
        records: The records.
        transform: A `Transform`, or what is called as one is.
        batch_size: Records in a batch.
        shuffle: Whether each epoch is shuffled anew.
        seed: Chooses orders, crops and mirrors.
        repeat: Whether the dataset is endless.
        resume: The compiled model that knows where to go on.
        bad_records: Where bad records are counted; they raise if None.
        labels: Whether a batch is `(images, labels)` or images alone.
        skip: How many records are left out at the start.
        order: The sequence of batches, where it is not that of all records in turn; it
            knows of `batch_size`, `shuffle`, `repeat` and `skip` then.
    """
    import tensorflow as tf

    order = order or Order(len(records), batch_size, shuffle, seed, repeat, skip)
    varying = batch_size == 1 and getattr(transform, "crop_size", None) is None
    loader = Loader(records, transform, seed, bad_records, varying)
    images = tf.TensorSpec((None, *loader.shape), tf.float32)
    if not labels:
        return loaded_dataset(loader.images, images, order, resume)
    signature = images, tf.TensorSpec((None,), tf.int32)
    return loaded_dataset(loader.batch, signature, order, resume)


def loaded_dataset(load, signature, order: Order, resume=None):
    """Return the batches that a function loads, two at a time.

    Args:
        load: Method, safe in threads, from a batch's positions and indices, two int64
            arrays, to its arrays, in the structure of the signature.
        signature: Structure of `tf.TensorSpec`.
        order: The sequence of batches.
        resume: The compiled model that knows where to go on.
    """
    import tensorflow as tf

    def batches(order, start, stop=None):
        numbers = tf.TensorSpec((None,), tf.int64)
        places = sequence(order, start, stop, lambda batch: batch, (numbers, numbers))
        # A batch is loaded by many threads, and the next while its last ones work.
        loaded = called(places, load, signature, num_parallel_calls=2)
        return loaded.prefetch(tf.data.AUTOTUNE)

    return dataset_of(batches, order, resume)


def sequence(order: Order, start, stop, load, signature):
    """Return a dataset of `load((positions, indices))` for each batch of a pass.

    `start()` is the number of its first batch; it has `stop` batches, or goes to the
    end of the epoch if that is None.
    """
    import tensorflow as tf

    def first_and_end(_):
        first = start()
        end = order.end_of_pass(first)
        end = end if stop is None else min(end, first + stop)
        return np.array([first, end], "int64")

    def load_batch(number):
        return load(order.batch(int(number)))

    # Numbers, and no generator: TensorFlow calls Python to end one, and prints a
    # warning where Python has ended before.
    bounds = tf.TensorSpec((2,), tf.int64)
    passes = called(tf.data.Dataset.range(1), first_and_end, bounds)
    numbers = passes.flat_map(lambda both: tf.data.Dataset.range(both[0], both[1]))
    return called(numbers, load_batch, signature)


def called(dataset, function, signature, num_parallel_calls=None):
    """Return what a Python function makes of a dataset's elements, in their order.

    Args:
        dataset: The dataset.
        function: Function, safe in threads if there are several calls at a time, from
            an element's arrays to arrays in the structure of the signature.
        signature: Structure of `tf.TensorSpec`.
        num_parallel_calls: How many calls there are at a time; None for one.
    """
    import tensorflow as tf

    _end_iterators_at_exit()
    specs = tf.nest.flatten(signature)
    lent = weakly(function)

    def arrays(*element):
        return tf.nest.flatten(lent(*element))

    def tensors(*element):
        found = tf.numpy_function(arrays, element, [spec.dtype for spec in specs])
        shaped = [
            tf.ensure_shape(tensor, spec.shape)
            for tensor, spec in zip(found, specs, strict=True)
        ]
        return tf.nest.pack_sequence_as(signature, shaped)

    in_order = None if num_parallel_calls is None else True
    made = dataset.map(tensors, num_parallel_calls, deterministic=in_order)
    made.lender = function
    return made


def weakly(function):
    """Return a function that calls another without keeping it alive.

    TensorFlow keeps Python functions of datasets to the end of the process, and with
    them records, such as a LevelDB that is locked. So a dataset lends them, in an
    attribute: iterators, and datasets that are made of it, keep it.
    """
    import tensorflow as tf

    if not tf.executing_eagerly():
        return function  # of a `tf.function`, which outlives the dataset
    kind = weakref.WeakMethod if inspect.ismethod(function) else weakref.ref
    lender = kind(function)

    def lent(*args):
        if (found := lender()) is None:
            # A thread of an iterator that ends; TensorFlow tells only who reads on.
            raise StopIteration("the dataset is gone")
        return found(*args)

    return lent


@functools.cache
def _end_iterators_at_exit() -> None:
    """Have the iterators that are left when Python exits end before it does.

    Else a thread of theirs that calls Python just then dies of it, and TensorFlow waits
    for its answer without end.
    """
    atexit.register(_end_iterators)


def _end_iterators() -> None:
    import tensorflow as tf

    for left in gc.get_objects():
        if issubclass(type(left), tf.data.Iterator):
            vars(left).clear()  # with what of TensorFlow's it holds, which ends it


class StartAt:
    """Stands for a model in `resume`, where another dataset knows where to start.

    Args:
        tell: Function that returns the number of the first batch, when it is asked for.
    """

    def __init__(self, tell) -> None:
        self.tell = tell


def dataset_of(batches, order: Order, resume=None):
    """Return the passes `batches(order, start, stop)`, which tell how long they are."""
    import tensorflow as tf

    if isinstance(resume, StartAt):
        return batches(order, resume.tell)
    if resume is not None:
        return _resuming()(batches, order, resume)
    count = tf.data.INFINITE_CARDINALITY if order.repeat else order.batches
    dataset = batches(order, count_passes(order))
    return dataset.apply(tf.data.experimental.assert_cardinality(count))


class _Resuming:
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
        import tensorflow as tf

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
        return type(self)(self._batches, self._order.endless(), self._model)

    def _inputs(self):
        return [self._base]

    @property
    def element_spec(self):
        return self._base.element_spec


@functools.cache
def _resuming() -> type:
    """Return the class of datasets that go on, which needs TensorFlow to be made."""
    import tensorflow as tf

    class ResumingDataset(_Resuming, tf.data.Dataset):
        pass

    return ResumingDataset


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
