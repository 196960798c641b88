"""Caffe's databases of Datum records, LMDB and LevelDB."""

import importlib
import os
import re
import threading
import weakref
from collections.abc import Iterator

import numpy as np
from google.protobuf.message import DecodeError

from keras_caffe_zoo.caffe import schema
from keras_caffe_zoo.pictures import read_bgr, read_grey, read_stored
from keras_caffe_zoo.training.data.pipeline import record_dataset
from keras_caffe_zoo.training.data.records import BadRecords
from keras_caffe_zoo.training.data.transform import Transform

_CURRENT = "CURRENT"  # LevelDB's file that names another
_MANIFEST = re.compile(rb"MANIFEST-[0-9]+\n")

# A database may be open once in a process: datasets of it share it.
_open: "weakref.WeakValueDictionary[str, _Database]" = weakref.WeakValueDictionary()
_opening = threading.Lock()


def lmdb_dataset(
    path: str | os.PathLike,
    *,
    transform: Transform | None = None,
    batch_size: int = 32,
    shuffle: bool = False,
    seed: int = 0,
    repeat: bool = False,
    resume=None,
    bad_records: BadRecords | None = None,
    color: bool | None = None,
    labels: bool = True,
):
    """Return an LMDB of Datum records, as Caffe's Data layer reads it.

    Records come in the order of their keys, which are listed once: some dozen bytes of
    memory a record. The database is opened for reading alone and without a lock.

    Args:
        path: The database: its folder, or its file.
        transform: What is done to each image; nothing if None.
        batch_size: Records in a batch; an epoch's last batch may be smaller.
        shuffle: Whether each epoch is shuffled anew. Caffe never does.
        seed: Chooses orders, crops and mirrors.
        repeat: Whether the dataset is endless; batches then run over the end of an
            epoch, as Caffe's do.
        resume: The compiled model that is trained, to go on where it is: see
            `image_dataset`.
        bad_records: Where records that cannot be read are counted and named; without
            it the first of them is an error.
        color: Whether encoded pictures become BGR or grey; as they are stored if None:
            see `decode_datum`.
        labels: Whether batches are `(images, labels)` or images alone.

    Returns:
        `tf.data.Dataset` of `(images, labels)`: float32 `(N, H, W, C)`, BGR or grey,
        and int32 `(N,)`.

    Raises:
        ImportError: If the package lmdb is not installed.
        ValueError: If there is no database, or a record is bad: it is no Datum, or of
            another size than the first without a crop.

    Example:
        >>> import lmdb
        >>> from keras_caffe_zoo.caffe.schema import Datum
        >>> pixels = bytes([1, 2, 3, 4])
        >>> datum = Datum(channels=1, height=2, width=2, data=pixels, label=7)
        >>> with lmdb.open("train_lmdb") as database:
        ...     with database.begin(write=True) as writer:
        ...         _ = writer.put(b"00000000", datum.SerializeToString())
        >>> ((images, labels),) = kcz.training.lmdb_dataset("train_lmdb")
        >>> images.numpy()[0, :, :, 0].tolist(), labels.numpy().tolist()
        ([[1.0, 2.0], [3.0, 4.0]], [7])
    """
    return record_dataset(
        Datums(path, color, "LMDB"),
        transform or Transform(),
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        repeat=repeat,
        resume=resume,
        bad_records=bad_records,
        labels=labels,
    )


