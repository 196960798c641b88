"""What a detector found in a picture, and what its classes are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_caffe_zoo.labels import class_names
from keras_caffe_zoo.tasks.listed import Listed


@dataclass(frozen=True, eq=False, repr=False)
class Detections(Listed):
    """What was found in a picture, the surest first.

    Attributes:
        boxes: Float32 `(N, 4)`: x1, y1, x2, y2 in pixels of the picture, within it.
        labels: Int64 `(N,)`: the classes, as the net numbers them; of most nets 0 is
            the background, which is never found.
        names: What the classes are called.
        scores: Float32 `(N,)`: how sure the net is, falling.
        size: Height and width of the picture.

    Example:
        >>> found = kcz.Detections(
        ...     boxes=np.float32([[131, 220, 312, 500]]),
        ...     labels=np.array([12]),
        ...     names=["dog"],
        ...     scores=np.float32([0.972]),
        ...     size=(500, 353),
        ... )
        >>> found
        <1 detection in 353 x 500 pixels
          dog 97.2% at 131, 220 – 312, 500>
        >>> found.as_dict()["detections"][0]["box"]
        [131.0, 220.0, 312.0, 500.0]
    """

    NOUNS = ("detection", "detections")

    boxes: np.ndarray
    labels: np.ndarray
    names: list[str]
    scores: np.ndarray
    size: tuple[int, int]

    def lines(self) -> list[str]:
        """Return a line of text for each, such as `dog 97.2% at 131, 220 – 312, 540`.

        Places are those of the left upper and the right lower corner, in pixels.
        """
        rows = zip(self.names, self.scores, self.boxes, strict=True)
        return [
            f"{name} {score:.1%} at {x1:.0f}, {y1:.0f} – {x2:.0f}, {y2:.0f}"
            for name, score, (x1, y1, x2, y2) in rows
        ]

    def as_dict(self) -> dict:
        """Return all of it as JSON types."""
        rows = zip(self.labels, self.names, self.scores, self.boxes, strict=True)
        return {
            "size": list(self.size),
            "detections": [
                {
                    "label": int(label),
                    "name": name,
                    "score": float(score),
                    "box": [float(side) for side in box],
                }
                for label, name, score, box in rows
            ],
        }


def sorted_detections(boxes, labels, scores, size, names: Names) -> Detections:
    """Return detections by falling score, their boxes clipped to the picture.

    Args:
        boxes: `(N, 4)`, in pixels.
        labels: `(N,)`.
        scores: `(N,)`.
        size: Height and width of the picture.
        names: What the classes are called.
    """
    order = np.argsort(-scores, kind="stable")
    height, width = size
    limits = np.array([width, height, width, height], "float32")
    boxes = np.clip(np.asarray(boxes, "float32").reshape(-1, 4)[order], 0, limits)
    labels = np.asarray(labels).astype("int64")[order]
    listed = [names(label) for label in labels]
    scores = np.asarray(scores, "float32")[order]
    return Detections(boxes, labels, listed, scores, (int(height), int(width)))


class Names:
    """What classes are called: `names(3)` is `"dog"`, or `"class 3"` if nobody told.

    Args:
        labels: The classes' names, or the name of a list such as `"voc"`; None where
            there are none.
        classes: How many classes the net has, the background among them; None if it
            does not tell.
        background: Which of them is the background; None if none is.

    Raises:
        ValueError: If the list's names are not at hand, or are not as many.
    """

    def __init__(
        self,
        labels: str | Sequence[str] | None,
        classes: int | None,
        background: int | None = 0,
    ):
        names = _listed(labels)
        if names and background is not None and len(names) + 1 == classes:
            names.insert(background, "background")
        if names and classes is not None and len(names) != classes:
            known = "" if background is None else ", or one less without the background"
            raise ValueError(
                f"Expected `labels`: names of {classes} classes{known}; received: "
                f"{len(names)} ({', '.join(names[:3])}, …)"
            )
        self._names = names

    def __call__(self, label: int) -> str:
        """Return the name of a class."""
        known = 0 <= label < len(self._names)
        return self._names[label] if known else f"class {label}"


def _listed(labels) -> list[str]:
    if labels is None:
        return []
    if isinstance(labels, str):
        return [pair[-1] for pair in class_names(labels)]
    names = list(labels)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            "Expected `labels`: the names of classes, or the name of a list such as "
            f"'voc'; received: {labels!r}"
        )
    return names
