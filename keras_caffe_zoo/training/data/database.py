"""Caffe's LMDB databases of Datum records."""

import io
import os
import threading
import weakref

import numpy as np
from google.protobuf.message import DecodeError
from PIL import Image

from keras_caffe_zoo.caffe import schema
from keras_caffe_zoo.pictures import picture_formats, read_picture
from keras_caffe_zoo.training.data.pictures import caffe_channels
from keras_caffe_zoo.training.data.pipeline import record_dataset
from keras_caffe_zoo.training.data.records import BadRecords
from keras_caffe_zoo.training.data.transform import Transform

_GRAY = ("1", "L", "I;16")  # Pillow's modes

# LMDB forbids to open a database twice in a process: datasets of it share it.
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
        color: Whether encoded pictures become BGR or grey; as they are stored if None.
        labels: Whether batches are `(images, labels)` or images alone.

    Returns:
        `tf.data.Dataset` of `(images, labels)`: float32 `(N, H, W, C)`, BGR or grey,
        and int32 `(N,)`.

    Raises:
        ImportError: If the package lmdb is not installed.
        ValueError: If there is no database, or a record is bad: it is no Datum, or of
            another size than the first without a crop.
    """
    return record_dataset(
        Datums(path, color),
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
    """The records of an LMDB.

    Args:
        path: The database: its folder, or its file.
        color: As in `decode_datum`.
    """

    def __init__(self, path: str | os.PathLike, color: bool | None = None):
        self._database, self._color = _database(path), color

    def __len__(self) -> int:
        return len(self._database.ends) - 1

    def name(self, index: int) -> str:
        """Return a record's key and database."""
        return f"key {self._database.key(index)!r} of {self._database.path}"

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Return an image `(H, W, C)` and its label."""
        return decode_datum(self._database.value(index), self._color)


class _Database:
    """An open LMDB and its keys, end to end in one array of bytes."""

    def __init__(self, path: str):
        lmdb = _lmdb()
        self.path = path
        try:
            self.environment = lmdb.open(
                path,
                subdir=os.path.isdir(path),
                readonly=True,
                lock=False,
                create=False,
            )
            self._check_size()
            self.keys, ends = bytearray(), [0]
            with self.environment.begin() as transaction:
                for key in transaction.cursor().iternext(values=False):
                    self.keys += key
                    ends.append(len(self.keys))
        except lmdb.Error as error:
            raise ValueError(f"Expected an LMDB; received: {path} ({error})") from error
        self.ends = np.array(ends, "int64")
        if len(ends) == 1:
            raise ValueError(f"Expected an LMDB with records; received: {path}, empty")

    def key(self, index: int) -> bytes:
        return bytes(self.keys[self.ends[index] : self.ends[index + 1]])

    def value(self, index: int) -> bytes:
        with self.environment.begin() as transaction:
            value = transaction.get(self.key(index))
        if value is None:
            raise ValueError("Expected the record in the database; received: none")
        return value

    def _check_size(self) -> None:
        # LMDB maps the file: to read beyond its end would kill the process.
        path = self.environment.path()
        file = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
        pages = self.environment.info()["last_pgno"] + 1
        needed = pages * self.environment.stat()["psize"]
        if os.path.getsize(file) < needed:
            raise ValueError(
                f"Expected at least {needed} bytes in {file}; received: "
                f"{os.path.getsize(file)}. The database is truncated"
            )


def _database(path: str | os.PathLike) -> _Database:
    path = os.path.realpath(path)
    with _opening:
        database = _open.get(path)
        if database is None:
            database = _open[path] = _Database(path)
    return database


def _lmdb():
    try:
        import lmdb
    except ImportError as error:
        raise ImportError(
            "Expected the package that reads LMDB; received: "
            f'{error}. Install it with: pip install "keras_caffe_zoo[lmdb]"'
        ) from error
    return lmdb


def decode_datum(value: bytes, color: bool | None = None) -> tuple[np.ndarray, int]:
    """Return the image and the label of a serialized Datum.

    Args:
        value: The bytes. Its pixels are uint8 `data`, or `float_data`, (C, H, W) in
            Caffe's order, or an `encoded` picture such as a JPEG.
        color: Whether an encoded picture becomes BGR or grey; as it is stored if None.
            Caffe has no such choice for pixels that are not encoded.

    Returns:
        Array `(H, W, C)`, BGR or grey, uint8 or float32; and the label.

    Raises:
        ValueError: If the bytes are no Datum, its sizes are not those of its data, or
            the picture in it cannot be read.
    """
    try:
        datum = schema.Datum.FromString(bytes(value))
    except DecodeError as error:
        raise ValueError(
            f"Expected a serialized Datum; received: {len(value)} bytes of something "
            f"else ({error})"
        ) from None
    if datum.encoded:
        return _picture(datum.data, color), datum.label
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
    return np.moveaxis(pixels.reshape(shape), 0, -1), datum.label


def _picture(data: bytes, color: bool | None) -> np.ndarray:
    image = read_picture(data)
    if color is None:
        with Image.open(io.BytesIO(data), formats=picture_formats()) as picture:
            color = not picture.mode.startswith(_GRAY)
    return caffe_channels(image, gray=not color)
