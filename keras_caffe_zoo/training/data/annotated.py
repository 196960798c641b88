"""Pictures with boxes as SSD is trained on them: databases of its fork, and others."""

import os
from collections.abc import Sequence

import numpy as np
from google.protobuf.message import DecodeError

from keras_caffe_zoo.caffe import schema
from keras_caffe_zoo.training.data.annotated_transform import AnnotatedTransform
from keras_caffe_zoo.training.data.annotations import AnnotatedPictures
from keras_caffe_zoo.training.data.boxes import SIZE, filled_up, object_rows
from keras_caffe_zoo.training.data.database import Datums, decode_datum
from keras_caffe_zoo.training.data.order import Order
from keras_caffe_zoo.training.data.pipeline import loaded_dataset
from keras_caffe_zoo.training.data.records import BadRecords, Loader

_DATUMS = schema.Schema(
    """\
AnnotatedDatum
 1 datum Datum; 2 type AnnotationType; 3 annotation_group AnnotationGroup*
 enum AnnotationType: BBOX=0
AnnotationGroup
 1 group_label int32; 2 annotation Annotation*
Annotation
 1 instance_id int32=0; 2 bbox NormalizedBBox
NormalizedBBox
 1 xmin float; 2 ymin float; 3 xmax float; 4 ymax float; 5 label int32;
 6 difficult bool; 7 score float; 8 size float
""",
    "caffe_annotated_datum",
    schema.BASE,
)
AnnotatedDatum = _DATUMS.MESSAGES["AnnotatedDatum"]


def annotated_dataset(
    source,
    *,
    transform: AnnotatedTransform | None = None,
    batch_size: int = 32,
    shuffle: bool = False,
    seed: int = 0,
    repeat: bool = False,
    resume=None,
    bad_records: BadRecords | None = None,
    max_objects: int | None = None,
    labels: bool = True,
):
    """Return pictures and the objects on them, as `MultiBoxLoss` takes them.

    Args:
        source: The LMDB of the SSD fork, of AnnotatedDatum records: its folder or file;
            or a sequence of pairs of a picture (a path, or an RGB array) and its
            objects, an array `(G, 5)` or `(G, 6)`: label, x1, y1, x2, y2 as fractions
            of the picture, and whether it is difficult. Or `VOCPictures`,
            `COCOPictures`, `AnnotatedPictures`, or any other object that has their
            `__len__`, `name` and `read`.
        transform: What is done to each picture and its objects; nothing if None.
        batch_size: Pictures in a batch; an epoch's last batch may be smaller.
        shuffle: Whether each epoch is shuffled anew. The fork never does.
        seed: Chooses orders, and all that `transform` draws.
        repeat: Whether the dataset is endless; batches then run over the end of an
            epoch, as Caffe's do.
        resume: The compiled model that is trained, to go on where it is: see
            `image_dataset`.
        bad_records: Where records that cannot be read are counted and named; without
            it the first of them is an error.
        max_objects: Rows for each picture; if None, as many as the picture of the batch
            has that has most. A fixed number keeps compilers from compiling the model
            again for each: give one with Keras on JAX.
        labels: Whether batches are `(images, objects)` or images alone.

    Returns:
        `tf.data.Dataset` of `(images, objects)`: float32 `(N, H, W, C)`, BGR or grey,
        and float32 `(N, G, 8)`: item, class, instance, x1, y1, x2, y2, difficult,
        corners as fractions of the image; rows of -1 where there is no object.

    Raises:
        ValueError: If there are no records, or a record is bad: it cannot be read, is
            of another size than the first, or has more objects than `max_objects`.

    Example:
        >>> picture = np.zeros((4, 4, 3), "uint8")
        >>> records = [(picture, [[7, 0, 0, 0.5, 0.5]]), (picture, np.zeros((0, 5)))]
        >>> data = kcz.training.annotated_dataset(records, max_objects=2)
        >>> ((images, objects),) = data
        >>> tuple(images.shape), objects.numpy()[:, :, 1].tolist()  # classes, or -1
        ((2, 4, 4, 3), [[7.0, -1.0], [-1.0, -1.0]])
    """
    import tensorflow as tf

    if max_objects is not None and max_objects < 1:
        raise ValueError(
            f"Expected max_objects from 1 on, or None; received: {max_objects}"
        )
    records, transform = annotated_records(source), transform or AnnotatedTransform()
    order = Order(len(records), batch_size, shuffle, seed, repeat)
    vary = order.batch_size == 1 and not transform.one_size
    loader = _ObjectLoader(records, transform, seed, bad_records, max_objects, vary)
    images = tf.TensorSpec((None, *loader.shape), tf.float32)
    if not labels:
        return loaded_dataset(loader.images, images, order, resume)
    signature = images, tf.TensorSpec((None, max_objects, SIZE), tf.float32)
    return loaded_dataset(loader.batch, signature, order, resume)