def leveldb_dataset(
    path: str | os.PathLike,
    *,
    transform: Transform | None = None,
    batch_size: int = 32,
    shuffle: bool = False,
    seed: int = 0,
    repeat: bool = False,
    resume=None,
    bad_records: BadRecords | None = None,
    color: bool | None = None,
    labels: bool = True,
):
    """Return a LevelDB of Datum records, as Caffe's Data layer reads it.

    LevelDB cannot only read: it takes a lock in the database's folder, so that one
    process at a time has it open, this one as long as it has a dataset or an iterator
    of it; and it may write what stands in its log into tables. No record is changed.
    Where that must not be, give it a copy of the folder.

    Args:
        path: The database's folder, which must be writable.
        transform: What is done to each image; nothing if None.
        batch_size: Records in a batch; an epoch's last batch may be smaller.
        shuffle: Whether each epoch is shuffled anew. Caffe never does.
        seed: Chooses orders, crops and mirrors.
        repeat: Whether the dataset is endless.
        resume: The compiled model that is trained, to go on where it is.
        bad_records: Where records that cannot be read are counted and named.
        color: Whether encoded pictures become BGR or grey; as they are stored if None.
        labels: Whether batches are `(images, labels)` or images alone.

    Returns:
        `tf.data.Dataset`, as that of `lmdb_dataset`.

    Raises:
        ImportError: If the package plyvel is not installed.
        ValueError: If there is no database, it is damaged or open elsewhere, or a
            record is bad.

    Example:
        >>> import plyvel
        >>> from keras_caffe_zoo.caffe.schema import Datum
        >>> pixels = bytes([1, 2, 3, 4])
        >>> datum = Datum(channels=1, height=2, width=2, data=pixels, label=7)
        >>> with plyvel.DB("train_leveldb", create_if_missing=True) as database:
        ...     database.put(b"00000000", datum.SerializeToString())
        >>> ((images, labels),) = kcz.training.leveldb_dataset("train_leveldb")
        >>> images.numpy()[0, :, :, 0].tolist(), labels.numpy().tolist()
        ([[1.0, 2.0], [3.0, 4.0]], [7])
    """
    return record_dataset(
        Datums(path, color, "LEVELDB"),
        transform or Transform(),
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        repeat=repeat,
        resume=resume,
        bad_records=bad_records,
        labels=labels,
    )


class Datums:
    """The records of a database.

    Args:
        path: The database: its folder, or an LMDB's file.
        color: As in `decode_datum`.
        backend: `"LMDB"` or `"LEVELDB"`; what its files tell if None.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        color: bool | None = None,
        backend: str | None = None,
    ):
        self._database = open_database(path, backend or backend_of(path, "LMDB"))
        self._color = color

    def __len__(self) -> int:
        return len(self._database)

    def name(self, index: int) -> str:
        """Return a record's key and database."""
        return f"key {self._database.key(index)!r} of {self._database.path}"

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Return an image `(H, W, C)` and its label."""
        return decode_datum(self._database.value(index), self._color)


class _Database:
    """An open database and its keys, end to end in one array of bytes."""

    def __init__(self, path: str):
        self.path = path
        self._keys, ends = bytearray(), [0]
        for key in self._opened(path):
            self._keys += key
            ends.append(len(self._keys))
        self._ends = np.array(ends, "int64")
        if len(ends) == 1:
            raise ValueError(
                f"Expected {self.kind} with records; received: {path}, empty"
            )

    def __len__(self) -> int:
        return len(self._ends) - 1

    def key(self, index: int) -> bytes:
        """Return a record's key."""
        return bytes(self._keys[self._ends[index] : self._ends[index + 1]])

    def value(self, index: int) -> bytes:
        """Return a record."""
        value = self._get(self.key(index))
        if value is None:
            raise ValueError("Expected the record in the database; received: none")
        return value


class _Lmdb(_Database):
    kind = "an LMDB"

    def _opened(self, path: str) -> Iterator[bytes]:
        lmdb = _package("lmdb", "lmdb")
        try:
            self._environment = lmdb.open(
                path,
                subdir=os.path.isdir(path),
                readonly=True,
                lock=False,
                create=False,
            )
            self._check_size()
            with self._environment.begin() as transaction:
                yield from transaction.cursor().iternext(values=False)
        except lmdb.Error as error:
            raise ValueError(f"Expected an LMDB; received: {path} ({error})") from error

    def _get(self, key: bytes) -> bytes | None:
        with self._environment.begin() as transaction:
            return transaction.get(key)

    def _check_size(self) -> None:
        # LMDB maps the file: to read beyond its end would kill the process.
        path = self._environment.path()
        file = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
        pages = self._environment.info()["last_pgno"] + 1
        needed = pages * self._environment.stat()["psize"]
        if os.path.getsize(file) < needed:
            raise ValueError(
                f"Expected at least {needed} bytes in {file}; received: "
                f"{os.path.getsize(file)}. The database is truncated"
            )


