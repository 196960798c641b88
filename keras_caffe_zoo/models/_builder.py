"""What makes a list of layers a builder: signature, documentation, checks, weights.

A builder is its list of layers:

    @builder(smallest=39)
    def caffenet(design):
        # what the net is, as a docstring
        x = conv(design.image(), 96, 11, "conv1", strides=4)
        …
        return design.classifier(x, window=6)

`builder` gives it the signature of `keras.applications`, checks the arguments before
any layer is made, loads the weights after the last, and enters the builder in what
`list_models` lists. Keyword-only arguments of the list of layers are the builder's too.
"""

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, Protocol

import keras

from keras_caffe_zoo.models._design import Design
from keras_caffe_zoo.models._docs import describe
from keras_caffe_zoo.weights import ModelEntry, model_entry, model_names


class Builder(Protocol):
    """A function that builds a net, with the signature of `keras.applications`."""

    def __call__(
        self,
        include_top: bool = True,
        weights: str | os.PathLike | None = "caffe",
        input_tensor: Any = None,
        input_shape: tuple | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = "",
        *,
        fully_convolutional: bool = False,
        dtype: str | None = None,
        **options: Any,
    ) -> keras.Model: ...


_BUILDERS: dict[str, Builder] = {}


def list_models(task: str | None = None, license: str | None = None) -> list[str]:
    """Return the names of the nets that have a builder, families together.

    Args:
        task: What they are to do, such as `"classification"` or `"segmentation"`;
            anything if None.
        license: Part of their licence's text, such as `"MIT"`; or `"commercial"` for
            all whose authors are known to allow that. Any if None, unknown ones too.

    Raises:
        ValueError: If no net has such a task or licence; names those that there are.
    """
    return [name for name in model_names(task, license) if name in _BUILDERS]


def model_info(name: str) -> ModelEntry:
    """Return every fact about a net: files, licence, mean, accuracy, paper, shapes.

    Args:
        name: One of `list_models()`.

    Raises:
        ValueError: If the zoo has no net of that name.
    """
    return model_entry(name)


def builder(
    *,
    smallest: int,
    features: str = "pool5",
    activation: str | None = "softmax",
    looks_at_all: bool = False,
) -> Callable[[Callable], Builder]:
    """Make a function that lists a net's layers into a builder of that net.

    Args:
        smallest: Least height and width of an image from which the net has an output,
            without its top if it has inner products.
        features: Name of the layer that the net ends with without its top.
        activation: The published net's last layer; None where it gives raw scores.
        looks_at_all: Whether layers before the head look at the whole image, so that
            the net cannot be slid over a larger one.
    """

    def decorate(layers: Callable) -> Builder:
        entry = model_entry(layers.__name__)

        def build(
            include_top=True,
            weights="caffe",
            input_tensor=None,
            input_shape=None,
            pooling=None,
            classes=entry.classes,
            classifier_activation=activation,
            name=entry.name,
            *,
            fully_convolutional=False,
            dtype=None,
            **options,
        ):
            design = Design(
                entry,
                smallest,
                looks_at_all,
                include_top,
                weights,
                input_tensor,
                input_shape,
                pooling,
                classes,
                classifier_activation,
                name,
                fully_convolutional,
                dtype,
            )
            return design.model(layers(design, **options))

        build.__signature__ = _signature(build, layers)
        functools.update_wrapper(build, layers)
        del build.__wrapped__  # or `help` would show the list's own signature
        text = inspect.cleandoc(layers.__doc__)
        build.__doc__ = describe(text, entry, smallest, features, looks_at_all)
        _BUILDERS[entry.name] = build
        return build

    return decorate


def _signature(build: Callable, layers: Callable) -> inspect.Signature:
    """Return `build`'s signature with the options that `layers` takes."""
    *shared, _ = inspect.signature(build).parameters.values()
    _, *options = inspect.signature(layers).parameters.values()
    return inspect.Signature([*shared, *options], return_annotation=keras.Model)
