"""What shape Caffe's Reshape, Flatten and Crop make of another; None is unknown."""

import math
from collections.abc import Sequence

Shape = tuple[int | None, ...]


def check_sizes(sizes: Sequence[int]) -> None:
    """Check the sizes that a Reshape is told.

    Raises:
        ValueError: If one is below -1, or several are -1.
    """
    if min(sizes, default=0) < -1 or list(sizes).count(-1) > 1:
        raise ValueError(
            "Expected `shape` of sizes, 0 to keep one, and at most one -1; received: "
            f"shape={tuple(sizes)}."
        )


def replaced_axes(rank: int, axis: int, num_axes: int) -> tuple[int, int]:
    """Return which axes a Reshape replaces: the first, and the one after the last.

    Raises:
        ValueError: If a blob of `rank` axes does not have them.
    """
    start = axis if axis >= 0 else rank + axis + 1
    end = rank if num_axes == -1 else start + num_axes
    if not 0 <= start <= end <= rank:
        raise ValueError(
            f"Expected axes of a blob with {rank} axes; received: axis={axis}, "
            f"num_axes={num_axes}."
        )
    return start, end


def joined_axes(start: int, end: int) -> tuple[int, int]:
    """Return which axes a Flatten replaces, given its first and last, from 0 on.

    Raises:
        ValueError: If the last comes before the first.
    """
    if end < start:
        raise ValueError(
            "Expected `end_axis` not to come before `axis`; received: "
            f"axis={start}, end_axis={end}."
        )
    return start, end + 1


def reshaped(bottom: Shape, sizes: Sequence[int], axes: tuple[int, int]) -> Shape:
    """Return the shape of a Reshape's top.

    Args:
        bottom: The shape of its bottom.
        sizes: Sizes in place of the axes'; 0 copies the one that the bottom has at its
            place, one -1 takes what is left.
        axes: Which axes are replaced, see `replaced_axes`.

    Raises:
        ValueError: If the bottom does not fit.
    """
    start, end = axes
    sources = kept_axes(len(bottom), sizes, axes)
    copied = [i for i, size in enumerate(sizes, start) if size == 0]
    if copied and copied[-1] >= len(bottom):
        raise ValueError(
            f"Expected a size to copy for each 0 in {tuple(sizes)} (axis={start}); "
            f"received shape: {tuple(bottom)}."
        )
    inferred = _inferred(bottom, sizes, [i for i in sources if i is not None], start)
    told = [*bottom[:start], *sizes, *bottom[end:]]
    return tuple(
        bottom[source] if source is not None else inferred if size == -1 else size
        for size, source in zip(told, sources, strict=True)
    )


def kept_axes(rank: int, sizes: Sequence[int], axes: tuple[int, int]) -> list:
    """Return for each axis of a top the axis of the bottom whose size it has, or None.

    Args:
        rank: How many axes the bottom has.
        sizes: As of `reshaped`.
        axes: As of `reshaped`.
    """
    start, end = axes
    copied = [None if size else i for i, size in enumerate(sizes, start)]
    return [*range(start), *copied, *range(end, rank)]


def _inferred(bottom: Shape, sizes: Sequence[int], kept: list, start: int):
    """Return the size for -1, None if it or its absence cannot be known yet.

    Args:
        bottom: The shape of the bottom.
        sizes: As of `reshaped`.
        kept: Its axes that the top has too.
        start: The first axis that is replaced.
    """
    fixed = math.prod(size for size in sizes if size > 0)
    # An unknown size that is on both sides may be any.
    unknown = [i for i, size in enumerate(bottom) if not isinstance(size, int)]
    whole = [axis for axis in range(len(bottom)) if axis not in unknown]
    told = [axis for axis in kept if axis not in unknown]
    if any(kept.count(axis) != 1 for axis in unknown):
        fits, inferred = -1 in sizes, None
    else:
        count = math.prod(bottom[axis] for axis in whole)
        explicit = fixed * math.prod(bottom[axis] for axis in told)
        if -1 in sizes:
            fits = explicit > 0 and count % explicit == 0
        else:
            fits = count == explicit
        inferred = count // explicit if fits and explicit else None
    if not fits:
        raise ValueError(
            f"Expected a blob of as many values as the new shape {tuple(sizes)} "
            f"(from axis {start} on) has; received shape: {tuple(bottom)}."
        )
    return inferred


def crop_offsets(rank: int, axis: int, offsets: Sequence[int]) -> tuple[int, ...]:
    """Return where a Crop begins along its axis and each behind it.

    Args:
        rank: How many axes the blob has.
        axis: The first that is cut, from 0 on.
        offsets: One for all axes, or one for each; none is 0.

    Raises:
        ValueError: If there are as many as neither.
    """
    found = tuple(offsets) or (0,)
    found *= rank - axis if len(found) == 1 else 1
    if len(found) != rank - axis:
        raise ValueError(
            f"Expected one of `offsets`, or one for each of {rank - axis} axes; "
            f"received: offsets={tuple(offsets)}."
        )
    return found


def cropped(whole: Shape, part: Shape, axis: int, offsets: Sequence[int]) -> Shape:
    """Return the shape of a Crop's top, which is cut to the size of its second bottom.

    Args:
        whole: The shape of the first bottom.
        part: That of the second.
        axis: As of `crop_offsets`.
        offsets: As of `crop_offsets`.

    Raises:
        ValueError: If the first does not hold the second there.
    """
    if len(whole) != len(part):
        raise ValueError(
            "Expected two blobs with the same number of axes; received: "
            f"{whole} and {part}."
        )
    for i, offset in enumerate(crop_offsets(len(whole), axis, offsets), axis):
        if None not in (whole[i], part[i]) and offset + part[i] > whole[i]:
            raise ValueError(
                f"Expected a blob that holds {part[i]} from {offset} on along axis "
                f"{i}; received: {whole[i]}."
            )
    return (*whole[:axis], *part[axis:])
