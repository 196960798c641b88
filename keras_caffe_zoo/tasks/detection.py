"""Things in pictures: boxes, what is in them, and how sure the net is."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from keras_caffe_zoo.labels import own_labels
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.tasks.boxes import (
    Detections,
    Names,
    sorted_detections,
)
from keras_caffe_zoo.tasks.detectors import classes_of, ends_of
from keras_caffe_zoo.tasks.net import NetTask, TaskNet
from keras_caffe_zoo.tasks.regions import fitted, is_info, refined
from keras_caffe_zoo.tasks.running import answers

THRESHOLD = 0.5


def detect(
    model: str | keras.Model,
    images,
    *,
    threshold: float = THRESHOLD,
    labels: str | Sequence[str] | None = None,
    weights: str | os.PathLike | None = "caffe",
    preprocessing: str | None = None,
    mean=None,
    scale: float | None = None,
    runtime: str = "keras",
    batch_size: int = 8,
    progress: bool = True,
):
    """Find things in pictures: where they are, what they are, how sure the net is.

        found = kcz.detect("mobilenet_ssd", "street.jpg")
        found.names, found.boxes, found.scores

    Any net will do that ends with SSD's or YOLO's layer of detections, or that refines
    the regions that it proposes, as Faster R-CNN and R-FCN do. The latter take pictures
    enlarged until their shortest side has 600 pixels, or the longest 1000; others in
    their own size.

    Args:
        model: Name of a net of the zoo, `list_models(task="detection")`, or a model,
            such as `from_caffe` returns.
        images: A picture: its path, or an RGB uint8 array `(H, W, 3)`; or several: a
            folder, a list file, or any other source of `extract_features`.
        threshold: The least score of what is returned. The nets themselves keep what
            they are far less sure of, from 0.01 up.
        labels: What the classes are called, if the zoo does not know: names, or the
            name of a list of the zoo, such as `"voc"`. With or without the background.
        weights: As for the net's builder, if `model` is a name.
        preprocessing: Name of the net of the zoo whose pictures a model of one's own
            takes: order of channels, mean and scale.
        mean: What such a model subtracts from pixels instead: a number for each channel
            in BGR, 0 for nothing, an image, or the path of a `.binaryproto`.
        scale: What it multiplies the difference by; 1 if not given.
        runtime: What computes the net: `"keras"`, `"onnxruntime"` or `"openvino"`.
        batch_size: How many pictures go through the net at once; one where they keep
            their proportions.
        progress: Whether to show how far a long work has come.

    Returns:
        Of a picture `Detections`; of a folder or a list file a dict of them by name,
        without the files that are no pictures, which a message names; of several
        pictures given otherwise a list.

    Raises:
        ValueError: If the model detects in no way known here, names do not fit its
            classes, or a picture that was given is none.
        ImportError: If the runtime is not installed.
        OSError: If a file cannot be read.

    Example:
        With the SSD that ships with the package, on a page of handwritten digits:

        >>> from keras_caffe_zoo import demo
        >>> digits, labels = demo.held_out_digits()
        >>> digits, labels = digits[300:350], labels[300:350]
        >>> page, placed = demo.written_page(digits, labels, 384, 704, seed=7)
        >>> picture, names = page[..., None].repeat(3, -1), list("0123456789")
        >>> found = kcz.detect(demo.load_ssd(), picture, mean=225, labels=names)
        >>> there = [str(label) for label, *_ in placed]
        >>> len(found), sorted(found.names) == sorted(there)
        (50, True)
    """
    task = Detector(
        model,
        threshold=threshold,
        labels=labels,
        weights=weights,
        preprocessing=preprocessing,
        mean=mean,
        scale=scale,
        runtime=runtime,
        batch_size=batch_size,
    )
    return answers(task, images, progress)


class Detector(NetTask):
    """A net that detects, as a task.

    Args:
        model: As for `detect`.
        threshold: As for `detect`.
        labels: As for `detect`.
        **options: Of `TaskNet`.

    Attributes:
        tasks: What nets of the zoo must do.
        net: The net, as a `TaskNet`.

    Raises:
        ValueError: As `detect`.
        ImportError: As `detect`.
    """

    tasks = ("detection",)

    def __init__(self, model, *, threshold=THRESHOLD, labels=None, **options):
        if not 0 <= threshold <= 1:
            raise ValueError(
                f"Expected a threshold from 0 to 1; received: threshold={threshold!r}"
            )
        self._threshold = np.float32(threshold)
        self.net = TaskNet(model, self.tasks, outputs=_ending_there, **options)
        self._has_regions = is_info(self.net.model.inputs[-1])
        count, background = classes_of(self.net.model)
        labels = own_labels(model, count) if labels is None else labels
        self._names = Names(labels, count, background)

    def prepare(self, pixels: np.ndarray):
        """Return a picture as the net takes it, and its height and width."""
        size = pixels.shape[:2]
        if not self._has_regions:
            return self.net.prepare(pixels), size
        return fitted(pixels, self.net.recipe), size

    def answer(self, prepared: list) -> list[Detections]:
        """Return what was found in some pictures."""
        sizes = [size for _, size in prepared]
        inputs = [x for x, _ in prepared]
        if self._has_regions:
            pairs = zip(inputs, sizes, strict=True)
            return [self._in_regions(*x, size) for x, size in pairs]
        rows = self.net(inputs)["rows"].reshape(-1, 7)
        rows = rows[(rows[:, 1] >= 0) & (rows[:, 2] >= self._threshold)]
        return [
            self._found(rows[rows[:, 0] == item, 1:], size)
            for item, size in enumerate(sizes)
        ]

    def _found(self, rows: np.ndarray, size) -> Detections:
        """Return an item's rows of label, score and corners in parts of the picture."""
        height, width = size
        sides = np.array([width, height, width, height], "float32")
        boxes = rows[:, 2:] * sides
        return sorted_detections(boxes, rows[:, 0], rows[:, 1], size, self._names)

    def _in_regions(self, image, info, size) -> Detections:
        outputs = self.net([image], info)
        scale, threshold = info[0, 2], self._threshold
        found = refined(outputs, scale, size, threshold)
        return sorted_detections(*found, size, self._names)


def _ending_there(model: keras.Model) -> keras.Model:
    return keras.Model(model.input, ends_of(model))
