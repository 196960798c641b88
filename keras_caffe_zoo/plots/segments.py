"""Pictures: the classes of a picture's pixels, laid over it in colours."""

import math
import os

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from keras_caffe_zoo.tasks.segments import Segments

_OPACITY = 0.5  # of the colours
_DIMMED = 0.6  # what is left of the background's light
_SMALLEST = 480  # pixels of the longest side; smaller pictures are enlarged
_NARROWEST = 240  # pixels of a legend
_LISTED = 24  # classes in a legend
_PAPER, _INK, _GREY = (255, 255, 255), (32, 32, 32), (120, 120, 120)


def draw_segments(
    picture: np.ndarray,
    found: Segments,
    *,
    legend: bool = True,
    output: str | os.PathLike | None = None,
) -> Image.Image:
    """Draw the classes of a picture's pixels over it, with outlines and a legend.

    The picture keeps its own pixels; a small one is enlarged. The background is dimmed.
    The legend below has the classes that are in it, the largest first.

    Args:
        picture: RGB uint8 `(H, W, 3)`.
        found: What `segment` found in it.
        legend: Whether there is one.
        output: Where to save the picture, if anywhere.

    Returns:
        The picture, RGB.

    Raises:
        ValueError: If what was found is not of the picture's size.

    Example:
        >>> image = keras.Input((None, None, 3))
        >>> model = keras.Model(image, keras.layers.Conv2D(2, 1)(image))
        >>> picture = np.zeros((400, 600, 3), "uint8")
        >>> found = kcz.segment(model, picture, mean=0, labels=["ground", "sky"])
        >>> kcz.plots.draw_segments(picture, found, legend=False).size
        (600, 400)
    """
    picture, labels = np.asarray(picture), found.labels
    if picture.ndim != 3 or labels.shape != picture.shape[:2]:
        raise ValueError(
            "Expected an RGB picture (H, W, 3) and labels (H, W) of its size; "
            f"received: {picture.shape} and {labels.shape}."
        )
    times = max(1, math.ceil(_SMALLEST / max(labels.shape)))
    picture = _enlarged(picture, times)
    labels = labels.repeat(times, 0).repeat(times, 1)
    canvas = Image.fromarray(_covered(picture, labels, found.colours, found.background))
    if legend:
        canvas = _with_legend(canvas, found)
    if output is not None:
        canvas.save(output)
    return canvas


def _enlarged(picture: np.ndarray, times: int) -> np.ndarray:
    if times == 1:
        return picture
    size = (picture.shape[1] * times, picture.shape[0] * times)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def _covered(picture, labels, colours, background) -> np.ndarray:
    """Return the picture under its classes' colours, each region with an outline."""
    colours = np.asarray(colours)
    opacity = np.full(len(colours), _OPACITY, "float32")
    tint = colours.astype("float32")
    if background is not None:
        opacity[background], tint[background] = 1 - _DIMMED, 0
    share = opacity[labels][..., None]
    covered = picture * (1 - share) + tint[labels] * share
    outline = _outline(labels, max(1, round(math.sqrt(labels.size) / 500)))
    line = 0.35 * 255 + 0.65 * colours[labels[outline]]  # a lighter tone of the class
    if background is not None:
        line[labels[outline] == background] = 255
    covered[outline] = line
    return np.rint(covered).astype("uint8")


def _outline(labels: np.ndarray, width: int) -> np.ndarray:
    """Tell which pixels lie where two regions meet, `width` on each side at most."""
    meet = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        ahead, behind = (
            np.moveaxis(labels, axis, 0)[1:],
            np.moveaxis(labels, axis, 0)[:-1],
        )
        differs = ahead != behind
        found = np.moveaxis(meet, axis, 0)
        for far in range(width):
            found[1 + far :] |= differs[: len(differs) - far]
            found[: len(found) - 1 - far] |= differs[far:]
    return meet


def _with_legend(canvas: Image.Image, found: Segments) -> Image.Image:
    """Return the picture above a legend of the classes that are in it."""
    rows = _rows(found)
    size = min(34, max(13, round(math.sqrt(canvas.width * canvas.height) / 42)))
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
    swatch, gap = round(1.1 * size), round(0.6 * size)
    number = max(font.getlength(share) for share, *_ in rows)
    widest = max(font.getlength(name) for _, name, _ in rows)
    cell = round(swatch + gap + number + gap + widest) + 2 * gap
    width = max(canvas.width, _NARROWEST, cell + 2 * gap)
    columns = max(1, min(len(rows), (width - 2 * gap) // cell))
    lines, step = math.ceil(len(rows) / columns), round(1.7 * size)
    whole = Image.new("RGB", (width, canvas.height + lines * step + 2 * gap), _PAPER)
    whole.paste(canvas, ((width - canvas.width) // 2, 0))
    draw = ImageDraw.Draw(whole)
    for place, (share, name, colour) in enumerate(rows):
        column, line = divmod(place, lines)  # the largest stand in the first column
        x = 2 * gap + column * ((width - 2 * gap) // columns)
        middle = canvas.height + gap + line * step + step // 2
        if colour is not None:
            box = (x, middle - swatch // 2, x + swatch, middle + swatch // 2)
            draw.rounded_rectangle(box, swatch // 4, colour, outline=_GREY)
        x += swatch + gap
        draw.text((x + number, middle), share, _GREY, font, anchor="rm")
        draw.text((x + number + gap, middle), name, _INK, font, anchor="lm")
    return whole


def _rows(found: Segments) -> list[tuple]:
    """Return share, name and colour of each class of a legend, the largest first."""
    rows = [
        (_percent(one.share), one.name, tuple(map(int, found.colours[one.index])))
        for one in found.classes[:_LISTED]
    ]
    rest = found.classes[_LISTED:]
    if rest:
        share = sum(one.share for one in rest)
        rows.append((_percent(share), f"{len(rest)} more", None))
    return rows


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"
