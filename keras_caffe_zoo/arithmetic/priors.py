"""The boxes that SSD's detections start from."""

from __future__ import annotations

import numpy as np

MAX_PRIORS = 1 << 21  # of one map; SSD512 has 24,564 in all


def checked_variance(values) -> tuple[float, ...]:
    """Return one variance or four; 0.1 if there is none.

    Raises:
        ValueError: If there are others, or they are not positive.
    """
    variance = tuple(float(value) for value in values) or (0.1,)
    if len(variance) not in (1, 4) or not all(v > 0 for v in variance):
        raise ValueError(
            "Expected `variance` of one or four positive numbers; received: "
            f"variance={variance}."
        )
    return variance


def checked_sides(value, name: str):
    """Return (height, width), or `None` where it is to be told by the inputs.

    Raises:
        ValueError: If these are not two positive numbers.
    """
    if value is None:
        return None
    sides = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    if len(sides) != 2 or not all(side > 0 for side in sides):
        raise ValueError(
            f"Expected `{name}` of a positive height and width; received: "
            f"{name}={value!r}."
        )
    return sides


def check_sizes(min_sizes, max_sizes, aspect_ratios) -> None:
    """Raise a ValueError unless these are the sizes of a `PriorBox`."""
    fits = not max_sizes or len(max_sizes) == len(min_sizes)
    fits = fits and all(a < b for a, b in zip(min_sizes, max_sizes, strict=False))
    finite = all(map(np.isfinite, (*min_sizes, *max_sizes)))
    if not fits or not finite or not min_sizes or min(min_sizes) <= 0:
        raise ValueError(
            "Expected positive `min_sizes`, and `max_sizes` of none or as many, "
            f"each above its min size; received: {min_sizes}, {max_sizes}."
        )
    if not all(0 < ratio < np.inf for ratio in aspect_ratios):
        raise ValueError(
            "Expected positive `aspect_ratios`; received: "
            f"aspect_ratios={aspect_ratios}."
        )


def check_clusters(widths, heights) -> None:
    """Raise a ValueError unless these are the sizes of a `PriorBoxClustered`."""
    sides = (*widths, *heights)
    fits = len(widths) == len(heights) and sides and min(sides) > 0
    if not fits or not all(map(np.isfinite, sides)):
        raise ValueError(
            "Expected positive `widths`, and as many `heights`; received: "
            f"{widths}, {heights}."
        )


def check_maps(features, image, boxes: int, known_image: bool, name: str) -> None:
    """Check what prior boxes are made for.

    Args:
        features: The map's shape, in Caffe's order.
        image: The image's.
        boxes: How many there are for each cell.
        known_image: Whether its size is told elsewhere.
        name: The layer's, for errors.

    Raises:
        ValueError: If these are no images, or there are too many boxes.
    """
    if len(features) != 4 or (not known_image and len(image) != 4):
        raise ValueError(
            f"Expected a map (N, C, H, W) and an image likewise for layer '{name}'; "
            f"received shapes: {tuple(features)}, {tuple(image)}."
        )
    _, _, height, width = features
    if None not in (height, width) and height * width * boxes > MAX_PRIORS:
        raise ValueError(
            f"Expected at most {MAX_PRIORS:,} boxes for layer '{name}'; received: "
            f"{height * width * boxes:,}, {boxes:,} for each cell of {height} x "
            f"{width}."
        )


def ratios_of(aspect_ratios, flip: bool) -> list[float]:
    """Return all aspect ratios: 1, those given, and their reciprocals."""
    found = [1.0]
    for ratio in aspect_ratios:
        if all(abs(ratio - other) >= 1e-6 for other in found):
            found += [ratio, 1 / ratio] if flip else [ratio]
    return found


def sizes_of(min_sizes, max_sizes, aspect_ratios, flip: bool):
    """Return the widths and heights of a `PriorBox`, in pixels."""
    ratios = ratios_of(aspect_ratios, flip)
    roots = np.sqrt([ratio for ratio in ratios if abs(ratio - 1) >= 1e-6])
    boxes = []
    for i, size in enumerate(map(int, min_sizes)):
        boxes.append((size, size))
        if max_sizes:
            side = np.sqrt(float(size * int(max_sizes[i])))
            boxes.append((side, side))
        boxes += [(size * root, size / root) for root in roots]
    return tuple(zip(*boxes, strict=True))


def priors(xp, cells, image, sizes, step, offset, variance, clip):
    """Return the corners and the variances: (1, 2, all boxes * 4).

    Args:
        xp: `numpy` where the sizes are numbers, `keras.ops` where they are tensors.
        cells: Rows and columns of the map.
        image: The image's height and width, in pixels.
        sizes: The boxes' widths and heights, in pixels.
        step: Height and width of a cell in pixels; the image's by the map's if `None`.
        offset: Where the centre of a cell is, in cells.
        variance: One number, or four.
        clip: Whether corners are moved into the image.
    """
    (rows, columns), (height, width) = cells, image
    tall, wide = step or (height / rows, width / columns)
    y = (xp.arange(rows, dtype="float32") + offset) * tall
    x = (xp.arange(columns, dtype="float32") + offset) * wide
    half = np.asarray(sizes, "float32") / 2
    left, right = ((x[:, None] + side * half[0]) / width for side in (-1, 1))
    top, bottom = ((y[:, None] + side * half[1]) / height for side in (-1, 1))
    across = left[None] + 0 * top[:, None]  # (rows, columns, boxes)
    down = top[:, None] + 0 * left[None]
    corners = [across, down, right[None] + 0 * down, bottom[:, None] + 0 * across]
    corners = xp.reshape(xp.stack(corners, axis=-1), (-1,))
    if clip:
        corners = xp.clip(corners, 0.0, 1.0)
    variances = np.resize(np.asarray(variance, "float32"), 4)
    variances = xp.reshape(xp.reshape(0 * corners, (-1, 4)) + variances, (-1,))
    return xp.stack([corners, variances])[None]
