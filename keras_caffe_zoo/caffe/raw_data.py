"""Blob values as NVCaffe and OpenCV store them: bytes, and what numbers they are.

A blob then has `raw_data` in place of `data`, little endian, and `raw_data_type`.
Fields of these numbers and another wire type are another fork's, and passed over.
"""

from __future__ import annotations

import numpy as np

from .schema import ENUMS
from .wire import Payload, Run

RAW_FIELDS = {  # number: wire type; those of differences are passed over
    10: 0,  # raw_data_type
    11: 0,  # raw_diff_type
    12: 2,  # raw_data
    13: 2,  # raw_diff
}
_WIDTHS = {"DOUBLE": 8, "FLOAT": 4, "FLOAT16": 2}
_NAMES = {number: name for name, number in ENUMS["BlobProto.RawType"].items()}


def raw_run(payload: Payload) -> Run | None:
    """Return the run of a blob's raw data, `None` if it has none.

    Raises:
        ValueError: If it cannot be read; says why.
    """
    if payload.raw is None:
        return None
    start, stop = payload.raw
    width = _width(payload.raw_type, stop - start, bool(payload.runs))
    return Run(start, (stop - start) // width, width, width)


def raw_values(data: bytes, type: int | None, has_data: bool) -> np.ndarray:
    """Return the numbers in raw data.

    Args:
        data: The bytes.
        type: Which numbers they are, a value of `RawType`.
        has_data: Whether the blob has `data` as well.

    Raises:
        ValueError: If they cannot be read; says why.
    """
    return np.frombuffer(data, f"<f{_width(type, len(data), has_data)}")


def _width(type: int | None, size: int, has_data: bool) -> int:
    known = ", ".join(f"{_NAMES[n]} ({n})" for n in _NAMES if _NAMES[n] in _WIDTHS)
    if has_data:
        raise ValueError(
            "Expected data or raw_data; received: both. Which one counts is unclear; "
            "drop one of them"
        )
    width = _WIDTHS.get(_NAMES.get(type, ""))
    if width is None:
        received = "none" if type is None else _NAMES.get(type, "no type")
        received += f" ({type})" if type is not None else ""
        raise ValueError(
            f"Expected a raw_data_type that is one of {known}; received: {received}. "
            "Save the net again with numbers of floating point"
        )
    if size % width:
        raise ValueError(f"Expected a multiple of {width} bytes; received: {size}")
    return width
