"""Memory that is used again: the system has to clear all that is new."""

import math
import threading

import numpy as np

AT_ONCE = 1 << 18  # numbers that are worth computing at once


class Room(threading.local):
    """Arrays of one thread, whose memory stays and is used again."""

    def __init__(self):
        self._kept = {}

    def array(self, name: str, shape: tuple[int, ...], dtype) -> np.ndarray:
        """Return an array with anything in it, the same memory for the same name."""
        size, key = math.prod(shape), (name, np.dtype(dtype).str)
        kept = self._kept.get(key)
        if kept is None or kept.size < size:
            kept = np.empty(size, dtype)
            if size <= 2 * AT_ONCE:  # no more for rows of a giant
                self._kept[key] = kept
        return kept[:size].reshape(shape)


room = Room()
