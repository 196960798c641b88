"""Which record stands where in the endless sequence of batches, and chance for each.

Chance is a pure function of a seed and a place in the sequence. Philox is
counter-based: any draw can be had without those before it, so a run that goes on after
an interruption draws what it would have drawn. Only raw bits are used, which NumPy
never changes.
"""

import itertools
from collections.abc import Callable, Iterator

import numpy as np

_CROPS, _ORDER, _SKIP = 1, 2, 3  # streams that share a seed


class Order:
    """The sequence of batches that training sees, as a function of a batch's number.

    Args:
        records: How many records there are, or how many in each of several files.
        batch_size: Records in a batch.
        shuffle: Whether each epoch is shuffled anew. Of several files, the files are
            shuffled and the records within each, as Caffe's HDF5Data does.
        seed: Chooses the orders.
        repeat: Whether batches run over the end of an epoch, as Caffe's do. If not,
            an epoch's last batch may be smaller.
        skip: How many records of the first pass over the data are left out; each epoch
            then begins that much later, and still has as many records.

    Raises:
        ValueError: If there are no records, all are skipped, or an argument is not of
            its kind.
    """

    def __init__(
        self,
        records,
        batch_size: int,
        shuffle=False,
        seed=0,
        repeat=False,
        skip: int = 0,
    ):
        check_seed(seed)
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer):
            raise ValueError(f"Expected an integer; received: batch_size={batch_size}")
        if batch_size < 1:
            raise ValueError(f"Expected at least 1; received: batch_size={batch_size}")
        self.files = np.atleast_1d(np.asarray(records, "int64"))
        self.records, self.batch_size = int(self.files.sum()), int(batch_size)
        self.shuffle, self.seed, self.repeat = shuffle, int(seed), repeat
        self.skip = skip
        if not self.records:
            raise ValueError("Expected at least one record; received: none")
        if skip >= self.records:
            raise ValueError(
                f"Expected more records than are skipped at the start, {skip}; "
                f"received: {self.records}"
            )
        self._kept: tuple[int | None, np.ndarray | None] = (None, None)

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return -(-self.records // self.batch_size)

    def endless(self) -> "Order":
        """Return the same order with batches that run over the ends of epochs."""
        return Order(
            self.files, self.batch_size, self.shuffle, self.seed, True, self.skip
        )

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of a batch's records, and which records they are.

        Args:
            number: The batch's number, counted over all epochs from 0.

        Returns:
            Two int64 arrays. A position counts records over all epochs from 0.
        """
        if self.repeat:
            first, count = number * self.batch_size, self.batch_size
        else:
            epoch, step = divmod(number, self.batches)
            count = min(self.batch_size, self.records - step * self.batch_size)
            first = epoch * self.records + step * self.batch_size
        positions = np.arange(first, first + count)
        epochs, places = np.divmod(positions + self.skip, self.records)
        indices = [self.epoch(int(e))[places[epochs == e]] for e in np.unique(epochs)]
        return positions, np.concatenate(indices)

    def batches_from(self, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield batches from one on, to the end of its epoch; for ever to repeat."""
        while True:
            yield self.batch(number)
            number += 1
            if not self.repeat and number % self.batches == 0:
                return

    def epoch(self, number: int) -> np.ndarray:
        """Return the records of an epoch in its order, int64 `(records,)`."""
        if not self.shuffle:
            return np.arange(self.records)
        kept, order = self._kept
        if kept != number:
            order = self._shuffled(number)
            self._kept = number, order  # at once: two iterators may be at work
        return order

    def _shuffled(self, epoch: int) -> np.ndarray:
        keys = order_keys(self.seed, epoch, self.records + len(self.files))
        of_file = np.repeat(keys[self.records :], self.files)
        return np.lexsort((keys[: self.records], of_file))


def count_passes(order: Order) -> Callable[[], int]:
    """Return a function that tells the number of the first batch of each pass.

    An endless sequence starts anew each time, else each pass is the next epoch.
    """
    passes = itertools.count()
    return lambda: 0 if order.repeat else next(passes) * order.batches


def crop_draws(seed: int, position: int) -> tuple[int, int, int]:
    """Return a record's three draws: mirror, top, left.

    Args:
        seed: The dataset's seed.
        position: Place of the record in the whole sequence, over all epochs.

    Returns:
        Three integers of 64 random bits.
    """
    mirror, top, left = _philox(seed, _CROPS, position).random_raw(3)
    return int(mirror), int(top), int(left)


def below(draw: int, stop: int) -> int:
    """Return a draw as one of `range(stop)`, each equally likely."""
    return draw * stop >> 64


def skip_draw(seed: int, stop: int) -> int:
    """Return how many records are skipped at the start: one of `range(stop)`."""
    check_seed(seed)
    return below(int(_philox(seed, _SKIP, 0).random_raw()), stop)


def order_keys(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return random keys, uint64, that shuffle an epoch when sorted."""
    return _philox(seed, _ORDER, epoch).random_raw(count)


def check_seed(seed: int) -> None:
    """Check that a seed is one.

    Raises:
        ValueError: If it is no integer of 0 to 2**64 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise ValueError(f"Expected an integer as seed; received: seed={seed!r}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"Expected a seed of 0 to 2**64 - 1; received: seed={seed}")


def _philox(seed: int, stream: int, position: int) -> np.random.Philox:
    # The position stands in the counter's upper half: draws count in the lower.
    counter = np.array([0, 0, position, 0], "uint64")
    return np.random.Philox(counter=counter, key=np.array([seed, stream], "uint64"))
