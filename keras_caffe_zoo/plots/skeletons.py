"""Pictures: people's skeletons over the photograph."""

import colorsys
import os

import numpy as np
from PIL import Image

from keras_caffe_zoo.plots._canvas import check_size, draw_smoothly, rgb
from keras_caffe_zoo.tasks.poses import Poses

_OUTLINE = (20, 20, 20, 150)
_JOINT = (255, 255, 255, 255)


def draw_poses(
    picture: np.ndarray | Image.Image,
    poses: Poses,
    *,
    output: str | os.PathLike | None = None,
) -> Image.Image:
    """Draw people's skeletons on a picture, a colour for each limb.

    Lines are as thick as a person is large; the surest person is on top.

    Args:
        picture: RGB or grey, uint8, (H, W, 3), (H, W, 1) or (H, W), or one of Pillow's.
        poses: What `estimate_pose` found in it.
        output: Where to save the picture, if anywhere.

    Returns:
        The picture, RGB.

    Raises:
        ValueError: If the picture is not of the size of the one that they were found
            in.

    Example:
        >>> poses = kcz.Poses(
        ...     points=np.float32([[[20, 20, 0.9], [20, 80, 0.8]]]),
        ...     scores=np.float32([0.8]),
        ...     names=("neck", "hip"),
        ...     limbs=((0, 1),),
        ...     size=(100, 60),
        ... )
        >>> drawn = kcz.plots.draw_poses(np.zeros((100, 60, 3), "uint8"), poses)
        >>> drawn.size, drawn.getpixel((20, 50)) != (0, 0, 0)  # on the limb
        ((60, 100), True)
    """
    canvas = rgb(picture)
    check_size(canvas, poses.size, "poses")
    for points in poses.points[::-1]:
        _draw_person(canvas, points, poses.limbs)
    if output is not None:
        canvas.save(output)
    return canvas


def _draw_person(canvas: Image.Image, points: np.ndarray, limbs) -> None:
    low, high = np.nanmin(points[:, :2], axis=0), np.nanmax(points[:, :2], axis=0)
    thick = max(2.5, 0.028 * float(np.hypot(*(high - low))))
    there = [points[point, 2] > 0 for point in range(len(points))]

    def draw(pen, place, finer):
        width = thick * finer
        lines = [
            ((*place(points[a, :2]), *place(points[b, :2])), _colour(number, limbs))
            for number, (a, b) in enumerate(limbs)
            if there[a] and there[b]
        ]
        for line, _ in lines:
            _line(pen, line, width + 2.4 * finer, _OUTLINE)
        for line, colour in lines:
            _line(pen, line, width, colour)
        for point in np.flatnonzero(there):
            spot = place(points[point, :2])
            _disc(pen, spot, 0.72 * width, (20, 20, 20, 255))
            _disc(pen, spot, 0.5 * width, _JOINT)

    around = 2 * thick + 2
    draw_smoothly(canvas, (*(low - around), *(high + around)), draw)


def _line(pen, ends, width: float, colour) -> None:
    """Draw a line with round ends."""
    pen.line(ends, fill=colour, width=round(width))
    for end in (ends[:2], ends[2:]):
        _disc(pen, end, width / 2, colour)


def _disc(pen, middle, radius: float, colour) -> None:
    x, y = middle
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _colour(number: int, limbs) -> tuple[int, int, int, int]:
    """Return a limb's colour, once around the circle of hues for all of them."""
    colour = colorsys.hsv_to_rgb(number / len(limbs), 0.85, 1.0)
    return (*(round(255 * part) for part in colour), 255)
