"""What the served nets do: the task of each, what it says of a picture, what it draws.

`KINDS` has a kind of net for each of the manifest's names of tasks that are served.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from keras_caffe_zoo.plots.boxes import draw_boxes
from keras_caffe_zoo.plots.edges import draw_edges
from keras_caffe_zoo.plots.faces import draw_faces
from keras_caffe_zoo.plots.segments import draw_segments
from keras_caffe_zoo.plots.skeletons import draw_poses
from keras_caffe_zoo.tasks.classification import Classification
from keras_caffe_zoo.tasks.colorization import Colorizer
from keras_caffe_zoo.tasks.detection import Detector
from keras_caffe_zoo.tasks.edges import EdgeFinder
from keras_caffe_zoo.tasks.faces import FaceDetector
from keras_caffe_zoo.tasks.pose import PoseEstimator
from keras_caffe_zoo.tasks.segmentation import Segmenter


class Row(NamedTuple):
    """A line of an answer.

    Attributes:
        name: What it is about.
        share: How long its bar is, 0 to 1; None for no bar.
        text: What is written at its end, such as `"97.2%"`.
    """

    name: str
    share: float | None = None
    text: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of net.

    Attributes:
        does: What such a net does, in a few words.
        task: Makes the task, of a net's name or a model, and options of `TaskNet`.
        rows: What a result says, line by line.
        drawn: The picture to show of a picture, RGB, and its result; None if none is.
    """

    does: str
    task: Callable[..., Any]
    rows: Callable[[Any], list[Row]]
    drawn: Callable[[np.ndarray, Any], Any] | None = None


def _classes(found) -> list[Row]:
    if found.has_probabilities:
        return [Row(name, value, f"{value:.1%}") for _, name, value in found.classes]
    return [Row(name, None, f"{value:.3f}") for _, name, value in found.classes]


def _things(found) -> list[Row]:
    return [
        Row(name, float(score), f"{score:.1%}")
        for name, score in zip(found.names, found.scores, strict=True)
    ]


def _faces(found) -> list[Row]:
    return [Row("face", float(score), f"{score:.1%}") for score in found.scores]


def _people(found) -> list[Row]:
    return [Row(line) for line in found.lines()]


def _shares(found) -> list[Row]:
    return [Row(one.name, one.share, f"{one.share:.1%}") for one in found.classes]


def _nothing(_) -> list[Row]:
    return []


KINDS = {
    "classification": Kind("says what is in a picture", Classification, _classes),
    "detection": Kind("finds things", Detector, _things, draw_boxes),
    "face_detection": Kind("finds faces", FaceDetector, _faces, draw_faces),
    "segmentation": Kind(
        "tells the class of every pixel", Segmenter, _shares, draw_segments
    ),
    "pose": Kind("finds people's joints", PoseEstimator, _people, draw_poses),
    "edges": Kind(
        "finds edges", EdgeFinder, _nothing, lambda _, edges: draw_edges(edges)
    ),
    "colorization": Kind(
        "colours grey pictures", Colorizer, _nothing, lambda _, rgb: rgb
    ),
}
