"""How good detections are: what SSD's solver makes of its DetectionEvaluate layers."""

import os

import numpy as np

from keras_caffe_zoo.files import check_file

AP_VERSIONS = ("11point", "MaxIntegral", "Integral")

_MOST_SIZES = 1 << 28  # characters of a list of sizes


class DetectionEvaluation:
    """Average precisions of detections over any number of batches, as SSD has them.

    In each picture, and class by class, detections choose by falling score the object
    that they overlap most. One that overlaps it enough is right if it is the first to
    choose that object, and wrong if not; so is one that overlaps none enough.

    Args:
        classes: Classes, the background among them (`num_classes`).
        background: The class that is nothing; -1 for none.
        overlap: Intersection over union from which on an object is found.
        difficult: Whether difficult objects count. Else they need not be found, and
            detections that find one count neither way.
        version: `"11point"`, the mean of the best precisions from 11 recalls on, as VOC
            had it until 2009; `"MaxIntegral"`, the area under the best precision from
            each recall on; or `"Integral"`, that under the precision itself.
        sizes: Heights and widths of all pictures `(n, 2)`, in the order in which they
            come, over and over again (`name_size_file`). With them boxes are compared
            in pixels, both ends of which count, as VOC's programs do; else as fractions
            of the picture.

    Raises:
        ValueError: If an argument is none of these.

    Reference:
        `DetectionEvaluate`, and `Solver::TestDetection`, of the SSD fork of Caffe. As
        there, MaxIntegral's precision from a recall on includes that of the last
        detection below it. With `sizes` the fork forgets to count pictures on which
        nothing is detected, here each counts.

    Example:
        >>> objects = np.array([[[0, 1, 0, 0, 0, 0.5, 0.5, 0]]])
        >>> found = [[0, 1, 0.9, 0, 0, 0.5, 0.4], [0, 1, 0.8, 0.5, 0.5, 1, 1]]
        >>> evaluation = kcz.training.DetectionEvaluation(classes=3)
        >>> evaluation.update([found], objects)  # the surer one overlaps it by 0.8
        >>> evaluation.by_class(), evaluation.result()  # of class 2 nothing is found
        ({1: 1.0}, 0.5)
    """

    def __init__(
        self,
        classes: int,
        background: int = 0,
        overlap: float = 0.5,
        difficult: bool = True,
        version: str = "Integral",
        sizes=None,
    ):
        if classes < 1 or not overlap > 0:
            raise ValueError(
                "Expected at least 1 class, and an overlap above 0; received: "
                f"{classes} and {overlap}"
            )
        _check_version(version)
        self.labels = tuple(i for i in range(classes) if i != background)
        self.overlap, self.difficult = np.float32(overlap), difficult
        self.version = version
        self.sizes = None if sizes is None else np.asarray(sizes, "float32")
        if self.sizes is not None and (
            self.sizes.shape[1:] != (2,) or not self.sizes.size
        ):
            raise ValueError(
                "Expected a height and a width for each picture, (n, 2); received: "
                f"{self.sizes.shape}"
            )
        self._pictures = 0
        self.reset()

    def reset(self) -> None:
        """Forget all detections, but not which picture is the next."""
        self._scores: dict[int, list[float]] = {label: [] for label in self.labels}
        self._right: dict[int, list[bool]] = {label: [] for label in self.labels}
        self._objects = dict.fromkeys(self.labels, 0)

    def update(self, detections, objects) -> None:
        """Add a batch.

        Args:
            detections: (N, K, 7): item, label, score, x1, y1, x2, y2, the corners as
                fractions of the picture, rows of label -1 for none: a DetectionOutput
                layer's output.
            objects: (N, G, 8): item, label, instance, x1, y1, x2, y2, difficult; rows
                of -1 for none: the labels of `annotated_dataset`.

        Raises:
            ValueError: If they are not of these shapes.
        """
        detections = np.asarray(detections, "float32")
        objects = np.asarray(objects, "float32")
        shapes = detections.shape, objects.shape
        if [len(s) for s in shapes] != [3, 3] or (shapes[0][2], shapes[1][2]) != (7, 8):
            raise ValueError(
                "Expected detections (N, K, 7) and objects (N, G, 8); received shapes: "
                f"{shapes[0]} and {shapes[1]}"
            )
        for found, there in zip(detections, objects, strict=True):
            size = None
            if self.sizes is not None:
                size = self.sizes[self._pictures % len(self.sizes)]
            self._add(found, there, size)
            self._pictures += 1

    def _add(self, found, there, size) -> None:
        """Add the detections and objects of one picture."""
        there = there[there[:, 0] >= 0]
        for label in self.labels:
            mine, its = found[found[:, 1] == label], there[there[:, 1] == label]
            hard = its[:, 7] != 0
            self._objects[label] += len(its) if self.difficult else int((~hard).sum())
            mine = mine[np.argsort(-mine[:, 2], kind="stable")]
            overlaps = _overlaps(mine[:, 3:], its[:, 3:7], size)
            taken = np.zeros(len(its), bool)
            for row, overlap in zip(mine, overlaps, strict=True):
                best = int(overlap.argmax()) if len(its) else -1
                hits = best >= 0 and overlap[best] >= self.overlap
                if hits and hard[best] and not self.difficult:
                    continue
                self._scores[label].append(float(row[2]))
                self._right[label].append(bool(hits and not taken[best]))
                if hits:
                    taken[best] = True

    def by_class(self) -> dict[int, float]:
        """Return the average precision of each class of which something is detected."""
        return {
            label: average_precision(
                scores, self._right[label], self._objects[label], self.version
            )
            for label, scores in self._scores.items()
            if scores
        }

    def result(self) -> float:
        """Return the mean over all classes; 0 for one of which nothing is detected."""
        return sum(self.by_class().values()) / max(len(self.labels), 1)


