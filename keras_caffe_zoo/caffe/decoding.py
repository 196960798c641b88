"""From a skeleton to messages, and from where values lie to arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from .blobs import check_count
from .errors import CaffeFormatError
from .skeleton import Skeleton
from .wire import Payload, Source


def decode(message: type, skeleton: Skeleton, source: Source) -> Any:
    """Return the message that a skeleton is of.

    Raises:
        CaffeFormatError: If it is none of that type.
    """
    try:
        decoded = message.FromString(skeleton.data)
    except DecodeError as error:
        raise CaffeFormatError(
            f"Expected a serialized {message.DESCRIPTOR.name}; received: {error}. The "
            "file is damaged or no Caffe file",
            source=source.name,
        ) from None
    missing = decoded.FindInitializationErrors()
    if missing:
        raise CaffeFormatError(
            f"Expected a value for every required field; received none for: "
            f"{', '.join(missing)}",
            source=source.name,
        )
    return decoded


def in_file(source: str, function, *args) -> Any:
    """Call `function`, adding the file's name to the errors it raises."""
    try:
        return function(*args)
    except CaffeFormatError as error:
        if error.source is not None:
            raise
        place = {**error.__dict__, "source": source}
        raise CaffeFormatError(place.pop("problem"), **place) from None


def binary_values(blob: Any, source: Source, payload: Payload) -> np.ndarray:
    """Return a blob's flat float32 values.

    Raises:
        CaffeFormatError: If there are more or fewer than its shape says.
    """
    check_count(blob, payload.count, payload.unknown)  # before anything is allocated
    return payload.read(source)
