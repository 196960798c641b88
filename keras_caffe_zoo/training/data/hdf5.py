"""Caffe's HDF5Data: a list of HDF5 files with one dataset for each top."""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from keras_caffe_zoo.caffe.hdf5 import own_dataset
from keras_caffe_zoo.files import last_part, open_file
from keras_caffe_zoo.kinds import HEAD, kind_of
from keras_caffe_zoo.training.data.order import Order
from keras_caffe_zoo.training.data.pipeline import dataset_of, sequence

_MOST_TEXT = 1 << 28
_MOST_NUMBERS = 1 << 26  # of a row: what a small file says of itself may be anything
# What h5py raises of damage.
_DAMAGE = (OSError, KeyError, RuntimeError, TypeError, ValueError)


def hdf5_dataset(
    listfile: str | os.PathLike,
    *,
    tops: Sequence[str] = ("data", "label"),
    batch_size: int = 32,
    shuffle: bool = False,
    seed: int = 0,
    repeat: bool = False,
    resume=None,
    root: str | os.PathLike | None = None,
):
    """Return the rows of HDF5 files, as Caffe's HDF5Data layer reads them.

    Rows are read a batch at a time, whatever the size of a file. There is no transform:
    Caffe forbids one here.

    Args:
        listfile: A text file with the path of an HDF5 file on each line.
        tops: Names of the datasets in each file.
        batch_size: Rows in a batch; an epoch's last batch may be smaller.
        shuffle: Whether each epoch takes the files, and the rows in each, in a new
            order, as Caffe does.
        seed: Chooses the orders.
        repeat: Whether the dataset is endless; batches then run over the end of an
            epoch, as Caffe's do.
        resume: The compiled model that is trained, to go on where it is: see
            `image_dataset`.
        root: Folder that the paths are relative to, and then none may lie outside it;
            if None, they are relative to the list's folder or absolute. A file that
            is not there is looked for in the folder, by the last part of its path:
            Caffe's own lists are relative to where it was started.

    Returns:
        `tf.data.Dataset` of float32, as Caffe has it for labels too: `(x, y)` for two
        tops, one array for one, else a dict by top. Four axes (N, C, H, W) become
        `(N, H, W, C)`.

    Raises:
        ValueError: If a file is none of HDF5, lacks a dataset, or has datasets of
            different numbers of rows, or of another shape than the first file's.
        OSError: If a file cannot be opened.

    Example:
        >>> import h5py
        >>> with h5py.File("train.h5", "w") as file:
        ...     file["data"], file["label"] = np.zeros((5, 3, 8, 9)), np.arange(5)
        >>> with open("train.txt", "w") as file:
        ...     _ = file.write("train.h5")
        >>> for images, labels in kcz.training.hdf5_dataset("train.txt", batch_size=3):
        ...     print(images.shape, labels.numpy().tolist())  # channels last
        (3, 8, 9, 3) [0.0, 1.0, 2.0]
        (2, 8, 9, 3) [3.0, 4.0]
    """
    import tensorflow as tf

    files = _Files(_paths(Path(listfile), root), tuple(tops))
    specs = [tf.TensorSpec((None, *_last(s)), tf.float32) for s in files.shapes]
    order = Order(files.rows, batch_size, shuffle, seed, repeat)

    def load(batch):
        return _structure(files.read(batch[1]), tops)

    def batches(order, start, stop=None):
        rows = sequence(order, start, stop, load, _structure(specs, tops))
        return rows.prefetch(tf.data.AUTOTUNE)

    return dataset_of(batches, order, resume)


