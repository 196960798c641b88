"""What a net says of every pixel of a picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image

from keras_caffe_zoo.files import replacing

_IN_A_PALETTE = 256


class Share(NamedTuple):
    """A class that is in a picture.

    Attributes:
        index: The class's number.
        name: What it is called.
        share: Its part of the pixels, from 0 to 1.
    """

    index: int
    name: str
    share: float


@dataclass(frozen=True, eq=False)
class Segments:
    """The class of every pixel of a picture.

    Attributes:
        labels: The classes' numbers, `(H, W)`; uint8, or int32 of more than 256
            classes.
        names: What the classes are called, those that are not in the picture too.
        colours: Their colours, RGB uint8 `(classes, 3)`.
        background: The number of the class that stands for none; None if there is no
            such class.
    """

    labels: np.ndarray
    names: tuple[str, ...]
    colours: np.ndarray
    background: int | None = None

    @cached_property
    def classes(self) -> list[Share]:
        """The classes that are in the picture, the largest first."""
        pixels = np.bincount(self.labels.ravel(), minlength=len(self.names))
        shares = pixels / max(self.labels.size, 1)
        found = [i for i in np.argsort(-pixels, kind="stable") if pixels[i]]
        return [Share(int(i), self.names[i], float(shares[i])) for i in found]

    @property
    def mask(self) -> np.ndarray:
        """The picture in the classes' colours, RGB uint8 `(H, W, 3)`."""
        return self.colours[self.labels]

    def as_dict(self) -> dict:
        """Return the classes and their shares, for JSON; not the map."""
        height, width = self.labels.shape
        classes = [one._asdict() for one in self.classes]
        return {"size": [height, width], "classes": classes}

    def label_image(self) -> Image.Image:
        """Return the map as PASCAL VOC keeps such maps: numbers, and their colours.

        Raises:
            ValueError: If there are more than 256 classes.
        """
        if len(self.names) > _IN_A_PALETTE:
            raise ValueError(
                f"Expected at most {_IN_A_PALETTE} classes for a picture with a "
                f"palette; received: {len(self.names)}. `labels` has the numbers"
            )
        image = Image.fromarray(self.labels)
        image.putpalette(self.colours.tobytes())
        return image

    def save_labels(self, path: str | os.PathLike) -> None:
        """Write the map as PASCAL VOC keeps such maps, as a PNG with a palette.

        Args:
            path: The file.

        Raises:
            ValueError: If there are more than 256 classes.
        """
        with replacing(path) as part:
            self.label_image().save(part, format="PNG")
