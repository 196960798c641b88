"""Chance as a pure function of a seed and a place in the sequence of records.

Philox is counter-based: any draw can be had without those before it, so a run that
goes on after an interruption draws what it would have drawn. Only raw bits are used,
which NumPy never changes.
"""

import numpy as np

_CROPS, _ORDER = 1, 2  # streams that share a seed


def crop_draws(seed: int, position: int) -> tuple[int, int, int]:
    """Return a record's three draws: mirror, top, left.

    Args:
        seed: The dataset's seed.
        position: Place of the record in the whole sequence, over all epochs.

    Returns:
        Three integers of 64 random bits.
    """
    mirror, top, left = _philox(seed, _CROPS, position).random_raw(3)
    return int(mirror), int(top), int(left)


def below(draw: int, stop: int) -> int:
    """Return a draw as one of `range(stop)`, each equally likely."""
    return draw * stop >> 64


def order_keys(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return random keys, uint64, that shuffle an epoch when sorted."""
    return _philox(seed, _ORDER, epoch).random_raw(count)


def check_seed(seed: int) -> None:
    """Check that a seed is one.

    Raises:
        ValueError: If it is no integer of 0 to 2**64 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise ValueError(f"Expected an integer as seed; received: seed={seed!r}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"Expected a seed of 0 to 2**64 - 1; received: seed={seed}")


def _philox(seed: int, stream: int, position: int) -> np.random.Philox:
    # The position stands in the counter's upper half: draws count in the lower.
    counter = np.array([0, 0, position, 0], "uint64")
    return np.random.Philox(counter=counter, key=np.array([seed, stream], "uint64"))
