"""The filters of a net's first layer as a small picture."""

import io
import math

import numpy as np
from PIL import Image

_MOST = 256  # filters
_LARGEST = 64  # pixels of a side
_BETWEEN = 1


def filters_png(kernel: np.ndarray) -> bytes | None:
    """Return filters side by side, on one scale: black the smallest value.

    Args:
        kernel: (filters, 1 or 3, height, width) as Caffe has them; three channels are
            BGR, and drawn in colour.

    Returns:
        A PNG; None of filters that are too large, or are no numbers.
    """
    kernel = np.asarray(kernel[:_MOST], "float32")
    count, channels, height, width = kernel.shape
    if not kernel.size or max(height, width) > _LARGEST:
        return None
    low, high = float(kernel.min()), float(kernel.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    scaled = (kernel - low) * (255.0 / max(high - low, 1e-12))
    tiles = (
        np.rint(scaled).clip(0, 255).astype("uint8").transpose(0, 2, 3, 1)[..., ::-1]
    )
    columns = math.ceil(math.sqrt(count * 2))  # twice as wide as tall
    rows = math.ceil(count / columns)
    tall, wide = height + _BETWEEN, width + _BETWEEN
    sheet = np.full((rows * tall - 1, columns * wide - 1, channels), 255, "uint8")
    for at, tile in enumerate(tiles):
        y, x = at // columns * tall, at % columns * wide
        sheet[y : y + height, x : x + width] = tile
    picture = Image.fromarray(sheet if channels == 3 else sheet[..., 0])
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
