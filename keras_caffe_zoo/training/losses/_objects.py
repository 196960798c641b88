"""What there is to be detected in images: SSD's rows, and ours."""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_caffe_zoo.layers import _nms

_SIZE = 8  # of a row: item, class, instance, x1, y1, x2, y2, difficult


class Objects(NamedTuple):
    """The objects of each image.

    Attributes:
        labels: (N, G) of int32: their classes.
        corners: (N, G, 4): x1, y1, x2, y2.
        used: (N, G) of bool: whether the row is an object.
        wrong: (N, 1) of bool: whether one of them cannot be.
    """

    labels: Any
    corners: Any
    used: Any
    wrong: Any

    def labels_of(self, found):
        """Return the classes of objects by their numbers, (N, …); negative ones too."""
        flat = ops.reshape(ops.maximum(found, 0), (ops.shape(found)[0], -1))
        labels = ops.take_along_axis(self.labels, flat, axis=1)
        return ops.reshape(labels, ops.shape(found))

    def corners_of(self, found):
        """Return the corners of objects by their numbers, (N, …, 4)."""
        flat = ops.reshape(ops.maximum(found, 0), (ops.shape(found)[0], -1))
        corners = _nms.rows_at(self.corners, flat)
        return ops.reshape(corners, (*ops.shape(found), 4))


def read_objects(y_true, background: int, classes: int | None, difficult: bool):
    """Return the objects that rows of SSD's stand for.

    Args:
        y_true: (N, G, 8).
        background: The class that is none.
        classes: How many there are, if it matters.
        difficult: Whether objects count that are marked as such.

    Raises:
        ValueError: If they are no such rows.
    """
    rows = ops.cast(ops.convert_to_tensor(y_true), "float32")
    shape = tuple(rows.shape)
    if len(shape) != 3 or shape[2] != _SIZE:
        raise ValueError(
            f"Expected objects (N, G, {_SIZE}); received shape: {shape}. `box_targets` "
            "makes them of SSD's blob (1, 1, G, 8)."
        )
    if shape[1] in (0, None):  # so that there is a row
        rows = ops.pad(rows, ((0, 0), (0, 1), (0, 0)), constant_values=-1)
    rows = ops.stop_gradient(rows)
    labels, corners = ops.trunc(rows[..., 1]), rows[..., 3:7]
    absent = ops.logical_or(ops.trunc(rows[..., 0]) < 0, labels < 0)
    absent = ops.logical_or(absent, ops.equal(labels, float(background)))
    if not difficult:
        absent = ops.logical_or(absent, ops.not_equal(rows[..., 7], 0))
    used = ops.logical_not(absent)
    right = ops.all(ops.isfinite(corners), axis=-1)
    right = ops.logical_and(
        right, labels < float(2**31 if classes is None else classes)
    )
    wrong = ops.logical_and(used, ops.logical_not(right))
    used = ops.logical_and(used, right)
    labels = ops.cast(ops.where(used, labels, -1.0), "int32")
    corners = ops.where(used[..., None], corners, 0.0)
    return Objects(labels, corners, used, ops.any(wrong, axis=1, keepdims=True))


def box_targets(blob, items: int, most: int | None = None) -> np.ndarray:
    """Return the objects in a blob of SSD's, image by image, as `MultiBoxLoss` has it.

    Args:
        blob: (1, 1, G, 8), of which each row begins with the number of its image; what
            an AnnotatedData layer makes of its labels.
        items: How many images there are.
        most: Rows for each image; as many as the fullest has if `None`.

    Returns:
        (items, most, 8), float32; rows of -1 where there is no object.

    Raises:
        ValueError: If the blob has another shape, objects of other images, or more of
            one than there are rows for.

    Example:
        >>> objects = [[0, 5, 0, 0, 0, 0.5, 0.5, 0], [1, 2, 0, 0, 0, 1, 1, 0],
        ...            [1, 7, 1, 0, 0, 1, 0.5, 0]]  # one in the first image, then two
        >>> targets = kcz.training.box_targets(np.array([[objects]]), items=2)
        >>> targets.shape, targets[:, :, 1].tolist()
        ((2, 2, 8), [[5.0, -1.0], [2.0, 7.0]])
    """
    blob = np.asarray(blob, "float32")
    shape = (1, 1, *blob.shape)[-4:]
    if len(blob.shape) < 2 or shape[:2] != (1, 1) or shape[3] != _SIZE:
        raise ValueError(
            f"Expected a blob (1, 1, G, {_SIZE}); received shape: {blob.shape}."
        )
    rows = blob.reshape(-1, _SIZE)
    rows = rows[np.trunc(rows[:, 0]) != -1]
    owners = rows[:, 0].astype(int)
    counts = np.bincount(owners[owners >= 0], minlength=items)
    if len(counts) > items or (owners < 0).any():
        raise ValueError(
            f"Expected objects of {items} images, counted from 0; received one of "
            f"image {owners.min() if owners.min() < 0 else owners.max()}."
        )
    fullest = max(counts, default=0)
    most = max(fullest, 1) if most is None else most
    if fullest > most:
        raise ValueError(
            f"Expected at most {most} objects in an image; received: {fullest}."
        )
    found = np.full((items, most, _SIZE), -1, "float32")
    for item in range(items):
        own = rows[owners == item]
        found[item, : len(own)] = own
    return found
