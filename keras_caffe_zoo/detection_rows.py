"""What a net detected, as Caffe gives it: as many rows as there are detections."""

from collections.abc import Mapping

import numpy as np

from keras_caffe_zoo.messages import there_are


def detections(y) -> np.ndarray:
    """Return the rows that Caffe's detection layers give for a model's output.

    A model's output has room for as many detections of each item as there can be, and
    rows that stand for none have the label -1. Caffe's has only those that there are.

    Args:
        y: (N, keep_top_k, 7), the output of a `DetectionOutput` or a YOLO layer:
            item, label, score, x1, y1, x2, y2; the corners as fractions of the image.

    Returns:
        (detections, 7) float32, by item and as the layer orders them: by label and
        falling score. As in Caffe there is one row for each item, (item, -1, -1, …), if
        there is no detection at all.

    Raises:
        ValueError: If `y` is not such an output.

    Example:
        >>> y = np.full((1, 3, 7), -1.0)  # room for three detections
        >>> y[0, 0] = [0, 12, 0.75, 0.25, 0.5, 0.5, 1]
        >>> kcz.detections(y).tolist()  # item, label, score, corners
        [[0.0, 12.0, 0.75, 0.25, 0.5, 0.5, 1.0]]
    """
    if isinstance(y, Mapping):
        raise ValueError(
            "Expected the output of one layer that detects; received a dict of "
            f"outputs. Give one of them. {there_are(y)}."
        )
    rows = np.array(y, np.float32)
    if rows.ndim != 3 or rows.shape[2] != 7:
        raise ValueError(
            "Expected the output of a layer that detects, of shape (N, rows, 7); "
            f"received shape: {rows.shape}."
        )
    rows[:, :, 0] = np.arange(len(rows))[:, None]
    found = rows[rows[:, :, 1] >= 0]
    if len(found):
        return found
    none = np.full((len(rows), 7), -1, np.float32)
    none[:, 0] = np.arange(len(rows))
    return none


def with_spare_rows(rows: np.ndarray, items: int, room: int) -> np.ndarray:
    """Return a model's output of the rows that Caffe's layers give; see `detections`.

    Args:
        rows: (…, 7), by item.
        items: How many items there are.
        room: How many rows each of them has.
    """
    rows = rows.reshape(-1, 7)
    rows = rows[rows[:, 1] >= 0]
    item = rows[:, 0].astype(int)
    found = np.full((items, room, 7), -1, np.float32)
    found[:, :, 0] = np.arange(items)[:, None]
    found[item, np.arange(len(rows)) - np.searchsorted(item, item)] = rows
    return found
