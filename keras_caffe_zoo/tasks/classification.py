"""`classify`: what is in a picture, by the classes that a net was trained on."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from keras_caffe_zoo.labels import class_names, names_of_net, own_labels
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.preprocessing import cut_input, ordered
from keras_caffe_zoo.tasks.net import NetTask, TaskNet, entry_for
from keras_caffe_zoo.tasks.running import answers

Names = Sequence[tuple[str, str]]

_TASKS = ("classification",)
_ROUNDING = 1e-3  # by how much probabilities may miss 1 in half precision


@dataclass(frozen=True)
class Classified:
    """What is in a picture.

    Attributes:
        classes: The likeliest classes, the likeliest first: `(identifier, name,
            probability)`, or its score where a net gives no probabilities.
        scores: What the net gave for all of its classes, in their order.
    """

    classes: list[tuple[str, str, float]]
    scores: np.ndarray = field(repr=False, compare=False)

    @property
    def has_probabilities(self) -> bool:
        """Whether the scores are probabilities, which sum to 1."""
        total = float(self.scores.sum(dtype="float64"))
        return self.scores.min() >= 0 and abs(total - 1) < _ROUNDING

    def as_dict(self) -> dict:
        """Return the likeliest classes as JSON types."""
        value = "probability" if self.has_probabilities else "score"
        return {
            "classes": [
                {"id": identifier, "name": name, value: number}
                for identifier, name, number in self.classes
            ]
        }


class Classification(NetTask):
    """The task, for `running`: pictures cut by the net's own rule, classes named.

    Args:
        model: Name of a net of the zoo, or a model.
        top: How many classes to name, all of them where there are fewer.
        labels: As for `classify`.
        **net: What else `TaskNet` takes.

    Attributes:
        names: What the classes are called, pairs of identifier and name.

    Raises:
        ValueError: As for `classify`.
    """

    def __init__(self, model, top: int = 5, labels=None, **net):
        if not isinstance(top, int) or top < 1:
            raise ValueError(f"Expected `top` from 1; received: top={top!r}")
        entry_for(model, _TASKS, net.get("preprocessing"))
        names = _names(model, labels)  # before the net, which may be to download
        self.net = TaskNet(model, _TASKS, outputs=_one_output, **net)
        self._top = top
        self.names = _fitted(names, _count(self.net.model))
        self._entry = self._rule()

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Return a picture as the net takes it, resized and cropped by its rule."""
        if self._entry is None:
            return self.net.prepare(pixels)
        mean = ordered(self.net.recipe.mean, self._entry)  # as BGR
        return cut_input(pixels, self._entry, mean)

    def answer(self, prepared: list) -> list[Classified]:
        """Return what is in some pictures."""
        values = np.asarray(self.net(prepared), "float32")
        return [self._named(row) for row in values.reshape(len(prepared), -1)]

    def _rule(self):
        """Return by which facts pictures are cut; None where they are taken whole."""
        entry = self.net.entry
        if entry is None or entry.input_size != self.net.size or self.net.size is None:
            return None
        return replace(entry, scale=self.net.recipe.scale)

    def _named(self, scores: np.ndarray) -> Classified:
        best = np.argsort(-scores, kind="stable")[: self._top]
        return Classified([(*self.names[i], float(scores[i])) for i in best], scores)


