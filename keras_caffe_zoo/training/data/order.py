"""Which record stands where in the endless sequence of batches, and chance for each.

Chance is a pure function of a seed and a place in the sequence. Philox is
counter-based: any draw can be had without those before it, so a run that goes on after
an interruption draws what it would have drawn. Only raw bits are used, which NumPy
never changes.
"""

import itertools
from collections.abc import Callable

import numpy as np

# Streams that share a seed; values are a stream for each of several blobs.
_CROPS, _ORDER, _CHOICES, _SKIP, _OBJECTS, _VALUES = 1, 2, 3, 4, 8, 16


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

    def end_of_pass(self, number: int) -> int:
        """Return the number of the batch before which a pass from one on ends.

        That is at the end of its epoch, and to repeat as good as never.
        """
        if self.repeat:
            return int(np.iinfo("int64").max)
        return number - number % self.batches + self.batches

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


class Chosen(Order):
    """An endless sequence of records that are chosen, again and again, by chance.

    Every batch is full. What an epoch is called has as many batches as would have
    all records once, but a record may come in it often, or not at all.

    Args:
        records: How many records there are.
        batch_size: Records in a batch.
        choose: Function of positions in the sequence, int64: the records there.
        seed: Chooses, as `choose` knows.
        repeat: Whether a pass is endless.

    Raises:
        ValueError: As of `Order`.
    """

    def __init__(self, records, batch_size: int, choose, seed=0, repeat=False):
        super().__init__(records, batch_size, seed=seed, repeat=repeat)
        self.choose = choose

    def endless(self) -> "Chosen":
        """Return the same sequence without epochs."""
        return Chosen(self.files, self.batch_size, self.choose, self.seed, repeat=True)

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of a batch's records, and which records they are."""
        first = number * self.batch_size
        positions = np.arange(first, first + self.batch_size)
        return positions, np.asarray(self.choose(positions), "int64")


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


class Draws:
    """A record's further draws, one after the other: those of its objects.

    Args:
        seed: The dataset's seed.
        position: Place of the record in the whole sequence, over all epochs.
    """

    def __init__(self, seed: int, position: int):
        check_seed(seed)
        self._bits = _philox(seed, _OBJECTS, position)

    def below(self, stop: int) -> int:
        """Return one of `range(stop)`."""
        return below(int(self._bits.random_raw()), stop)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> np.float32:
        """Return a number between two, the first of which it may be."""
        return np.float32(low + (high - low) * self.units(1)[0])

    def units(self, count: int) -> np.ndarray:
        """Return numbers from 0 to below 1, float64."""
        return (self._bits.random_raw(count) >> np.uint64(11)) * 2.0**-53


def below(draw: int, stop: int) -> int:
    """Return a draw as one of `range(stop)`, each equally likely."""
    return draw * stop >> 64


def choice_draw(seed: int, position: int) -> int:
    """Return the draw, of 64 random bits, by which a record is chosen for a place."""
    return int(_philox(seed, _CHOICES, position).random_raw())


def skip_draw(seed: int, stop: int) -> int:
    """Return how many records are skipped at the start: one of `range(stop)`."""
    check_seed(seed)
    return below(int(_philox(seed, _SKIP, 0).random_raw()), stop)


def order_keys(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return random keys, uint64, that shuffle an epoch when sorted."""
    return _philox(seed, _ORDER, epoch).random_raw(count)


def draws_of(seed: int, place: int, number: int) -> np.random.Philox:
    """Return the source of the random values of a batch.

    Args:
        seed: The dataset's seed.
        place: Which of several blobs they are for.
        number: The batch's number.
    """
    return _philox(seed, _VALUES + place, number)


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