class _LevelDb(_Database):
    kind = "a LevelDB"

    def _opened(self, path: str) -> Iterator[bytes]:
        plyvel = _package("plyvel", "leveldb")
        _check_manifest(path)
        try:
            self._database = plyvel.DB(path, create_if_missing=False)
            with self._database.iterator(
                include_value=False, verify_checksums=True, fill_cache=False
            ) as keys:
                yield from keys
        except plyvel.Error as error:
            raise ValueError(
                f"Expected a LevelDB that is whole, writable and open nowhere else; "
                f"received: {path} ({error})"
            ) from error
        self._error = plyvel.Error

    def _get(self, key: bytes) -> bytes | None:
        try:
            return self._database.get(key, verify_checksums=True, fill_cache=False)
        except self._error as error:
            raise ValueError(f"Expected a record; received: {error}") from error


def _check_manifest(path: str) -> None:
    """Refuse what is no LevelDB, which would be made one of; and names of elsewhere."""
    current = os.path.join(path, _CURRENT)
    if not os.path.isfile(current):
        raise ValueError(
            f"Expected a LevelDB, a folder with a file {_CURRENT}; received: {path}"
        )
    with open(current, "rb") as file:
        name = file.read(100)
    if not _MANIFEST.fullmatch(name):
        raise ValueError(
            f"Expected the name of a MANIFEST in {current}; received: {name!r}"
        )


_KINDS = {"LMDB": _Lmdb, "LEVELDB": _LevelDb}


def backend_of(path: str | os.PathLike, told: str) -> str:
    """Return which database a place holds, `"LMDB"` or `"LEVELDB"`.

    Args:
        path: The database.
        told: What a prototxt says it is, which counts where its files do not tell.
    """
    path = os.fspath(path)
    is_lmdb = os.path.isfile(os.path.join(path, "data.mdb")) or os.path.isfile(path)
    if is_lmdb == os.path.isfile(os.path.join(path, _CURRENT)):
        return told
    return "LMDB" if is_lmdb else "LEVELDB"


def open_database(path: str | os.PathLike, backend: str) -> _Database:
    """Return a database for reading; the same one while it is open.

    Args:
        path: Its folder, or an LMDB's file.
        backend: `"LMDB"` or `"LEVELDB"`.

    Returns:
        Object with a length, `key(index)`, `value(index)`, which are bytes, in the
        order of the keys, and its `path`.

    Raises:
        ImportError: If the package that reads it is not installed.
        ValueError: If there is none, or it is empty or damaged.
    """
    path = os.path.realpath(path)
    with _opening:
        database = _open.get(path)
        if not isinstance(database, _KINDS[backend]):
            database = _open[path] = _KINDS[backend](path)
    return database


def _package(name: str, extra: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"Expected the package {name}, which reads such a database; received: "
            f'{error}. Install it with: pip install "keras_caffe_zoo[{extra}]"'
        ) from error


def decode_datum(value: bytes, color: bool | None = None) -> tuple[np.ndarray, int]:
    """Return the image and the label of a serialized Datum.

    Args:
        value: The bytes. Its pixels are uint8 `data`, or `float_data`, (C, H, W) in
            Caffe's order, or an `encoded` picture such as a JPEG.
        color: Whether an encoded picture becomes BGR or grey, as Caffe's `force_color`
            and `force_gray` make it; as it is stored if None: then four channels, BGRA,
            where there is transparency, and not turned by its EXIF orientation. Caffe
            has no such choice for pixels that are not encoded.

    Returns:
        Array `(H, W, C)`, BGR, BGRA or grey, uint8 or float32; and the label.

    Raises:
        ValueError: If the bytes are no Datum, its sizes are not those of its data, or
            the picture in it cannot be read, or is to stay as stored and has 16 bits a
            channel, which Caffe refuses.
    """
    try:
        datum = schema.Datum.FromString(bytes(value))
    except DecodeError as error:
        raise ValueError(
            f"Expected a serialized Datum; received: {len(value)} bytes of something "
            f"else ({error})"
        ) from None
    if datum.encoded:
        return _READERS[color](datum.data), datum.label
    shape = (datum.channels, datum.height, datum.width)
    count = len(datum.data) or len(datum.float_data)
    if min(shape) < 1 or shape[0] * shape[1] * shape[2] != count:
        raise ValueError(
            "Expected a Datum with as many values as channels x height x width; "
            f"received: {count} values for {' x '.join(map(str, shape))}"
        )
    if datum.data:
        pixels = np.frombuffer(datum.data, "uint8")
    else:
        pixels = np.array(datum.float_data, "float32")
    return pixels.reshape(shape).transpose(1, 2, 0), datum.label


_READERS = {True: read_bgr, False: read_grey, None: read_stored}
