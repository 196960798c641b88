"""Factors and offsets for each channel, and the kernels that take them in.

All in float64: what is multiplied here is rounded once, at the end.
"""

from typing import NamedTuple

import numpy as np


class Affine(NamedTuple):
    """`x * factor + offset`.

    Attributes:
        factor: One number, or one for each channel.
        offset: Likewise.
    """

    factor: np.ndarray | float = 1.0
    offset: np.ndarray | float = 0.0

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return bool(np.all(self.factor == 1) and np.all(self.offset == 0))

    @property
    def is_finite(self) -> bool:
        """Whether all factors and offsets are numbers."""
        return all(bool(np.all(np.isfinite(values))) for values in self)

    def then(self, other: "Affine") -> "Affine":
        """Return what this does, and then another."""
        factor = np.multiply(self.factor, other.factor)
        return Affine(factor, np.multiply(self.offset, other.factor) + other.offset)


def normalization(mean, variance, epsilon: float) -> Affine:
    """Return `(x - mean) / sqrt(variance + epsilon)`."""
    with np.errstate(invalid="ignore", divide="ignore"):  # for `is_finite` to tell
        factor = 1 / np.sqrt(np.float64(variance) + epsilon)
        return Affine(factor, -np.float64(mean) * factor)


def scale_outputs(kernel: np.ndarray, after: Affine) -> None:
    """Multiply a kernel (window, groups, inputs, outputs) for what comes after it."""
    _, groups, _, outputs = kernel.shape
    factor = np.broadcast_to(after.factor, groups * outputs)
    kernel *= factor.reshape(1, groups, 1, outputs)


def scale_inputs(kernel: np.ndarray, before: Affine) -> np.ndarray:
    """Multiply a kernel (window, groups, inputs, outputs) for what comes before it.

    Returns:
        What the offset adds to each output, where the whole window sees it.
    """
    _, groups, inputs, _ = kernel.shape
    factor, offset = (
        np.broadcast_to(values, groups * inputs).reshape(1, groups, inputs, 1)
        for values in before
    )
    added = np.sum(kernel * offset, axis=(0, 2)).reshape(-1)
    kernel *= factor
    return added