def average_precision(scores, right, objects: int, version: str = "Integral") -> float:
    """Return the average precision of one class's detections.

    Args:
        scores: Their scores, in any order; of equal ones the first comes first.
        right: Whether each has found an object that none has found before.
        objects: How many objects there are; 0 makes it 0.
        version: As of `DetectionEvaluation`.

    Raises:
        ValueError: If `version` is none of those.

    Example:
        >>> scores, right = [0.9, 0.8, 0.7], [True, False, True]  # 1, and 2 of 3
        >>> round(kcz.training.average_precision(scores, right, objects=2), 4)
        0.8333
        >>> round(kcz.training.average_precision(scores, right, 2, "11point"), 4)
        0.8485
    """
    _check_version(version)
    scores, right = np.asarray(scores, "float32"), np.asarray(right, bool)
    if not len(scores) or not objects:
        return 0.0
    hits = np.cumsum(right[np.argsort(-scores, kind="stable")]).astype("float32")
    precision = (hits / np.arange(1, len(hits) + 1, dtype="float32")).astype("float64")
    # Of float32: 7 of 10 are less than 0.7 then, as in the fork.
    recall = (hits / np.float32(objects)).astype("float64")
    best = np.maximum.accumulate(precision[::-1])[::-1]
    if version == "11point":
        ends = (precision[recall >= j / 10] for j in range(11))
        return float(sum(part.max(initial=0.0) for part in ends) / 11)
    if version == "MaxIntegral":
        return float(recall[0] * best[0] + np.diff(recall) @ best[:-1])
    return float(np.diff(recall, prepend=0.0) @ precision)


def read_name_sizes(path: str | os.PathLike) -> np.ndarray:
    """Return the sizes in a list of them, as SSD's `get_image_size` writes it.

    Args:
        path: The list: on each line a name, a height and a width.

    Returns:
        Heights and widths in pixels, int (n, 2).

    Raises:
        ValueError: If it is no such list, or an empty one.
        OSError: If it cannot be opened.
    """
    check_file(path, "a list of names and sizes")
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        words = [line.split() for line in file.read(_MOST_SIZES).splitlines()]
    words = [line for line in words if line]
    for line in words or [[]]:
        if len(line) != 3 or not all(w.isdecimal() and len(w) < 10 for w in line[1:]):
            raise ValueError(
                "Expected lines of a name, a height and a width; received: "
                f"{' '.join(line)[:200]!r} ({path})"
            )
    return np.array([line[1:] for line in words], "int64")


def _overlaps(found, there, size) -> np.ndarray:
    """Return the intersection over union of boxes `(K, 4)` and others `(G, 4)`."""
    one = np.float32(size is not None)  # a box of pixels has both its ends
    if size is not None:
        scale = np.tile(size[::-1], 2).astype("float32")
        found, there = (np.clip(x, 0, 1) * scale for x in (found, there))
    a, b = found[:, None], there[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    apart = ((b[..., :2] > a[..., 2:]) | (b[..., 2:] < a[..., :2])).any(-1)
    # The fork makes a box of zeros of an empty intersection: one pixel.
    sides = np.where(apart[..., None], 0, high - low) + one
    shared = np.where((sides > 0).all(-1), sides.prod(-1), 0)
    areas = [_areas(x, one) for x in (found, there)]
    union = areas[0][:, None] + areas[1] - shared
    return np.where(shared > 0, shared / np.where(union == 0, 1, union), 0)


def _areas(boxes, one) -> np.ndarray:
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.where((sides < 0).any(-1), 0, (sides + one).prod(-1))


def _check_version(version: str) -> None:
    if version not in AP_VERSIONS:
        raise ValueError(
            f"Expected an ap_version of {', '.join(AP_VERSIONS)}; received: "
            f"{version!r:.200}"
        )
