"""From records to batches: a `tf.data` pipeline that decodes beside the network."""

import itertools
from typing import Protocol

import numpy as np

from keras_caffe_zoo.pictures import PictureError
from keras_caffe_zoo.training.data.bad import BadRecords
from keras_caffe_zoo.training.data.order import Order, count_passes


class Records(Protocol):
    """Images with labels, each by its index."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return what to call a record in an error: a file and line, or a key."""

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Return an image, uint8 or float32 `(H, W, C)`, BGR or grey, and a label."""


class Loader:
    """Reads and transforms one record at a time; thread-safe.

    Args:
        records: The records.
        transform: A `Transform`, or what is called as one is.
        seed: Seed of its draws.
        bad_records: Where bad records are counted; they raise if None.
        sizes_vary: Whether images may differ in size, as in batches of one.

    Attributes:
        shape: Shape of a transformed image, `(H, W, C)`: that of the first readable
            record, as in Caffe. Height and width are None where sizes vary.

    Raises:
        ValueError: If the first record is bad and `bad_records` is None, or all are.
    """

    def __init__(self, records, transform, seed, bad_records=None, sizes_vary=False):
        self.records, self.transform, self.seed = records, transform, seed
        self.bad_records, self.shape = bad_records, (None, None, None)
        first = self._first()
        self.shape = (None, None, first[2]) if sizes_vary else first

    def __call__(self, position, index):
        """Return an image, its label, and whether it could be read."""
        try:
            image, label = self.records.read(int(index))
            image = self.transform(image, int(position), self.seed)
            self._check_shape(image.shape)
            return image, np.int32(label), True
        except Exception as error:  # a damaged picture makes Pillow raise anything
            self._bad(int(index), error)
            blank = [side or 1 for side in self.shape]
            return np.zeros(blank, "float32"), np.int32(0), False

    def require_some(self, readable):
        """Check that a batch has a readable record: the mean of none would be NaN."""
        if not readable.any():
            raise ValueError(
                f"Expected a readable record in each batch; received: {len(readable)} "
                f"bad ones in a row. {self.bad_records}"
            )
        return readable

    def _first(self) -> tuple[int, int, int]:
        for index in range(len(self.records)):
            image, _, readable = self(0, index)
            if readable:
                return image.shape
        raise ValueError(
            f"Expected a readable record; received: none. {self.bad_records}"
        )

    def _check_shape(self, shape) -> None:
        pairs = zip(shape, self.shape, strict=True)
        if any(wanted not in (None, side) for side, wanted in pairs):
            raise ValueError(
                f"Expected an image of {self.shape}, as the first one is; received: "
                f"{shape}. Images of different sizes need a crop_size, or batches of 1"
            )

    def _bad(self, index: int, error: Exception) -> None:
        name = self.records.name(index)
        reason = _reason(error)
        if self.bad_records is None:
            raise ValueError(
                f"Expected a record that can be read; received: {name}: {reason}. Mend "
                "it, or leave such records out with `bad_records=BadRecords()`"
            ) from None
        self.bad_records.add(name, reason)


def _reason(error: Exception) -> str:
    if isinstance(error, PictureError):
        return error.reason
    return str(error) if isinstance(error, OSError | ValueError) else repr(error)


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
    """
    import tensorflow as tf

    order = Order(len(records), batch_size, shuffle, seed, repeat)
    varying = batch_size == 1 and getattr(transform, "crop_size", None) is None
    loader = Loader(records, transform, seed, bad_records, varying)

    def load(position, index):
        kinds = (tf.float32, tf.int32, tf.bool)
        image, label, readable = tf.numpy_function(loader, (position, index), kinds)
        image.set_shape(loader.shape)
        label.set_shape(())
        readable.set_shape(())
        return image, label, readable

    def keep(images, targets, readable):
        if bad_records is not None:
            checked = tf.numpy_function(loader.require_some, [readable], tf.bool)
            checked.set_shape((None,))
            images = tf.boolean_mask(images, checked)
            targets = tf.boolean_mask(targets, checked)
        return (images, targets) if labels else images

    def batches(order, start, stop=None):
        numbers = tf.TensorSpec((None,), tf.int64)
        places = sequence(order, start, stop, lambda batch: batch, (numbers, numbers))
        images = places.unbatch().map(
            load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return images.batch(order.batch_size).map(keep).prefetch(tf.data.AUTOTUNE)

    return dataset_of(batches, order, resume)


def sequence(order: Order, start, stop, load, signature):
    """Return a dataset of `load((positions, indices))` for each batch of a pass.

    `start()` is the number of its first batch; it has `stop` batches, or goes to the
    end of the epoch if that is None.
    """
    import tensorflow as tf

    def one_pass():
        for batch in itertools.islice(order.batches_from(start()), stop):
            yield load(batch)

    return tf.data.Dataset.from_generator(one_pass, output_signature=signature)


def dataset_of(batches, order: Order, resume=None):
    """Return the passes `batches(order, start, stop)`, which tell how long they are."""
    import tensorflow as tf

    if resume is not None:
        from keras_caffe_zoo.training.data.resuming import ResumingDataset

        return ResumingDataset(batches, order, resume)
    count = tf.data.INFINITE_CARDINALITY if order.repeat else order.batches
    dataset = batches(order, count_passes(order))
    return dataset.apply(tf.data.experimental.assert_cardinality(count))
