"""What an extraction tells: a report."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_caffe_zoo.extraction.block import Bad


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

    Example:
        >>> from keras_caffe_zoo.extraction import Features
        >>> report = Features(
        ...     rows=2, bad=((1, "b.png", "truncated"),), shapes={"fc7": (4096,)},
        ...     path="features.h5", computed=3, seconds=0.5,
        ... )
        >>> report.images_per_second
        6.0
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
