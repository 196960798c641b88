"""The faces that were found in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_caffe_zoo.tasks.listed import Listed

POINTS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")


@dataclass(frozen=True, eq=False, repr=False)
class Faces(Listed):
    """The faces of a picture, the surest first.

    Attributes:
        boxes: Float32 `(N, 4)`: x1, y1, x2, y2 in pixels of the picture. MTCNN's may
            reach over its edges, and count pixels from 1, as its authors do.
        scores: Float32 `(N,)`: how sure the net is, falling.
        points: Float32 `(N, 5, 2)`: x and y of the eyes, the nose and the corners of
            the mouth, those on the left of the picture first; None of a net that finds
            none.
        size: Height and width of the picture.

    Example:
        >>> faces = kcz.Faces(
        ...     boxes=np.float32([[131, 220, 182, 285], [20, 210, 66, 271]]),
        ...     scores=np.float32([0.992, 0.75]),
        ...     points=None,
        ...     size=(480, 640),
        ... )
        >>> faces
        <2 faces in 640 x 480 pixels
          face 99.2% at 131, 220 – 182, 285
          face 75.0% at 20, 210 – 66, 271>
    """

    NOUNS = ("face", "faces")

    boxes: np.ndarray
    scores: np.ndarray
    points: np.ndarray | None
    size: tuple[int, int]

    def lines(self) -> list[str]:
        """Return a line of text for each, such as `face 99.2% at 131, 220 – 182, 285`.

        Places are those of the left upper and the right lower corner, in pixels.
        """
        return [
            f"face {score:.1%} at {x1:.0f}, {y1:.0f} – {x2:.0f}, {y2:.0f}"
            for score, (x1, y1, x2, y2) in zip(self.scores, self.boxes, strict=True)
        ]

    def as_dict(self) -> dict:
        """Return all of it as JSON types."""
        faces = [
            {"score": float(score), "box": box.tolist()}
            for score, box in zip(self.scores, self.boxes, strict=True)
        ]
        if self.points is not None:
            for face, points in zip(faces, self.points.tolist(), strict=True):
                face["points"] = dict(zip(POINTS, points, strict=True))
        return {"size": list(self.size), "faces": faces}
