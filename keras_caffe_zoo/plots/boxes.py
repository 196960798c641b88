"""Pictures: boxes around what a net found, with their names and scores."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.plots._canvas import check_size, rgb
from keras_caffe_zoo.plots._colours import colour_of, text_on
from keras_caffe_zoo.tasks.boxes import Detections


def draw_boxes(
    picture: np.ndarray | Image.Image,
    boxes: np.ndarray | Detections,
    labels: Sequence[str | int] | None = None,
    scores: Sequence[float] | None = None,
    *,
    classes: Sequence[str | int] | None = None,
    output: str | os.PathLike | None = None,
) -> Image.Image:
    """Draw boxes on a picture, a colour for each class, with names and scores.

    Lines and letters are as large as the picture's size asks for. Of boxes that cover
    each other the surest is on top.

    Args:
        picture: RGB or grey, uint8, (H, W, 3), (H, W, 1) or (H, W), or one of Pillow's.
        boxes: (N, 4): left, top, right, bottom in pixels. Or what `detect` found, which
            has labels and scores: then a class has the same colour in every picture.
        labels: What is in each box.
        scores: How sure that is, from 0 to 1.
        classes: All that there can be, so that a class has the same colour in every
            picture; those of this picture if not given.
        output: Where to save the picture, if anywhere.

    Returns:
        The picture, RGB.

    Raises:
        ValueError: If boxes, labels and scores are not as many, a box has not four
            sides, a label is none of the classes, or the picture is not of the size of
            the one in which `detect` found them.

    Example:
        >>> picture = np.zeros((120, 160, 3), "uint8")
        >>> drawn = kcz.plots.draw_boxes(
        ...     picture, np.array([[10, 40, 80, 110]]), ["dog"], [0.97]
        ... )
        >>> drawn.size, drawn.getpixel((10, 80)) != (0, 0, 0)  # its left side
        ((160, 120), True)
    """
    canvas = rgb(picture)
    if isinstance(boxes, Detections):
        check_size(canvas, boxes.size, "detections")
        colours = [colour_of(label) for label in boxes.labels.tolist()]
        return _drawn(canvas, boxes.boxes, boxes.names, boxes.scores, colours, output)
    boxes, labels = np.asarray(boxes, float), list(labels or ())
    boxes = boxes.reshape(0, 4) if not boxes.size else boxes
    scores = [None] * len(labels) if scores is None else [float(s) for s in scores]
    if boxes.shape != (len(labels), 4) or len(scores) != len(labels):
        raise ValueError(
            "Expected boxes (N, 4) with as many labels and scores; received: boxes of "
            f"shape {boxes.shape}, {len(labels)} labels, {len(scores)} scores."
        )
    colours = _colours(labels, classes)
    colours = [colours[label] for label in labels]
    return _drawn(canvas, boxes, labels, scores, colours, output)


def _drawn(canvas, boxes, labels, scores, colours, output) -> Image.Image:
    pen = _Pen(canvas, boxes)
    order = sorted(range(len(labels)), key=lambda i: scores[i] or 0)
    for i in order:
        pen.draw_box(i, colours[i])
    for i in reversed(order):  # the surest has its name where it belongs
        text = f"{labels[i]}" if scores[i] is None else f"{labels[i]} {scores[i]:.0%}"
        pen.write(text, i, colours[i])
    if output is not None:
        canvas.save(output)
    return canvas


def _colours(labels, classes) -> dict:
    """Return the colour of each label."""
    known = list(sorted(set(labels), key=str) if classes is None else classes)
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise ValueError(
            f"Expected labels that are among `classes`; received: {unknown[0]!r}. "
            f"{there_are(map(str, known), str(unknown[0]))}."
        )
    return {label: colour_of(known.index(label)) for label in set(labels)}


class _Pen:
    """What draws on a picture, and knows what it must not cover."""

    def __init__(self, canvas: Image.Image, boxes: np.ndarray):
        self.size = canvas.size
        side = (canvas.width * canvas.height) ** 0.5
        self.line = max(2, round(side / 350))
        self.draw = ImageDraw.Draw(canvas)
        # Pillow's own letters are Latin only; matplotlib brings others, too.
        path = font_manager.findfont("DejaVu Sans:bold")
        self.font = ImageFont.truetype(path, max(11, round(side / 68)))
        out = self.line - 1  # a line stands around what is in a box
        boxes = np.rint(boxes).astype(int) + [-out, -out, out, out]
        self.boxes = np.clip(boxes, 0, (*self.size, *self.size))  # to be seen whole
        self.tags = np.zeros((0, 4), int)

    def draw_box(self, index: int, colour) -> None:
        """Draw a box."""
        left, top, right, bottom = self.boxes[index].tolist()
        corners = (left, top, max(left, right - 1), max(top, bottom - 1))
        self.draw.rectangle(corners, outline=colour, width=self.line)

    def write(self, text: str, index: int, colour) -> None:
        """Write on a tag beside a box."""
        left, _, right, _ = self.draw.textbbox((0, 0), text, font=self.font)
        pad = self.line + 1
        size = right - left + 2 * pad, sum(self.font.getmetrics())
        tag = self._place(index, size)
        self.tags = np.vstack([self.tags, tag])
        x, y, end, below = tag.tolist()
        self.draw.rectangle((x, y, end - 1, below - 1), fill=colour)
        spot = (x + pad - left, y)
        self.draw.text(spot, text, fill=text_on(colour), font=self.font)

    def _place(self, index: int, size) -> np.ndarray:
        """Return the place of a tag that covers least, of equal ones the first.

        That is above the box, below it or inside; to cover another tag is worst.
        """
        left, top, right, bottom = self.boxes[index]
        wide, tall = size
        across = (left, right - wide)
        spots = [(x, y) for y in (top - tall, bottom, top) for x in across]
        tags = [self._inside(x, y, wide, tall) for x, y in spots]
        others = np.delete(self.boxes, index, axis=0)
        covered = [
            10 * _common(tag, self.tags)
            + _common(tag, others)
            + _common(tag, self.boxes[index : index + 1]) / 2
            for tag in tags
        ]
        return tags[int(np.argmin(covered))]

    def _inside(self, x, y, wide, tall) -> np.ndarray:
        """Return a tag moved into the picture."""
        width, height = self.size
        x = max(0, min(x, width - wide))
        y = max(0, min(y, height - tall))
        return np.array([x, y, x + wide, y + tall])


def _common(tag: np.ndarray, boxes: np.ndarray) -> int:
    """Return how many pixels of a tag are on boxes."""
    low, high = np.maximum(tag[:2], boxes[:, :2]), np.minimum(tag[2:], boxes[:, 2:])
    return int(np.prod(np.maximum(high - low, 0), axis=1).sum())
