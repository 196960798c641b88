"""The people that were found in a picture."""

from dataclasses import dataclass

import numpy as np

from keras_caffe_zoo.tasks.listed import Listed


@dataclass(frozen=True, eq=False, repr=False)
class Poses(Listed):
    """The people in a picture, the surest first.

    Attributes:
        points: Float32 `(N, points, 3)`: x, y and score of each person's points. The
            middle of the left upper pixel is 0, 0. Of a point that was not found x and
            y are NaN, and the score is 0.
        scores: Float32 `(N,)`: how sure the net is, the mean of the scores of a
            person's points and limbs.
        names: What the points are called, such as `"left knee"`.
        limbs: The two points of each limb that is drawn, as indices.
        size: Height and width of the picture.

    Example:
        >>> poses = kcz.Poses(
        ...     points=np.float32([[[40, 12, 1], [np.nan, np.nan, 0], [31, 60, 0.7]]]),
        ...     scores=np.float32([0.8]),
        ...     names=("nose", "neck", "left hand"),
        ...     limbs=((0, 1), (1, 2)),
        ...     size=(120, 90),
        ... )
        >>> poses
        <1 person in 90 x 120 pixels
          person 80.0%, 2 of 3 points at 31, 12 – 40, 60>
        >>> list(poses.as_dict()["people"][0]["points"])
        ['nose', 'left hand']
    """

    NOUNS = ("person", "people")

    points: np.ndarray
    scores: np.ndarray
    names: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    size: tuple[int, int]

    def lines(self) -> list[str]:
        """Return a line for each, such as `person 71.3%, 14 of 18 points at 3, 9 – …`.

        Places are those of the left upper and the right lower of its points, in pixels.
        """
        lines = []
        for points, score in zip(self.points, self.scores, strict=True):
            x1, y1 = np.nanmin(points[:, :2], axis=0)
            x2, y2 = np.nanmax(points[:, :2], axis=0)
            found = f"{np.count_nonzero(points[:, 2])} of {len(self.names)} points"
            where = f"{x1:.0f}, {y1:.0f} – {x2:.0f}, {y2:.0f}"
            lines.append(f"person {score:.1%}, {found} at {where}")
        return lines

    def as_dict(self) -> dict:
        """Return all of it as JSON types, without the points that were not found."""
        return {
            "size": list(self.size),
            "people": [
                {"score": float(score), "points": self._named(points)}
                for points, score in zip(self.points, self.scores, strict=True)
            ],
        }

    def _named(self, points: np.ndarray) -> dict:
        rows = zip(self.names, points.tolist(), strict=True)
        return {n: {"x": x, "y": y, "score": s} for n, (x, y, s) in rows if s}
