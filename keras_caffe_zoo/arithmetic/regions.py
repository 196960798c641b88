"""What layers that look at regions, or propose them, are given."""

from __future__ import annotations

import numpy as np


def check_regions(maps, rois, name: str) -> None:
    """Raise a ValueError unless shapes are those of a map and of regions.

    Args:
        maps: The map's shape, in Caffe's order.
        rois: The regions'.
        name: The layer's name.
    """
    if len(maps) != 4 or len(rois) != 2 or rois[1] not in (None, 5):
        raise ValueError(
            f"Expected a map (N, C, H, W) and regions (R, 5) for layer '{name}'; "
            f"received: {tuple(maps)} and {tuple(rois)}."
        )


def check_proposals(scores, moves, info, kinds: int, name: str) -> None:
    """Raise a ValueError unless shapes are those of what proposals are made of.

    Args:
        scores: The shape of the scores, in Caffe's order.
        moves: That of the predictions.
        info: That of the images' sizes.
        kinds: How many anchors there are at a place.
        name: The layer's name.
    """
    wanted = [(scores, 2 * kinds), (moves, 4 * kinds)]
    fits = all(len(s) == 4 and s[1] in (None, channels) for s, channels in wanted)
    if not fits or len(info) != 2 or info[1] not in (None, 3, 4, 6):
        raise ValueError(
            f"Expected scores (N, {2 * kinds}, H, W), predictions (N, {4 * kinds}, H, "
            f"W) and sizes (N, 3), (N, 4) or (N, 6) for the {kinds} anchors of layer "
            f"'{name}'; received: {tuple(scores)}, {tuple(moves)} and {tuple(info)}."
        )


def anchors(base_size, ratios, scales):
    """Return the anchors of the place (0, 0), ratios outermost: (A, 4) of float32.

    Sides are rounded (halves up) before they are scaled, as all implementations do.
    """
    ratios = np.asarray(ratios, "float32")
    width = np.floor(np.sqrt(np.float32(base_size**2) / ratios) + np.float32(0.5))
    height = np.floor(width * ratios + np.float32(0.5))
    sides = np.stack([width, height], axis=-1)[:, None]
    sides = sides * np.asarray(scales, "float32")[:, None]
    centre, half = (base_size - 1) / 2, (sides.reshape(-1, 2) - 1) / 2
    return np.concatenate([centre - half, centre + half], axis=-1).astype("float32")
