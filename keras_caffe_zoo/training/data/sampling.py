"""SSD's batch samplers: parts of a picture that show enough of its objects."""

import math
from dataclasses import dataclass, fields

import numpy as np

from keras_caffe_zoo.training.data.boxes import CORNERS, coverages, overlaps
from keras_caffe_zoo.training.data.order import Draws

MAX_TRIALS = 10_000  # of one sampler; the files of SSD's authors have 50


@dataclass(frozen=True)
class BatchSampler:
    """Draws parts of a picture, and keeps those that overlap an object as wanted.

    A part's scale `s` and ratio `r` of width to height are drawn, `r` is brought
    between `s**2` and `1 / s**2`, and the part, `s * sqrt(r)` wide and `s / sqrt(r)`
    high as fractions of the picture, is laid anywhere in it. It is kept if there are no
    limits, or if an object is within them; of several kinds of limits only the first
    counts, in the order of the attributes: that is how the fork's loop works.

    Attributes:
        min_scale, max_scale: Limits of the scale, above 0 and up to 1.
        min_aspect_ratio, max_aspect_ratio: Limits of the ratio, above 0.
        min_jaccard_overlap, max_jaccard_overlap: Limits of intersection over union of
            part and object; none if None, like the next.
        min_sample_coverage, max_sample_coverage: Limits of how much of the part the
            object covers.
        min_object_coverage, max_object_coverage: Limits of how much of the object the
            part covers.
        max_sample: How many parts are kept at most; no limit if None.
        max_trials: How many parts are drawn at most, up to 10,000.
        use_original_image: Whether to draw at all.

    Raises:
        ValueError: If limits are not as above, or crossed.

    Reference:
        Liu et al., 2016; `sampler.cpp` of the SSD fork of Caffe.

    Example:
        >>> sampler = kcz.training.BatchSampler(min_jaccard_overlap=0.5)
        >>> objects = np.array([[0, 1, 0, 0, 0, 0.5, 0.5, 0]], "float32")
        >>> parts = np.array([[0, 0, 0.5, 0.25], [0, 0, 0.5, 0.2], [0.5, 0.5, 1, 1]])
        >>> sampler.satisfied(parts, objects).tolist()  # overlaps of 0.5, 0.4 and 0
        [True, False, False]
    """

    min_scale: float = 1.0
    max_scale: float = 1.0
    min_aspect_ratio: float = 1.0
    max_aspect_ratio: float = 1.0
    min_jaccard_overlap: float | None = None
    max_jaccard_overlap: float | None = None
    min_sample_coverage: float | None = None
    max_sample_coverage: float | None = None
    min_object_coverage: float | None = None
    max_object_coverage: float | None = None
    max_sample: int | None = None
    max_trials: int = 100
    use_original_image: bool = True

    def __post_init__(self):
        scales = (self.min_scale, self.max_scale)
        ratios = (self.min_aspect_ratio, self.max_aspect_ratio)
        if not 0 < scales[0] <= scales[1] <= 1:
            raise ValueError(
                "Expected 0 < min_scale <= max_scale <= 1; received: "
                f"min_scale={scales[0]}, max_scale={scales[1]}"
            )
        if not 0 < ratios[0] <= ratios[1] < math.inf:
            raise ValueError(
                "Expected 0 < min_aspect_ratio <= max_aspect_ratio, finite; received: "
                f"min_aspect_ratio={ratios[0]}, max_aspect_ratio={ratios[1]}"
            )
        if not 0 <= self.max_trials <= MAX_TRIALS:
            raise ValueError(
                f"Expected max_trials of 0 to {MAX_TRIALS}; received: {self.max_trials}"
            )
        if self.max_sample is not None and self.max_sample < 0:
            raise ValueError(
                f"Expected max_sample from 0 on, or None; received: {self.max_sample}"
            )

    @classmethod
    def from_message(cls, message) -> "BatchSampler":
        """Return the sampler of a `batch_sampler` in a prototxt."""
        parts = (message, message.sampler, message.sample_constraint)
        told = {
            field.name: value
            for part in parts
            for field, value in part.ListFields()
            if field.name in _NAMES
        }
        return cls(**told)

    def sample(self, rows: np.ndarray, draws: Draws) -> np.ndarray:
        """Return parts of a picture.

        Args:
            rows: Its objects `(G, 8)`.
            draws: Chance.

        Returns:
            Their corners x1, y1, x2, y2, float32 `(K, 4)`, in the order in which they
            were drawn.
        """
        if not self.use_original_image:
            return np.zeros((0, 4), "float32")
        parts = self._parts(draws.units(4 * self.max_trials).reshape(-1, 4))
        return parts[self.satisfied(parts, rows)][: self.max_sample]

    def satisfied(self, parts: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Tell which parts `(T, 4)` show an object as wanted, bool `(T,)`."""
        corners = rows[:, CORNERS]
        limits = (
            (self.min_jaccard_overlap, self.max_jaccard_overlap),
            (self.min_sample_coverage, self.max_sample_coverage),
            (self.min_object_coverage, self.max_object_coverage),
        )
        values = (
            lambda: overlaps(parts, corners),
            lambda: coverages(parts, corners),
            lambda: coverages(corners, parts).T,
        )
        for (least, most), value in zip(limits, values, strict=True):
            if least is not None or most is not None:
                found = value()
                within = np.ones_like(found, dtype=bool)
                if least is not None:
                    within &= found >= np.float32(least)
                if most is not None:
                    within &= found <= np.float32(most)
                return within.any(1)
        return np.ones(len(parts), bool)

    def _parts(self, units: np.ndarray) -> np.ndarray:
        """Return parts by draws `(T, 4)`: of scale, ratio, left and top."""
        low = np.array([self.min_scale, self.min_aspect_ratio])
        high = np.array([self.max_scale, self.max_aspect_ratio])
        drawn = (low + (high - low) * units[:, :2]).astype("float32")
        scale, ratio = drawn.astype("float64").T  # C++ has powers and roots in double
        ratio = np.clip(ratio, scale**2, 1 / scale**2).astype("float32")
        root = np.sqrt(ratio, dtype="float64")
        sides = np.stack([scale * root, scale / root], 1).astype("float32")
        sides = np.minimum(sides, np.float32(1))
        corner = ((1 - sides) * units[:, 2:]).astype("float32")
        return np.concatenate([corner, corner + sides], 1)


_NAMES = {field.name for field in fields(BatchSampler)}


def sampled_part(samplers, rows: np.ndarray, draws: Draws) -> np.ndarray | None:
    """Return one of the parts that several samplers draw, each equally likely.

    Args:
        samplers: `BatchSampler`s.
        rows: The picture's objects `(G, 8)`.
        draws: Chance.

    Returns:
        Its corners, float32 `(4,)`, clipped to the picture; None if there is none.
    """
    if not samplers:
        return None
    parts = np.concatenate([sampler.sample(rows, draws) for sampler in samplers])
    if not len(parts):
        return None
    return np.clip(parts[draws.below(len(parts))], 0, 1)
