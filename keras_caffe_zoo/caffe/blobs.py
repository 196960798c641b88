"""From a BlobProto to the array that pycaffe would show in `net.params`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import CaffeFormatError
from .raw_data import raw_values

MAX_AXES = 32
MAX_COUNT = 2**31 - 1
_LEGACY = ("num", "channels", "height", "width")


def is_legacy(blob: Any) -> bool:
    """Return whether a BlobProto gives its shape as num, channels, height, width."""
    return any(blob.HasField(name) for name in _LEGACY)


def blob_shape(blob: Any) -> tuple[int, ...]:
    """Return a BlobProto's shape as stored.

    Any of the four legacy fields makes it a 4-D legacy shape, absent ones being 0;
    otherwise `shape` counts, and no shape at all is a scalar (Caffe's `FromProto`).

    Raises:
        CaffeFormatError: If Caffe could not have written such a shape.
    """
    if is_legacy(blob):
        shape = tuple(getattr(blob, name) for name in _LEGACY)
    else:
        shape = tuple(blob.shape.dim)
    if len(shape) > MAX_AXES:
        raise CaffeFormatError(
            f"Expected a shape of at most {MAX_AXES} axes; received: {len(shape)}"
        )
    if min(shape, default=0) < 0 or math.prod(max(d, 1) for d in shape) > MAX_COUNT:
        raise CaffeFormatError(
            f"Expected dimensions of at least 0 and at most {MAX_COUNT:,} values; "
            f"received shape: {shape}"
        )
    return shape


def fit_legacy(shape: tuple[int, ...], rank: int | None) -> tuple[int, ...]:
    """Return a legacy shape without the leading 1s that the layer does not have.

    Legacy shapes are right-aligned: a bias of N values is (1, 1, 1, N). Only leading
    axes go, so a kernel of one output or of 1x1 pixels keeps its axes.

    Raises:
        CaffeFormatError: If an axis that would have to go is not 1.
    """
    if rank is None or rank >= len(shape):
        return shape
    surplus = len(shape) - rank
    if any(dim != 1 for dim in shape[:surplus]):
        raise CaffeFormatError(
            f"Expected a blob of {rank} axes, so (…, num, channels, height, width) "
            f"with {surplus} leading 1s; received shape: {shape}"
        )
    return shape[surplus:]


def check_count(blob: Any, count: int, unknown: list[int] = ()) -> None:
    """Raise unless `count` values fill the shape of `blob` exactly."""
    shape = blob_shape(blob)
    if math.prod(shape) != count:
        also = f" and unknown fields {unknown} (of a fork of Caffe)" if unknown else ""
        raise CaffeFormatError(
            f"Expected {math.prod(shape):,} values for shape {shape}; received: "
            f"{count:,}{also}. Save the net again with BVLC Caffe, or fetch it again"
        )


def text_values(blob: Any) -> np.ndarray:
    """Return the flat float32 values of a BlobProto that was read from text."""
    if len(blob.data) and len(blob.double_data):
        raise CaffeFormatError("Expected data or double_data; received: both")
    values = np.array(blob.data or blob.double_data, np.float64)
    if blob.HasField("raw_data"):
        values = _raw_values(blob, bool(values.size))
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _raw_values(blob: Any, has_data: bool) -> np.ndarray:
    type_ = blob.raw_data_type if blob.HasField("raw_data_type") else None
    try:
        return raw_values(blob.raw_data, type_, has_data)
    except ValueError as error:
        raise CaffeFormatError(str(error)) from None
