"""The class of every pixel: pictures through nets that end with a map of scores."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from keras_caffe_zoo.labels import class_names, known_labels
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.preprocessing.resizing import resize_float
from keras_caffe_zoo.tasks.net import NetTask, TaskNet
from keras_caffe_zoo.tasks.palettes import palette
from keras_caffe_zoo.tasks.running import answers
from keras_caffe_zoo.tasks.segments import Segments
from keras_caffe_zoo.tasks.views import AsItIs, Whole, Windows

# Nets that are slid over pictures, whose longest sides their authors made this long.
_LONGEST = {"pspnet50": 513, "pspnet101": 513, "pspnet101_cityscapes": 2049}
_STRIP = 4_000_000  # scores that are resized at a time
_BACKGROUND = "background"


def segment(
    model: str | keras.Model,
    images,
    *,
    side: int | None = None,
    labels: str | Sequence[str] | None = None,
    weights: str | os.PathLike | None = "caffe",
    preprocessing: str | None = None,
    mean=None,
    scale: float | None = None,
    runtime: str = "keras",
    progress: bool = True,
):
    """Tell the class of every pixel of pictures.

        found = kcz.segment("pspnet101", "street.jpg")
        found.labels, found.classes, found.mask

    Any net will do that ends with a map of scores for each class, or with `ArgMax` of
    one. It is shown a picture as its authors did that:

    - Nets of any size, FCN and DeepLab, see it as it is, with rows and columns of the
      mean below and to the right where their map would else be larger. A picture of
      more than a million pixels is shrunk to that: so large a one takes gigabytes.
    - Nets of one size, SegNet and ENet, see it squeezed into that.
    - PSPNet is slid over it in windows that overlap by a third, the longest side made
      513 pixels (2049 for Cityscapes), and the probabilities are averaged. The authors
      add those of the mirror image, which takes twice the time.

    The scores are then resized bilinearly to the picture's own size, and the best class
    of each pixel taken.

    Args:
        model: Name of a net of the zoo, `list_models(task="segmentation")`, or a model,
            such as `from_caffe` returns.
        images: A picture: its path, or an RGB uint8 array `(H, W, 3)`; or several: a
            folder, a list file, or any other source of `extract_features`.
        side: Resize pictures until the shortest side has this many pixels; a net of one
            size is then slid over them.
        labels: What the classes are called, if the zoo does not know: names, or the
            name of a list of the zoo, such as `"voc"` or `"cityscapes"`, with its
            colours.
        weights: As for the net's builder, if `model` is a name.
        preprocessing: Name of the net of the zoo whose pictures a model of one's own
            takes: order of channels, mean and scale.
        mean: What such a model subtracts from pixels instead: a number for each channel
            in BGR, 0 for nothing, an image, or the path of a `.binaryproto`.
        scale: What it multiplies the difference by; 1 if not given.
        runtime: What computes the net: `"keras"`, `"onnxruntime"` or `"openvino"`.
        progress: Whether to show how far a long work has come.

    Returns:
        Of a picture `Segments`: `labels`, the classes' numbers at the picture's own
        size; `classes`, which there are, with their share of the pixels; `names`,
        `colours` and the coloured `mask`. Of a folder or a list file a dict of them by
        name, without the files that are no pictures, which a message names; of several
        pictures given otherwise a list.

    Raises:
        ValueError: If the model does not end with such a map, names do not fit its
            classes, `side` is no length, or a picture that was given is none.
        ImportError: If the runtime is not installed.
        OSError: If a file cannot be read.

    Example:
        A net of one layer that takes what is more red than green for the sky:

        >>> image = keras.Input((None, None, 3))  # BGR, as the zoo's nets take it
        >>> model = keras.Model(image, keras.layers.Conv2D(2, 1, use_bias=False)(image))
        >>> model.set_weights([np.array([[0, 0], [1, 0], [0, 1]]).reshape(1, 1, 3, 2)])
        >>> picture = np.zeros((40, 60, 3), "uint8")
        >>> picture[:10, :, 0] = 255  # in RGB
        >>> found = kcz.segment(model, picture, mean=0, labels=["ground", "sky"])
        >>> [(one.name, one.share) for one in found.classes]
        [('ground', 0.75), ('sky', 0.25)]
    """
    task = Segmenter(
        model,
        side=side,
        labels=labels,
        weights=weights,
        preprocessing=preprocessing,
        mean=mean,
        scale=scale,
        runtime=runtime,
    )
    return answers(task, images, progress)


class Segmenter(NetTask):
    """A net that tells the class of every pixel, as a task.

    Args:
        model: As for `segment`.
        side: As for `segment`.
        labels: As for `segment`.
        **options: Of `TaskNet`.

    Attributes:
        names: What the classes are called.

    Raises:
        ValueError: As `segment`.
        ImportError: As `segment`.
    """

    def __init__(self, model, *, side=None, labels=None, **options):
        if side is not None and (not isinstance(side, int) or side < 1):
            raise ValueError(
                f"Expected `side` to be a length in pixels; received: side={side!r}"
            )
        tasks = ["segmentation"]  # one at a time: its maps are large enough
        self.net = TaskNet(model, tasks, outputs=_ending_there, batch_size=1, **options)
        scores = _scores(self.net.model)
        self._view = self._viewed(side, _are_chances(scores))
        self._labels = labels
        classes, entry = scores.shape[-1], self.net.entry
        if labels is None and entry is not None and entry.classes == classes:
            self._labels = known_labels(entry)
        self.names = _names(self._labels, classes)

    def _viewed(self, side: int | None, are_chances: bool):
        if self.net.size is None:
            return AsItIs(self.net, _ending_there(self.net.model), side)
        entry = self.net.entry
        slid = entry is not None and entry.input_size == self.net.size
        longest = _LONGEST.get(entry.name) if slid and side is None else None
        if side is None and longest is None:
            return Whole(self.net)
        chances = _as_it_is if are_chances else _softmax
        return Windows(self.net, side=side, longest=longest, chances=chances)

    def prepare(self, pixels: np.ndarray):
        """Return what the net is given of a picture, and what is known of that."""
        inputs, shown = self._view.inputs(pixels)
        return inputs, shown, pixels.shape[:2]

    def answer(self, prepared: list) -> list[Segments]:
        """Return the classes of some pictures' pixels."""
        return [self._segments(*one) for one in prepared]

    def _segments(self, inputs: list, shown, size) -> Segments:
        maps = [self.net([x])[0] for x in inputs]
        best = best_classes(self._view.scores(maps, shown), size)
        names, known = self.names, self._labels
        colours = palette(len(names), known if isinstance(known, str) else None)
        background = 0 if names[0] == _BACKGROUND else None
        return Segments(best, names, colours, background)


