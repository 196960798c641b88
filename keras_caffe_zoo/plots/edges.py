"""Pictures: edges, as a drawing on paper."""

import os

import numpy as np
from PIL import Image


def draw_edges(
    edges: np.ndarray, *, output: str | os.PathLike | None = None
) -> Image.Image:
    """Draw edges dark on white, as with a pencil.

    Args:
        edges: What `find_edges` found, (H, W), 0 where there is none to 1.
        output: Where to save the picture, if anywhere.

    Returns:
        The picture, grey.

    Raises:
        ValueError: If it is no map of edges.

    Example:
        >>> edges = np.array([[0, 0.2, 1]])
        >>> np.asarray(kcz.plots.draw_edges(edges)).tolist()
        [[255, 204, 0]]
    """
    edges = np.asarray(edges)
    if edges.ndim != 2:
        raise ValueError(f"Expected edges (H, W); received: shape {edges.shape}")
    paper = np.rint(255 * (1 - edges.clip(0, 1))).astype("uint8")
    picture = Image.fromarray(paper)
    if output is not None:
        picture.save(output)
    return picture