def classify(
    model: str | keras.Model,
    images,
    top: int = 5,
    *,
    labels: str | Sequence[str] | Names | None = None,
    weights: str | os.PathLike | None = "caffe",
    preprocessing: str | None = None,
    mean=None,
    scale: float | None = None,
    runtime: str = "keras",
    batch_size: int = 32,
    progress: bool = True,
) -> "Classified | list[Classified] | dict[str, Classified]":
    """Say what is in a picture or in many, by a net's own classes.

    Pictures are resized and cropped by the net's own rule, as `load_image` does; for a
    model of one's own that is no zoo net's twin they are resized whole.

    Args:
        model: Name of a net of the zoo, or a model: what `from_caffe` or `finetune`
            returned.
        images: A picture: its path, or an RGB uint8 array `(H, W, 3)`; or several: a
            folder, a list file, or any other source of `extract_features`.
        top: How many classes to name, all of them where there are fewer.
        labels: What classes are called, in the order of the outputs: names, pairs of
            identifier and name, or a list that is known here, such as `"ilsvrc12"`,
            `"places365"` or `"coco"`. A net of the zoo has its own; classes of a model
            of one's own have their numbers, if nobody tells.
        weights: As for the net's builder, if `model` is a name.
        preprocessing: Name of the net of the zoo whose pictures a model of one's own
            takes: resizing, order of channels, mean and scale.
        mean: Another mean instead: a number for each channel in BGR, 0 for none, an
            image, or the path of a `.binaryproto`.
        scale: Another scale instead.
        runtime: What computes the net: `"keras"`, `"onnxruntime"` or `"openvino"`.
        batch_size: How many pictures go through the net at once.
        progress: Whether to show how far a long work has come.

    Returns:
        Of a picture a `Classified`, whose `classes` are `(identifier, name,
        probability)`, the likeliest first; of a folder or a list file a dict of them by
        name, without the files that are no pictures, which a message names; of several
        pictures given otherwise a list.

    Raises:
        ValueError: If the zoo has no such net, it does something else, the names of its
            classes are not at hand, there is not one for each output, or a picture that
            was given is none.
        OSError: If a file cannot be read.
        ImportError: If the runtime is not installed.

    Example:
        With the digits net that ships with the package:

        >>> from keras_caffe_zoo import demo
        >>> digits, _ = demo.held_out_digits()
        >>> pictures = demo.windows(digits[:3]).astype("uint8").repeat(3, -1)  # in RGB
        >>> found = kcz.classify(demo.load(), pictures, labels=demo.CLASSES, mean=0)
        >>> [(one.classes[0][1], f"{one.classes[0][2]:.1%}") for one in found]
        [('7', '100.0%'), ('4', '100.0%'), ('3', '100.0%')]
    """
    options = {"weights": weights, "preprocessing": preprocessing, "mean": mean}
    options |= {"scale": scale, "runtime": runtime, "batch_size": batch_size}
    return answers(Classification(model, top, labels, **options), images, progress)


def _names(model, labels) -> Names | None:
    """Return what classes are called; None for a model that nobody told of."""
    if isinstance(labels, str):
        return class_names(labels)
    if labels is not None:
        return [one if isinstance(one, tuple) else (one, one) for one in labels]
    if isinstance(model, str):
        return names_of_net(model)
    known = own_labels(model, model.outputs[0].shape[-1])
    return class_names(known) if known else None


def _fitted(names: Names | None, count: int) -> Names:
    """Return a name for each output, its number where nobody tells.

    Raises:
        ValueError: If there are more or fewer of them.
    """
    if names is None:
        return [(str(i), str(i)) for i in range(count)]
    if len(names) != count:
        raise ValueError(
            f"Expected `labels` for the {count} classes of the net; received: "
            f"{len(names)} names"
        )
    return names


def _one_output(model: keras.Model) -> keras.Model:
    """Return a model with its one output alone, not in a dict or a list."""
    _count(model)
    if model.outputs[0] is model.output:
        return model
    return keras.Model(model.input, model.outputs[0], name=model.name)


def _count(model: keras.Model) -> int:
    """Return how many classes a model has.

    Raises:
        ValueError: If it has several outputs, or a map of them.
    """
    shapes = [tuple(output.shape) for output in model.outputs]
    _, *sides, count = shapes[0] if len(shapes[0]) > 1 else (None, None)
    if len(shapes) == 1 and count and all(side == 1 for side in sides):
        return count
    raise ValueError(
        "Expected a classifier, with one output (N, classes); received: "
        f"'{model.name}', with {', '.join(map(str, shapes))}. Choose one with "
        "`feature_extractor`; a fully convolutional net is for `predict_dense`"
    )
