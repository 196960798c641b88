"""Pictures that an integer net is measured on, and how well it agrees afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from keras_caffe_zoo.pictures import (
    PictureError,
    picture_names,
    read_picture,
    silent_pillow,
)
from keras_caffe_zoo.preprocessing.inputs import cut, grey
from keras_caffe_zoo.preprocessing.recipe import Recipe
from keras_caffe_zoo.preprocessing.resizing import resize

MOST = 400  # pictures, evenly spaced through the sorted names, so that all kinds come
_HELD_OUT = 4  # every fourth is compared, and not measured
_LISTED = 5

Run = Callable[[np.ndarray], np.ndarray]


class Calibration:
    """The readable pictures of a folder, as a net's input.

    Three quarters of them are measured, the rest is compared afterwards; of less than
    four, all serve for both.

    Attributes:
        measured: The paths of those that ranges are measured on.
        compared: The paths of those that answers are compared on.
        bad: `(name, reason)` of those that cannot be read.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        size: tuple[int | None, int | None],
        channels: int,
        recipe: Recipe,
        items: int = 1,
    ):
        """Find the pictures.

        Args:
            folder: The folder; all below it are taken, at most 400.
            size: Height and width of the input; None for a free side. Pictures are
                resized by the rule of a net of the zoo; for other nets they are
                squeezed to it, and left as they are where it is free.
            channels: 3, or 1 for gray.
            recipe: What the net does to images.
            items: How many pictures the net takes at once.

        Raises:
            ValueError: If none can be read.
            OSError: If there is no such folder.
        """
        self.size, self.channels = size, channels
        self.recipe, self.items = recipe, items
        self.bad: list[tuple[str, str]] = []
        good = []
        names = picture_names(folder)
        for at in range(min(len(names), MOST)):
            name = names[at * len(names) // min(len(names), MOST)]
            try:
                with silent_pillow():
                    read_picture(os.path.join(folder, name))
                good.append(os.path.join(folder, name))
            except PictureError as error:
                self.bad.append((name, error.reason))
        if not good:
            raise ValueError(
                "Expected a folder with pictures that Pillow can read; received: "
                f"{os.fspath(folder)}, with {_count(names)} and "
                f"{_listed(self.bad) or 'nothing else'}"
            )
        enough = len(good) >= _HELD_OUT
        self.compared = good[_HELD_OUT - 1 :: _HELD_OUT] if enough else good
        held = set(self.compared) if enough else set()
        self.measured = [path for path in good if path not in held]

    @property
    def held_out(self) -> bool:
        """Whether pictures are compared that were not measured."""
        return set(self.measured).isdisjoint(self.compared)

    def images(self, paths: Sequence[str]) -> Iterator[np.ndarray]:
        """Yield batches of pictures, uint8 `(N, H, W, C)`; the last may repeat some."""
        for start in range(0, len(paths), self.items):
            batch = [paths[(start + i) % len(paths)] for i in range(self.items)]
            yield np.stack([self._image(path) for path in batch])

    def blob(self, images: np.ndarray) -> np.ndarray:
        """Return a batch as the net's prepared input, float32 `(N, C, H, W)`."""
        return np.ascontiguousarray(np.moveaxis(self.recipe(images), -1, 1))

    def _image(self, path: str) -> np.ndarray:
        with silent_pillow():
            image = read_picture(path)
        entry = self.recipe.entry
        if entry is not None:
            image = cut(image, entry)
        sides = (s or i for s, i in zip(self.size, image.shape, strict=False))
        image = resize(image, tuple(sides))
        return grey(image) if self.channels == 1 else image


@dataclass(frozen=True)
class Agreement:
    """How an integer net agrees with the one of floats.

    Attributes:
        measured: How many pictures its ranges were measured on.
        compared: How many pictures were answered by both.
        held_out: Whether these are others.
        top1: Share of the answers, or of the cells of a map, whose best class is the
            same; None where the first output has no classes.
        difference: Largest difference of the first output, as a fraction of its largest
            value; None where the outputs' sizes differ.
        bad: `(name, reason)` of pictures that cannot be read.
    """

    measured: int
    compared: int
    held_out: bool
    top1: float | None
    difference: float | None
    bad: tuple[tuple[str, str], ...] = ()

    def __str__(self):
        others = "others" if self.held_out else "the same"
        lines = [
            f"int8: ranges measured on {_count(range(self.measured))}, answers "
            f"compared on {self.compared} {others}"
        ]
        if self.top1 is not None:
            lines.append(f"best class as in float32: {self.top1:.1%}")
        if self.difference is not None:
            lines.append(f"largest difference: {self.difference:.2g} of the maximum")
        if self.bad:
            lines.append(_listed(self.bad))
        return "\n".join(lines)


def agreement(pictures: Calibration, exact: Run, rough: Run, axis: int) -> Agreement:
    """Compare the answers of two nets.

    Args:
        pictures: The pictures, of which those that are held out are compared.
        exact: Returns the first output for a batch of images.
        rough: The same, of integers.
        axis: The axis of classes.
    """
    same, difference, largest = [], 0.0, 0.0
    for images in pictures.images(pictures.compared):
        wanted, found = exact(images), rough(images)
        if wanted.shape != found.shape:
            same, difference = [], None
            break
        difference = max(difference, float(np.abs(found - wanted).max(initial=0)))
        largest = max(largest, float(np.abs(wanted).max(initial=0)))
        if wanted.ndim > 1 and wanted.shape[axis] > 1:
            same.append((wanted.argmax(axis) == found.argmax(axis)).mean())
    return Agreement(
        measured=len(pictures.measured),
        compared=len(pictures.compared),
        held_out=pictures.held_out,
        top1=float(np.mean(same)) if same else None,
        difference=None if difference is None else difference / (largest or 1.0),
        bad=tuple(pictures.bad),
    )


def _count(things: Sequence) -> str:
    return f"{len(things)} picture{'' if len(things) == 1 else 's'}"


def _listed(bad: Sequence[tuple[str, str]]) -> str:
    """Say which pictures cannot be read, the first of many."""
    if not bad:
        return ""
    shown = ", ".join(f"{name} ({reason})" for name, reason in bad[:_LISTED])
    more = f" and {len(bad) - _LISTED} more" if len(bad) > _LISTED else ""
    return f"{len(bad)} that cannot be read: {shown}{more}"