def annotated_records(source, color: bool | None = None, typed: bool = True):
    """Return the records that a source of `annotated_dataset` stands for.

    Args:
        source: As there.
        color: As in `decode_datum`.
        typed: As in `decode_annotated_datum`.
    """
    if isinstance(source, str | os.PathLike):
        return AnnotatedDatums(source, color, typed)
    if hasattr(source, "read") and hasattr(source, "name"):
        return source
    if not isinstance(source, Sequence):
        raise ValueError(
            "Expected the path of an LMDB, a sequence of pairs of a picture and its "
            "objects, or records such as VOCPictures; received: "
            f"{type(source).__name__}"
        )
    return AnnotatedPictures(source)


class AnnotatedDatums(Datums):
    """The records of a database of AnnotatedDatum.

    Args:
        path: The database: its folder, or its file.
        color: As in `decode_datum`.
        typed: As in `decode_annotated_datum`.
    """

    def __init__(self, path, color: bool | None = None, typed: bool = True):
        super().__init__(path, color)
        self._typed = typed

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return an image `(H, W, C)` and its objects `(G, 8)`."""
        value = self._database.value(index)
        return decode_annotated_datum(value, self._color, self._typed)


def decode_annotated_datum(
    value: bytes, color: bool | None = None, typed: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the image and the objects of a serialized AnnotatedDatum.

    Args:
        value: The bytes.
        color: As in `decode_datum`.
        typed: Whether the record must say itself that its annotations are boxes; else
            the layer does, by its `anno_type`.

    Returns:
        Array `(H, W, C)`, BGR or grey; and float32 `(G, 8)`: item, class (that of the
        group), instance, x1, y1, x2, y2, difficult, in the order of the record.

    Raises:
        ValueError: If the bytes are no AnnotatedDatum, its annotations are no boxes, or
            the picture in it cannot be read.
    """
    try:
        record = AnnotatedDatum.FromString(bytes(value))
    except DecodeError as error:
        raise ValueError(
            f"Expected a serialized AnnotatedDatum; received: {len(value)} bytes of "
            f"something else ({error})"
        ) from None
    if typed and not record.HasField("type"):
        raise ValueError(
            "Expected an AnnotatedDatum of type BBOX; received: one without a type, "
            "whose label is that of its picture. For those use a Data layer"
        )
    image, _ = decode_datum(record.datum.SerializeToString(), color)
    found = [
        (group.group_label, one.instance_id, *_corners(one.bbox), one.bbox.difficult)
        for group in record.annotation_group
        for one in group.annotation
    ]
    given = np.array(found, "float64").reshape(-1, 7)
    rows = np.zeros((len(given), SIZE), "float32")
    rows[:, 1:] = given
    object_rows(rows[:, 1], rows[:, 3:7])  # checks them; their order is the record's
    return image, rows


def _corners(box) -> tuple[float, float, float, float]:
    return box.xmin, box.ymin, box.xmax, box.ymax


class _ObjectLoader(Loader):
    """Reads and transforms one picture and its objects at a time; thread-safe."""

    def __init__(
        self, records, transform, seed, bad_records, max_objects, vary
    ) -> None:
        self.max_objects = max_objects
        super().__init__(records, transform, seed, bad_records, vary)

    def __call__(self, position, index):
        """Return an image, its objects, and whether it could be read."""
        try:
            image, rows = self.records.read(int(index))
            image, rows = self.transform(image, rows, int(position), self.seed)
            self._check_shape(image.shape)
            return image, filled_up(rows, self.max_objects), True
        except Exception as error:  # a damaged picture makes Pillow raise anything
            self._bad(int(index), error)
            return None, None, False

    def batch(self, positions, indices):
        """Return the images and objects of a batch, without those that are bad.

        Raises:
            ValueError: If the first of bad records is not to be left out, or all are.
        """
        loaded: list[tuple] = [()] * len(indices)

        def load(part: range) -> None:
            for i in part:
                loaded[i] = self(positions[i], indices[i])

        self._in_parts(load, len(indices))
        self.require_some(np.array([readable for *_, readable in loaded]))
        images, objects = zip(*((x, y) for x, y, there in loaded if there), strict=True)
        most = max(map(len, objects))
        rows = np.stack([filled_up(rows, most) for rows in objects])
        items = np.arange(len(rows), dtype="float32")[:, None]
        rows[..., 0] = np.where(rows[..., 0] < 0, -1, items)
        return np.stack(images), rows
