"""What holds for the nets that are no classifiers, and their published definitions."""

from collections.abc import Callable
from typing import NamedTuple

import face_definitions as faces
import pytest
from definition import Definition


class Other(NamedTuple):
    """What holds for one net that is no classifier, whatever it was trained on.

    Attributes:
        layers: Writes its published definition down.
        size: Height and width of the definition's image, a number if they are the same.
        parameters: How many numbers the definition learns.
        outputs: Caffe's names of its outputs.
        classes: What its outputs are for; None if they are not for classes.
        data: Caffe's name of the image.
        channels: The image's channels.
        other_sizes: Sizes of other images that it takes; none if it takes only its own.
        quick: Whether it is built in the quick tests.
    """

    layers: Callable
    size: int | tuple[int, int]
    parameters: int
    outputs: tuple[str, ...]
    classes: int | None = None
    data: str = "data"
    channels: int = 3
    other_sizes: tuple[tuple[int, int], ...] = ()
    quick: bool = False

    @property
    def sides(self):
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)


OTHERS = {
    "mtcnn_p": Other(
        faces.mtcnn_p, 12, 6_632, ("prob1", "conv4-2"), other_sizes=((31, 40),)
    ),
    "mtcnn_r": Other(faces.mtcnn_r, 24, 100_178, ("prob1", "conv5-2"), quick=True),
    "mtcnn_o": Other(faces.mtcnn_o, 48, 389_040, ("prob1", "conv6-2", "conv6-3")),
}

each_other = pytest.mark.parametrize("name", OTHERS)
each_kind = pytest.mark.parametrize(
    "name",
    [
        n if other.quick else pytest.param(n, marks=pytest.mark.slow)
        for n, other in OTHERS.items()
    ],
)


def define(name):
    """Return a net's published definition."""
    net = OTHERS[name]
    definition = Definition(
        name, net.size, classes=net.classes, data=net.data, channels=net.channels
    )
    net.layers(definition)
    return definition
