"""A task's net: the model, what it does to pixels, and a function that runs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from keras_caffe_zoo import models
from keras_caffe_zoo.conversion.folding import folded_if_faster
from keras_caffe_zoo.conversion.naming import named_outputs
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.preprocessing.inputs import grey
from keras_caffe_zoo.preprocessing.recipe import entry_of_model, recipe_for
from keras_caffe_zoo.preprocessing.resizing import resize
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.runtimes import Runner, check_runtime
from keras_caffe_zoo.runtimes.compiled import compiled
from keras_caffe_zoo.weights import ModelEntry, model_entry

_NO_MEAN = (
    "Expected `mean=…` for a model of one's own: what it subtracts from pixels, a "
    "number for each channel in BGR or 0 for nothing, and `scale=…` if it multiplies "
    "what is left; received: None. If it takes pictures as a net of the zoo does, name "
    "that one as `preprocessing=…`"
)


class TaskNet:
    """A net of the zoo or a model of one's own, ready to be given pictures.

    Args:
        model: Name of a net of the zoo, or a model.
        tasks: What nets of the zoo must do, by the manifest's names of tasks.
        weights: As for the net's builder, if `model` is a name.
        preprocessing: Name of the net of the zoo whose pictures a model of one's own
            takes: order of channels, mean and scale.
        mean: Another mean instead: a number for each channel in BGR, 0 for none, an
            image, or the path of a `.binaryproto`.
        scale: Another scale instead.
        size: Height and width of the net's input, where the net leaves them free; each
            picture's own if None.
        outputs: Makes the model's outputs those that are wanted, of a model.
        runtime: What computes the net: `"keras"`, `"onnxruntime"` or `"openvino"`.
        batch_size: How many pictures go through the net at once.

    Attributes:
        model: The model.
        entry: The net's facts, or those of `preprocessing`; None where neither is.
        recipe: What becomes of pixels.
        size: Height and width of its input; None where they are free.
        batch_size: As given; 1 where pictures keep their sizes.
        batches_at_once: How many batches are best in the net at once.

    Raises:
        ValueError: If the zoo has no such net, it does something else, a model is given
            other weights than its own, or nobody tells what is subtracted from pixels.
        ImportError: If the runtime is not installed.
    """

    def __init__(
        self,
        model: str | keras.Model,
        tasks: Sequence[str],
        *,
        weights: str | os.PathLike | None = "caffe",
        preprocessing: str | None = None,
        mean=None,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        outputs: Callable[[keras.Model], keras.Model] | None = None,
        runtime: str = "keras",
        batch_size: int = 8,
    ):
        check_runtime(runtime)
        if preprocessing is None and mean is None and not isinstance(model, str):
            own = entry_of_model(model)
            preprocessing = own and own.name
        name = model if isinstance(model, str) else preprocessing
        self.entry = entry_for(model, tasks, preprocessing)
        self.model = _built(model, weights)
        height, width, self._channels = _image_shape(self.model)
        self.size = (height, width) if height and width else size
        if name is None and mean is None:
            raise ValueError(_NO_MEAN)
        shape = (*(self.size or (None, None)), self._channels)
        self.recipe = recipe_for(shape, net=name, mean=mean, scale=scale)
        self.batch_size = batch_size if self.size else 1
        wanted = outputs(self.model) if outputs else self.model
        if runtime == "keras":
            self._function = compiled(folded_if_faster(wanted), self.batch_size)
            self.batches_at_once = 2 if keras.config.backend() == "tensorflow" else 1
        else:  # engines fold what they run
            self._function = Runner(wanted, runtime, streaming=True)
            self.batches_at_once = self._function.batches_at_once

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Return a picture as the net takes it, resized if the net has a size.

        Args:
            pixels: RGB uint8 array `(H, W, 3)`.

        Returns:
            Float32 array `(height, width, 3)`.
        """
        if self._channels == 1:
            pixels = grey(pixels)
        return self.recipe(resize(pixels, self.size) if self.size else pixels)

    def __call__(self, inputs: Sequence[np.ndarray], *others: np.ndarray):
        """Return the net's outputs for some prepared pictures of one size.

        Args:
            inputs: What `prepare` returned.
            *others: The net's other inputs, with a row for each of them.

        Returns:
            The output, or a dict of outputs, as the model has them.

        Raises:
            ValueError: If it gives what is no number.
        """
        batch = np.stack(inputs)
        found = self._function([batch, *others] if others else batch)
        for values in keras.tree.flatten(found):
            if np.isnan(values).any():
                raise ValueError(
                    f"Expected numbers of '{self.model.name}'; received NaN. Its "
                    "weights may be damaged or not its own, or pixels are not as it "
                    "takes them (mean, scale)"
                )
        return found


class NetTask:
    """A task of one net, which says how many pictures are best in it at once.

    Attributes:
        net: The net.
    """

    net: TaskNet

    @property
    def batch_size(self) -> int:
        """How many pictures go through the net at once."""
        return self.net.batch_size

    @property
    def batches_at_once(self) -> int:
        """How many batches are best in the net at once."""
        return self.net.batches_at_once


def entry_for(
    model, tasks: Sequence[str], preprocessing: str | None
) -> ModelEntry | None:
    """Return the facts that a task goes by, those of a net of the zoo.

    Raises:
        ValueError: If the zoo has no such net, or it does something else.
    """
    if not isinstance(model, str):
        return None if preprocessing is None else model_entry(preprocessing)
    if preprocessing is not None:
        raise ValueError(
            "Expected no `preprocessing` for a net of the zoo, whose own is known; "
            f"received: preprocessing={preprocessing!r} for {model!r}"
        )
    entry = model_entry(model)
    if entry.task not in tasks:
        known = [n for n in models.list_models() if model_entry(n).task in tasks]
        raise ValueError(
            f"Expected a net for {' or '.join(tasks)}; received: {model!r}, which is "
            f"for {entry.task}. {there_are(known, model)}"
        )
    return entry


def one_output(model: keras.Model, name: str):
    """Return the output of a model that has one, or the one of several by its name.

    Args:
        model: The model.
        name: Caffe's name of the blob.

    Raises:
        ValueError: If it has several and none of that name.
    """
    found = model.output
    if isinstance(found, dict) and (name in found or len(found) == 1):
        return found.get(name, next(iter(found.values())))
    if len(model.outputs) == 1:
        return model.outputs[0]
    names = found if isinstance(found, dict) else named_outputs(model)
    raise ValueError(
        f"Expected a model with one output, or with one called {name!r}; received: "
        f"'{model.name}'. {there_are(names, name)}"
    )


def _built(model, weights) -> keras.Model:
    if not isinstance(model, str):
        if weights is not None and weights != "caffe":
            raise ValueError(
                "Expected no `weights` for a model, which has its own; received: "
                f"weights={str(weights)!r} for '{model.name}'"
            )
        return model
    return getattr(models, model)(weights=weights)


def _image_shape(model: keras.Model) -> tuple[int | None, int | None, int]:
    """Return height, width and channels of a model's image, its first input.

    Raises:
        ValueError: If that is no image, or in Caffe's own layout.
    """
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ValueError(
            "Expected a model whose first input is images (N, H, W, 3); received: "
            f"'{model.name}', whose input "
            f"'{caffe_name(model.inputs[0].name)}' is {tuple(model.inputs[0].shape)}"
        )
    return shape