class _Files:
    """The rows of several files, one after the other."""

    def __init__(self, paths: list[str], tops: tuple[str, ...]):
        if not tops:
            raise ValueError("Expected at least one top; received: none")
        self.paths, self.tops = paths, tops
        self.rows: list[int] = []
        self.shapes: list[tuple[int, ...]] = []
        for path in paths:
            with _file(path) as file:
                shapes = [_dataset(file, path, top).shape for top in tops]
            self._add(path, shapes)
        self._starts = np.cumsum([0, *self.rows])

    def _add(self, path: str, shapes) -> None:
        if len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                f"Expected as many rows in each of {', '.join(self.tops)}; received: "
                f"{shapes} in {path}"
            )
        self.shapes = self.shapes or [tuple(shape[1:]) for shape in shapes]
        if self.shapes != [tuple(shape[1:]) for shape in shapes]:
            raise ValueError(
                f"Expected rows of {self.shapes}, as in {self.paths[0]}; received: "
                f"{shapes} in {path}"
            )
        self.rows.append(shapes[0][0])

    def read(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return rows of each top, channels last."""
        out = [np.empty((len(indices), *s), "float32") for s in self.shapes]
        of_file = np.searchsorted(self._starts, indices, side="right") - 1
        for number in np.unique(of_file):
            places = np.flatnonzero(of_file == number)
            rows = indices[places] - self._starts[number]
            path = self.paths[number]
            with _file(path) as file:
                for top, values in zip(self.tops, out, strict=True):
                    values[places] = _rows(_dataset(file, path, top), rows, path)
        return [_channels_last(values) for values in out]


def _rows(dataset, rows: np.ndarray, path: str) -> np.ndarray:
    """Return rows of a dataset in any order."""
    try:
        if np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            return dataset[rows[0] : rows[0] + len(rows)]
        rows, inverse = np.unique(rows, return_inverse=True)  # HDF5 wants them sorted
        return dataset[rows][inverse]
    except _DAMAGE as error:
        raise ValueError(
            f"Expected rows that can be read; received: {dataset.name} of {path}, rows "
            f"{rows.min()} to {rows.max()}: {error}"
        ) from error


@contextlib.contextmanager
def _file(path: str) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (FileNotFoundError, PermissionError) as error:
        raise type(error)(f"{path}: {error}") from error
    except _DAMAGE as error:
        if isinstance(error, ValueError) and path in str(error):
            raise  # it is told already
        raise ValueError(
            f"Expected an HDF5 file; received: {path} ({error})"
        ) from error


def _dataset(file: h5py.File, path: str, top: str) -> h5py.Dataset:
    """Return a file's dataset, which must be in that file."""
    dataset = own_dataset(file, top)
    if dataset is None:
        raise ValueError(
            f"Expected a dataset {top!r} in {path}, of numbers that are in that file; "
            f"received: {sorted(file)}"
        )
    if dataset.dtype.kind not in "fiu" or not dataset.ndim:
        raise ValueError(
            f"Expected rows of numbers in {top!r} of {path}; received: "
            f"{dataset.dtype} of shape {dataset.shape}"
        )
    size = math.prod(dataset.shape[1:])
    if size > _MOST_NUMBERS:
        raise ValueError(
            f"Expected rows of at most {_MOST_NUMBERS:,} numbers in {top!r} of {path}; "
            f"received: {size:,}"
        )
    return dataset


def _text_of(listfile: Path) -> str:
    expected = "a text file with the path of an HDF5 file on each line"
    with open_file(listfile, expected) as file:
        data = file.read(_MOST_TEXT)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        kind = kind_of(data[:HEAD]) or "which is no text"
    raise ValueError(f"Expected {expected}; received: {listfile}, {kind}")


def _paths(listfile: Path, root) -> list[str]:
    folder = os.path.abspath(listfile.parent if root is None else root)
    lines = [line.strip() for line in _text_of(listfile).splitlines()]
    paths = [os.path.join(folder, line) for line in lines if line]
    if not paths:
        raise ValueError(f"Expected paths of HDF5 files; received none: {listfile}")
    for path in paths if root is not None else ():
        inside = os.path.commonpath([folder, os.path.normpath(path)]) == folder
        if not inside:
            raise ValueError(f"Expected paths inside {folder}; received: {path}")
    return [_found(folder, path) for path in paths]


def _found(folder: str, path: str) -> str:
    beside = os.path.join(folder, last_part(path))
    return beside if not os.path.exists(path) and os.path.isfile(beside) else path


def _last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def _channels_last(values: np.ndarray) -> np.ndarray:
    if values.ndim != 4:
        return values
    return np.ascontiguousarray(np.moveaxis(values, 1, -1))


def _structure(values, tops):
    if len(tops) > 2:
        return dict(zip(tops, values, strict=True))
    return tuple(values) if len(tops) == 2 else values[0]
