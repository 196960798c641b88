"""Pictures: boxes around faces, and their eyes, noses and mouths."""

import os

import numpy as np
from PIL import Image, ImageDraw

from keras_caffe_zoo.plots._canvas import check_size
from keras_caffe_zoo.plots.boxes import draw_boxes


def draw_faces(
    picture: np.ndarray | Image.Image,
    faces,
    *,
    output: str | os.PathLike | None = None,
) -> Image.Image:
    """Draw what `find_faces` found on a picture: boxes, scores, and the five points.

    Args:
        picture: RGB or grey, uint8, (H, W, 3), (H, W, 1) or (H, W), or one of Pillow's.
        faces: A picture's `Faces`.
        output: Where to save the picture, if anywhere.

    Returns:
        The picture, RGB.

    Raises:
        ValueError: If it is not of the size of the one in which they were found.

    Example:
        >>> faces = kcz.Faces(
        ...     boxes=np.float32([[10, 40, 80, 110]]), scores=np.float32([0.9]),
        ...     points=np.float32([[[30, 60], [60, 60], [45, 75], [35, 90], [55, 90]]]),
        ...     size=(120, 160),
        ... )
        >>> drawn = kcz.plots.draw_faces(np.zeros((120, 160, 3), "uint8"), faces)
        >>> drawn.getpixel((45, 75))  # the nose
        (86, 180, 233)
    """
    canvas = draw_boxes(picture, faces.boxes, ["face"] * len(faces), faces.scores)
    check_size(canvas, faces.size, "faces")
    if faces.points is not None:
        pen = ImageDraw.Draw(canvas)
        widths = faces.boxes[:, 2] - faces.boxes[:, 0]
        for width, points in zip(widths, faces.points, strict=True):
            radius = max(1.5, width / 30)
            for x, y in points.tolist():
                spot = (x - radius, y - radius, x + radius, y + radius)
                pen.ellipse(spot, fill="#56b4e9", outline="white")
    if output is not None:
        canvas.save(output)
    return canvas
