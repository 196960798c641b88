"""MTCNN, whose three nets find faces together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from keras_caffe_zoo.conversion.model import find_tensor
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.tasks import mtcnn
from keras_caffe_zoo.tasks.found_faces import Faces
from keras_caffe_zoo.tasks.net import TaskNet
from keras_caffe_zoo.weights import model_entry

THRESHOLDS = (0.6, 0.7, 0.7)  # the authors', of P-Net, R-Net and O-Net
SMALLEST = 20
CASCADE = ("mtcnn_p", "mtcnn_r", "mtcnn_o")
_OUTPUTS = (("prob1", "conv4-2"), ("prob1", "conv5-2"), ("prob1", "conv6-2", "conv6-3"))
_AT_ONCE = 128  # windows
_NONE = ((0, 4), (0,), (0, 5, 2))  # shapes of boxes, scores and points


class Cascade:
    """MTCNN's three nets, as a task.

    Args:
        model: `"mtcnn"`, or three models.
        threshold: The least score of each net's, or of the last's; the authors' if
            None.
        smallest: The least side of a face in pixels.
        weights: As for `find_faces`.
        preprocessing: As for `TaskNet`; each net's own if no mean is given either.
        mean: As for `TaskNet`.
        **options: Of `TaskNet`.

    Attributes:
        batch_size: 1: pictures keep their sizes.
        batches_at_once: How many pictures are best in the nets at once.

    Raises:
        ValueError: If models are not MTCNN's.
        ImportError: If the runtime is not installed.
    """

    batch_size = 1

    def __init__(
        self,
        model="mtcnn",
        *,
        threshold=None,
        smallest=SMALLEST,
        weights="caffe",
        preprocessing=None,
        mean=None,
        **options,
    ):
        self._thresholds = _thresholds(threshold)
        if not smallest >= 1:
            raise ValueError(
                f"Expected faces of at least 1 pixel; received: smallest={smallest!r}"
            )
        self._smallest = smallest
        models = CASCADE if model == "mtcnn" else tuple(model)
        if len(models) != 3:
            raise ValueError(
                "Expected 'mtcnn', or its three models: P-Net, R-Net, O-Net; received: "
                f"{len(models)}"
            )
        own = model != "mtcnn" and mean is None and preprocessing is None
        self._nets = [
            TaskNet(
                one,
                ["face_detection"],
                weights=path,
                preprocessing=name if own else preprocessing,
                mean=mean,
                outputs=_blobs(outputs),
                batch_size=_AT_ONCE,
                **options,
            )
            for one, path, name, outputs in zip(
                models, _paths(weights), CASCADE, _OUTPUTS, strict=True
            )
        ]
        self._check_sizes()
        self.batches_at_once = self._nets[0].batches_at_once

    def _check_sizes(self):
        sizes = [net.size for net in self._nets]
        if sizes != [None, (24, 24), (48, 48)]:
            raise ValueError(
                "Expected P-Net, of images of any size, R-Net, of 24 x 24 pixels, and "
                f"O-Net, of 48 x 48; received nets of {sizes}. Set a prototxt's own "
                "size free with from_caffe(…, input_shape={'data': (None, None, 3)})"
            )

    def prepare(self, pixels: np.ndarray):
        """Return a picture, and what P-Net takes of it."""
        recipe = self._nets[0].recipe
        levels = mtcnn.pyramid(pixels, self._smallest)
        return pixels, [(scale, recipe(level)) for scale, level in levels]

    def answer(self, prepared: list) -> list[Faces]:
        """Return the faces in some pictures."""
        return [self._found(*one) for one in prepared]

    def _found(self, pixels, levels) -> Faces:
        first, second, third = self._thresholds
        size, found = pixels.shape[:2], []
        for scale, level in levels:
            maps = self._nets[0]([level])
            chances, moves = maps["prob1"][0, ..., 1], maps["conv4-2"][0]
            found.append(mtcnn.proposed(chances, moves, scale, first))
        boxes = mtcnn.joined(found)
        if len(boxes):
            boxes = mtcnn.refined(boxes, *self._looked(1, pixels, boxes), second)
        if not len(boxes):
            return Faces(*(np.zeros(shape, "float32") for shape in _NONE), size)
        answer = mtcnn.decided(boxes, *self._looked(2, pixels, boxes), third)
        return Faces(*(x.astype("float32") for x in answer), size)

    def _looked(self, number: int, pixels, boxes) -> list[np.ndarray]:
        """Return what R-Net or O-Net says of windows: chances, and the rest."""
        net, names, parts = self._nets[number], _OUTPUTS[number], []
        for start in range(0, len(boxes), _AT_ONCE):
            some = mtcnn.windows(pixels, boxes[start : start + _AT_ONCE], net.size[0])
            parts.append(net(net.recipe(some)))
        chances, *rest = (np.concatenate([x[name] for x in parts]) for name in names)
        return [chances[:, 1], *rest]


def _thresholds(given) -> tuple[float, ...]:
    """Return the least scores of the three nets."""
    if given is None:
        return THRESHOLDS
    listed = np.atleast_1d(np.asarray(given, float)).tolist()
    if not all(0 <= one <= 1 for one in listed):
        raise ValueError(
            f"Expected thresholds from 0 to 1; received: threshold={given!r}"
        )
    if len(listed) not in (1, 3):
        raise ValueError(
            f"Expected one threshold or three; received: threshold={given!r}"
        )
    return tuple(listed) if len(listed) == 3 else (*THRESHOLDS[:2], *listed)


def _paths(weights) -> list:
    """Return the weights of the three nets."""
    if weights is None or weights == "caffe":
        return [weights] * 3
    if isinstance(weights, str | os.PathLike):
        folder = Path(weights)
        return [folder / model_entry(name).file.name for name in CASCADE]
    return list(weights)


def _blobs(names: Sequence[str]) -> Callable:
    """Return what makes a model's outputs these blobs."""

    def outputs(model: keras.Model) -> keras.Model:
        found = {name: find_tensor(model, name) for name in names}
        missing = [name for name, tensor in found.items() if tensor is None]
        if missing:
            known = there_are(caffe_name(layer.name) for layer in model.layers)
            raise ValueError(
                f"Expected one of MTCNN's nets, with the outputs {', '.join(names)}; "
                f"received: '{model.name}' without {', '.join(missing)}. {known}"
            )
        return keras.Model(model.input, found)

    return outputs
