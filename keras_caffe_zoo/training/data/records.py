"""Records: read and transformed one at a time; the bad ones named, never dropped."""

import os
import threading
import warnings
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Protocol

import numpy as np

from keras_caffe_zoo.pictures import PictureError

_PARTS = 4  # of a batch, for each thread: some parts take longer than others
_MOST_THREADS = 32


class Records(Protocol):
    """Images with labels, each by its index."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return what to call a record in an error: a file and line, or a key."""

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Return an image, uint8 or float32 `(H, W, C)`, BGR or grey, and a label."""


class Loader:
    """Reads and transforms records, one at a time or a batch; thread-safe.

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

    def __init__(
        self, records, transform, seed, bad_records=None, sizes_vary=False
    ) -> None:
        self.records, self.transform, self.seed = records, transform, seed
        self.bad_records, self.shape = bad_records, (None, None, None)
        self._threads = min(os.cpu_count() or 1, _MOST_THREADS)
        self._pool = ThreadPoolExecutor(self._threads, "records")
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

    def batch(self, positions, indices):
        """Return the images and labels of a batch, without those that are bad.

        Its records are loaded by several threads: pictures are decoded outside of
        Python's lock.

        Raises:
            ValueError: If the first of bad records is not to be left out, or all are.
        """
        count = len(indices)
        if count == 1:  # whose size may be its own
            image, label, readable = self(positions[0], indices[0])
            images, labels = image[None], np.array([label], "int32")
            readable = np.array([readable])
        else:
            images = np.empty((count, *self.shape), "float32")
            labels, readable = np.empty(count, "int32"), np.empty(count, bool)

            def load(part: range) -> None:
                for i in part:
                    one = self(positions[i], indices[i])
                    images[i], labels[i], readable[i] = one

            self._in_parts(load, count)
        if readable.all():
            return images, labels
        self.require_some(readable)
        return images[readable], labels[readable]

    def images(self, positions, indices) -> np.ndarray:
        """Return the images of a batch, as `batch` does, without the labels."""
        return self.batch(positions, indices)[0]

    def _in_parts(self, load, count: int) -> None:
        """Call a function with each part of `range(count)`, in several threads.

        No more is asked of them than they do at once: Python does not exit before all
        that it was asked for is done.

        Raises:
            Exception: That of the first part that has one.
            StopIteration: If threads take no more, since Python exits.
        """
        step = -(-count // (_PARTS * self._threads))
        parts, running = [], set()
        for start in range(0, count, step):
            if len(running) == self._threads:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                if any(part.exception() for part in ended):
                    break
            part = range(start, min(start + step, count))
            try:
                parts.append(self._pool.submit(load, part))
            except RuntimeError as error:
                # Python exits. Of all errors, TensorFlow tells this to readers only.
                raise StopIteration(str(error)) from error
            running.add(parts[-1])
        for part in parts:
            part.result()

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


class BadRecords:
    """Collects the records that cannot be read; the batches go without them.

    A batch with a bad record is smaller by one. It is not filled up with the next
    record, so that each record keeps its place when training is resumed. A batch in
    which no record can be read is an error all the same.

    Each bad record is named in a warning when it is first met.

    Args:
        limit: How many records to name; all are counted.

    Attributes:
        count: How many different records were bad.
        records: The first of them, as `(name, reason)`.

    Example:
        >>> import warnings
        >>> from PIL import Image
        >>> Image.new("L", (4, 4)).save("good.png")
        >>> with open("bad.png", "w") as file:
        ...     _ = file.write("no picture")
        >>> bad, none = kcz.training.BadRecords(), np.zeros((0, 5))
        >>> records = [("good.png", none), ("bad.png", none)]
        >>> with warnings.catch_warnings(action="ignore"):  # each is told of
        ...     data = kcz.training.annotated_dataset(records, bad_records=bad)
        ...     sizes = [len(images) for images, _ in data]
        >>> sizes, bad.count, [name for name, reason in bad.records]
        ([1], 1, ['bad.png'])
    """

    def __init__(self, limit: int = 1000):
        self.limit, self.count = limit, 0
        self.records: list[tuple[str, str]] = []
        self._seen: set[int] = set()  # hashes: a million names would be too long
        self._lock = threading.Lock()

    def add(self, name: str, reason: str) -> None:
        """Count a bad record, and name it if it is new.

        Args:
            name: The record: a file and where it is listed, or a key.
            reason: Why it cannot be read.
        """
        with self._lock:
            if hash(name) in self._seen:
                return
            self._seen.add(hash(name))
            self.count += 1
            if self.count <= self.limit:
                self.records.append((name, reason))
        if self.count <= self.limit:
            warnings.warn(f"Left out a bad record: {name}: {reason}", stacklevel=2)
        elif self.count == self.limit + 1:
            warnings.warn(
                f"More than {self.limit} bad records; the others are counted and not "
                "named",
                stacklevel=2,
            )

    def __str__(self):
        if not self.count:
            return "No bad records"
        lines = [f"{self.count} bad record{'s' if self.count > 1 else ''}:"]
        lines += [f"  {name}: {reason}" for name, reason in self.records]
        rest = self.count - len(self.records)
        return "\n".join([*lines, *([f"  and {rest} more"] if rest else [])])

    def __repr__(self):
        return f"BadRecords(count={self.count})"