def best_classes(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the best class of each pixel of a picture, `(H, W)`.

    Args:
        scores: `(rows, columns, classes)`, resized bilinearly to the picture's size.
        size: The picture's height and width.
    """
    height, width = size
    classes = scores.shape[-1]
    best = np.empty(size, "uint8" if classes <= 256 else "int32")
    rows = max(1, _STRIP // (width * classes))
    for top in range(0, height, rows):  # all scores at once may be gigabytes
        box = slice(top, min(top + rows, height))
        if scores.shape[:2] == size:
            strip = scores[box]
        else:
            strip = resize_float(scores, size, box=(box, slice(0, width)))
        best[box] = strip.argmax(-1)
    return best


def _ending_there(model: keras.Model) -> keras.Model:
    """Return a model that ends with the scores of the classes."""
    return keras.Model(model.input, _scores(model))


def _scores(model: keras.Model):
    """Return the map of scores that a model ends with, or takes the best of.

    Raises:
        ValueError: If there is none, or there are several.
    """
    ends = [_before_argmax(end) for end in keras.tree.flatten(model.output)]
    found = [x for x in ends if len(x.shape) == 4 and (x.shape[-1] or 0) > 1]
    if len(found) != 1 or len(model.inputs) != 1:
        raise ValueError(
            "Expected a model of one input whose output is a map of scores, (N, rows, "
            "columns, classes), or `ArgMax` of one; received: "
            f"'{model.name}', whose outputs are {[tuple(x.shape) for x in ends]}"
        )
    return found[0]


def _before_argmax(x):
    layer = x._keras_history.operation
    best_only = getattr(layer, "out_max_val", True) is False  # ArgMax alone has it
    return layer.input if best_only and layer.axis in (1, -3) else x


def _are_chances(x) -> bool:
    layer = x._keras_history.operation
    return isinstance(layer, keras.layers.Softmax)


def _as_it_is(found: np.ndarray) -> np.ndarray:
    return found


def _softmax(found: np.ndarray) -> np.ndarray:
    chances = np.exp(found - found.max(-1, keepdims=True))
    return chances / chances.sum(-1, keepdims=True)


def _names(labels, classes: int) -> tuple[str, ...]:
    """Return what the classes are called: of several words for one the first.

    Raises:
        ValueError: If a list's names are not at hand, or not as many as classes.
    """
    if labels is None:
        return tuple(f"class {i}" for i in range(classes))
    if isinstance(labels, str):
        names = tuple(name.split(", ")[0] for _, name in class_names(labels))
    else:
        names = tuple(map(str, labels))
    if len(names) != classes:
        raise ValueError(
            f"Expected a name for each of the net's {classes} classes; received: "
            f"{len(names)}"
        )
    return names
