"""Which blobs fit one another, channel by channel."""


def check_factors(a, x, y, layer: str) -> None:
    """Check the shapes of `a * x + y`, in Caffe's order of axes.

    Raises:
        ValueError: If `a` is not one factor for each channel of the maps x and y.
    """
    fits = len(x) == 4 and _agree(x, y) and _agree(a[:2], x[:2])
    if not fits or len(a) not in (2, 4) or not _agree(a[2:], (1, 1)[: len(a) - 2]):
        raise ValueError(
            "Expected factors (N, C) or (N, C, 1, 1) and two maps (N, C, H, W) for "
            f"layer '{layer}'; received: {a}, {x} and {y}."
        )


def _agree(one, other) -> bool:
    return len(one) == len(other) and all(
        None in (a, b) or a == b for a, b in zip(one, other, strict=True)
    )
