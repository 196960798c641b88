"""What is drawn upon: copies of pictures, and lines without steps on them."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

_FINER = 4  # times
_MOST = 16_000_000  # pixels of a part that is drawn larger


def rgb(picture: np.ndarray | Image.Image) -> Image.Image:
    """Return a copy of a picture, RGB."""
    if not isinstance(picture, Image.Image):
        picture = np.asarray(picture)
        if picture.ndim == 3 and picture.shape[2] == 1:
            picture = picture[..., 0]
        picture = Image.fromarray(picture)
    return picture.convert("RGB") if picture.mode != "RGB" else picture.copy()


def check_size(canvas: Image.Image, size: tuple[int, int], what: str) -> None:
    """Refuse a picture of another size than the one in which something was found.

    Args:
        canvas: The picture.
        size: Height and width of the other.
        what: What was found, such as `"poses"`.
    """
    if canvas.size != tuple(size[::-1]):
        raise ValueError(
            f"Expected the picture of the {what}, {size[1]} x {size[0]} pixels; "
            f"received: {canvas.width} x {canvas.height}"
        )


def draw_smoothly(
    canvas: Image.Image,
    box: tuple[float, float, float, float],
    draw: Callable[[ImageDraw.ImageDraw, Callable, float], None],
) -> None:
    """Draw on a part of a picture, without steps in slanting lines.

    Args:
        canvas: The picture, RGB; it is changed.
        box: What of it is drawn upon: left, top, right and bottom.
        draw: Draws, on a transparent picture, what it is given a pen for; and a
            function of a point, which returns where on that picture it is; and how many
            times larger that is.
    """
    low, high = np.floor(box[:2]), np.ceil(box[2:])
    left, top = np.clip(low, 0, canvas.size).astype(int).tolist()
    right, bottom = np.clip(high, 0, canvas.size).astype(int).tolist()
    wide, tall = right - left, bottom - top
    if wide <= 0 or tall <= 0:
        return
    finer = int(np.clip((_MOST / (wide * tall)) ** 0.5, 1, _FINER))
    layer = Image.new("RGBA", (wide * finer, tall * finer))

    def place(point) -> tuple[float, float]:
        x, y = point
        return (x + 0.5 - left) * finer - 0.5, (y + 0.5 - top) * finer - 0.5

    draw(ImageDraw.Draw(layer), place, finer)
    colour, cover = _reduced(layer, finer)
    canvas.paste(colour, (left, top), cover)


def _reduced(layer: Image.Image, finer: int) -> tuple[Image.Image, Image.Image]:
    """Return colours and opacity of a layer made smaller."""
    small = layer.convert("RGBa").reduce(finer).convert("RGBA")
    return small.convert("RGB"), small.getchannel("A")
