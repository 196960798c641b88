"""What an extraction tells: a line while it is at work, a report at the end."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from keras_caffe_zoo.extraction.block import Bad

QUIET_SECONDS = 2.0  # what takes less shows no line
INTERVAL_SECONDS = 0.2


@dataclass(frozen=True)
class Features:
    """The features of a source's pictures, or where they are.

    Attributes:
        rows: How many pictures have features.
        bad: The pictures that have none: `(index, name, reason)`.
        shapes: The shape of one row, by layer; None for an axis nobody knows, where
            no picture was good.
        path: The file, or the folder that Ray wrote, as a path or URL; None for
            features in memory.
        names: The rows' names; None if they are in the file.
        values: The features, by layer, an array of one row for each name; None if they
            are in the file.
        computed: How many pictures, good or bad, went through the net in this run. The
            others were there from earlier runs.
        seconds: How long this run took, without loading the net.
    """

    rows: int
    bad: tuple[Bad, ...]
    shapes: dict[str, tuple[int | None, ...]]
    path: Path | str | None = None
    names: list[str] | None = field(default=None, repr=False)
    values: dict[str, np.ndarray] | None = field(default=None, repr=False)
    computed: int = 0
    seconds: float = 0.0

    @property
    def images_per_second(self) -> float:
        """How fast this run was; 0 if it had nothing to compute."""
        return self.computed / self.seconds if self.computed else 0.0


class Progress:
    """A line on stderr that is written over and over.

    Args:
        total: How many images there are; None if nobody knows.
        enabled: Whether to show anything. Nothing is shown either where Keras'
            interactive logging was switched off.

    Attributes:
        computed: How many images were computed in this run.
    """

    def __init__(self, total: int | None, enabled: bool = True):
        self._enabled = enabled and keras.config.is_interactive_logging_enabled()
        self._total, self._done, self._width = total, 0, 0
        self.computed = 0
        self._start = time.monotonic()
        self._next = self._start + QUIET_SECONDS

    def skip(self, count: int) -> None:
        """Count images that earlier runs have computed."""
        self._done += count

    def advance(self, count: int) -> None:
        """Count images that are done, and show the line if it is time."""
        self._done += count
        self.computed += count
        now = time.monotonic()
        if self._enabled and now >= self._next:
            self._next = now + INTERVAL_SECONDS
            self._show(self.computed / (now - self._start))

    def _show(self, rate: float) -> None:
        line = f"{self._done:,} images, {rate:.1f} images/s"
        if self._total is not None:
            left = max(self._total - self._done, 0) / rate
            line = f"{self._done:,} of {self._total:,} images, {rate:.1f} images/s, "
            line += f"{_clock(left)} left"
        self._width = max(self._width, len(line))
        print("\r" + line.ljust(self._width), end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line, if there is one."""
        if self._width:
            print(file=sys.stderr, flush=True)
        self._width = 0


def _clock(seconds: float) -> str:
    """Return a time as 0:07, 12:34 or 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}"
