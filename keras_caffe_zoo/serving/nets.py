"""A net that is served: what it says of a picture, sees where, and has inside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from keras_caffe_zoo.conversion.model import find_tensor
from keras_caffe_zoo.dense import predict_dense, to_fully_convolutional
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.plots._figure import DPI
from keras_caffe_zoo.plots.maps import heatmap
from keras_caffe_zoo.plots.nets import draw_activations, image_activations
from keras_caffe_zoo.preprocessing import preprocess_input, resize
from keras_caffe_zoo.preprocessing.inputs import grey
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.serving.errors import ViewError
from keras_caffe_zoo.serving.kinds import KINDS, Row

MOST_SHOWN = 4_000_000  # pixels of a picture that is sent to the page
MOST_MAPPED = 1_000_000  # pixels of a picture that a net is slid over
MOST_CHANNELS = 256  # of a blob that are drawn
_WINDOWS = 2.5  # of the net's in the shortest side of a picture that is small
_ROUNDING = 1e-2


@dataclass(frozen=True)
class Answer:
    """What a net says of a picture.

    Attributes:
        rows: Line by line.
        picture: RGB uint8 `(H, W, 3)`, with what was found; None if nothing is drawn.
        result: What the task returned.
    """

    rows: list[Row]
    picture: np.ndarray | None
    result: object


class ServedNet:
    """A net with its task, ready to be given pictures.

    Args:
        name: What it is called on the page.
        kind: What it does, one of `KINDS`.
        task: The task, made of the net.
        zoo: Its name in the zoo; None of a net of one's own.
    """

    def __init__(self, name: str, kind: str, task, zoo: str | None = None):
        self.name, self.kind, self.task = name, kind, task
        self._zoo = zoo

    @property
    def model(self) -> keras.Model:
        """The model."""
        return self.task.net.model

    @property
    def classes(self) -> list[str]:
        """What the classes are called that a heat map can be drawn of."""
        return [name for _, name in self.task.names] if self.has_map else []

    @property
    def has_map(self) -> bool:
        """Whether heat maps are drawn of it."""
        return self.kind == "classification"

    @cached_property
    def blobs(self) -> list[str]:
        """Names of the blobs that are a map or a vector for each picture, in order."""
        if len(self.model.inputs) != 1:
            return []
        names = getattr(self.model, "caffe_blobs", None)
        names = names or [caffe_name(layer.name) for layer in self.model.layers]
        return [name for name in names if self._is_drawable(name)]

    def _is_drawable(self, name: str) -> bool:
        tensor = find_tensor(self.model, name)
        shape = () if tensor is None else tensor.shape
        return len(shape) in (2, 4) and shape[0] is None and shape[-1] is not None

    def answer(self, pixels: np.ndarray) -> Answer:
        """Return what the net says of a picture, RGB uint8 `(H, W, 3)`.

        Raises:
            PictureError: If the picture is of no use for the task.
        """
        (result,) = self.task.answer([self.task.prepare(pixels)])
        kind = KINDS[self.kind]
        drawn = kind.drawn and shown(np.asarray(kind.drawn(pixels, result)))
        return Answer(kind.rows(result), drawn, result)

    def map(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a picture as the net is slid over it, and the map of probabilities.

        A small picture is enlarged, a large one made smaller.

        Raises:
            ViewError: If the net cannot be slid, or gives no probabilities.
        """
        if not self.has_map:
            raise ViewError(f"{self.name} names no classes, so there is no heat map.")
        pixels = self._sized(pixels)
        try:
            chances = predict_dense(self._dense, self._taken(pixels), progress=False)
        except ValueError as error:
            raise ViewError(f"There is no heat map: {error}") from error
        if chances.min() < 0 or abs(chances.sum(-1) - 1).max() > _ROUNDING:
            raise ViewError(
                f"There is no heat map: {self.name} gives scores, not probabilities."
            )
        return pixels, chances

    def heat(self, pixels: np.ndarray, index: int | None = None) -> np.ndarray:
        """Return a picture's heat map drawn over it, RGB uint8.

        Args:
            pixels: RGB uint8 `(H, W, 3)`.
            index: The class; the likeliest if None.

        Raises:
            ViewError: If there is no such class, or as `map`.
        """
        names = self.classes
        if index is not None and index not in range(len(names)):
            raise ViewError(
                f"{self.name} has no class {str(index)[:80]}, but {len(names)}."
            )
        picture, chances = self.map(pixels)
        return _pixels(heatmap(picture, chances, index, class_names=names))

    def activations(self, pixels: np.ndarray, blob: str) -> np.ndarray:
        """Return the values that a picture has in a blob, `(H, W, C)` or `(C,)`.

        Raises:
            ViewError: If the net has no such blob that can be drawn.
        """
        if blob not in self.blobs:
            known = there_are(self.blobs, str(blob))
            raise ViewError(
                f"{self.name} has no blob {str(blob)[:80]!r} to be shown. {known}."
            )
        return image_activations(self.model, self._prepared(pixels), blob)

    def inside(self, pixels: np.ndarray, blob: str, channels: int) -> np.ndarray:
        """Return the first channels of a blob as a picture, RGB uint8.

        Args:
            pixels: RGB uint8 `(H, W, 3)`.
            blob: Caffe's name of the blob.
            channels: How many of them, `MOST_CHANNELS` at most.

        Raises:
            ViewError: As `activations`.
        """
        values = self.activations(pixels, blob)
        if channels not in range(1, MOST_CHANNELS + 1):
            raise ViewError(f"Expected 1 to {MOST_CHANNELS} channels to be shown.")
        return _pixels(draw_activations(values, blob, limit=channels))

    @cached_property
    def _dense(self) -> keras.Model:
        return to_fully_convolutional(self.model)

    def _sized(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        wanted = _WINDOWS * max(self.model.input_shape[1:3])
        scale = max(1.0, wanted / min(height, width))
        scale = min(scale, (MOST_MAPPED / (height * width)) ** 0.5)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return pixels if size == (height, width) else resize(pixels, size)

    def _taken(self, pixels: np.ndarray) -> np.ndarray:
        """Return a picture of any size as the net takes it."""
        if self._zoo:
            return preprocess_input(pixels, self._zoo, "channels_last")
        recipe = self.task.net.recipe
        if recipe.mean.ndim == 3:
            recipe = replace(recipe, mean=recipe.mean.mean((0, 1)))
        return recipe(grey(pixels) if self.model.input_shape[-1] == 1 else pixels)

    def _prepared(self, pixels: np.ndarray) -> np.ndarray:
        if self.kind == "classification":
            return self.task.prepare(pixels)
        if self.kind == "colorization":
            return self.task.prepare(pixels)[0]
        if self.task.net.size is None:
            pixels = shown(pixels, MOST_MAPPED)
        return self.task.net.prepare(pixels)


def shown(picture: np.ndarray, most: int = MOST_SHOWN) -> np.ndarray:
    """Return a picture with no more pixels than a page is sent."""
    height, width = picture.shape[:2]
    scale = (most / (height * width)) ** 0.5
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _pixels(figure) -> np.ndarray:
    """Return a figure as RGB uint8 `(H, W, 3)`."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
