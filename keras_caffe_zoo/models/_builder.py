"""What makes a list of layers a builder: signature, documentation, checks, weights.

A builder is its list of layers:

    @classifier(smallest=39)
    def caffenet(design):
        # what the net is, as a docstring
        x = conv(design.image(), 96, 11, "conv1", strides=4)
        …
        return design.classifier(x, window=6)

`classifier` gives it the signature of `keras.applications`, checks the arguments before
any layer is made, loads the weights after the last, and enters the builder in what
`list_models` lists. Keyword-only arguments of the list of layers are the builder's too.
`builder` does the same for a net that does something else, with fewer arguments.
"""

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, Protocol

import keras

from keras_caffe_zoo.models._classifier import ClassifierDesign
from keras_caffe_zoo.models._design import Design
from keras_caffe_zoo.models._docs import (
    builds_classifier,
    describe,
    describe_classifier,
    documented,
)
from keras_caffe_zoo.weights import ModelEntry, model_entry, model_names


class Builder(Protocol):
    """A function that builds a net, with arguments of `keras.applications`."""

    def __call__(
        self,
        *,
        weights: str | os.PathLike | None = "caffe",
        input_tensor: Any = None,
        input_shape: tuple | None = None,
        name: str = "",
        dtype: str | None = None,
        **options: Any,
    ) -> keras.Model: ...


_BUILDERS: dict[str, Builder] = {}


def list_models(
    pattern: str | None = None, *, task: str | None = None, license: str | None = None
) -> list[str]:
    """Return the names of the nets that have a builder, families together.

    Args:
        pattern: What their names are like, with `*` and `?` as in a shell, such as
            `"vgg*"`; any if None.
        task: What they are to do, such as `"classification"` or `"segmentation"`;
            anything if None.
        license: Part of their licence's text, such as `"MIT"`; or `"commercial"` for
            all whose authors are known to allow that. Any if None, unknown ones too.

    Raises:
        ValueError: If no net has such a name, task or licence; names those that there
            are.

    Example:
        >>> kcz.list_models("squeezenet*")
        ['squeezenet_v1_0', 'squeezenet_v1_1']
        >>> kcz.list_models(task="pose")
        ['openpose_coco', 'openpose_mpi']
        >>> len(kcz.list_models())
        73
    """
    named = model_names(pattern, task=task, license=license)
    return [name for name in named if name in _BUILDERS]


def model_info(name: str) -> ModelEntry:
    """Return every fact about a net: files, licence, mean, accuracy, paper, shapes.

    Args:
        name: One of `list_models()`.

    Raises:
        ValueError: If the zoo has no net of that name.

    Example:
        >>> info = kcz.model_info("caffenet")
        >>> info.input_size, info.classes, info.licence.text
        ((227, 227), 1000, 'unrestricted (BVLC)')
        >>> info.mean.channels  # in BGR
        (104.00698793, 116.66876762, 122.67891434)
    """
    return model_entry(name)


def classifier(
    *,
    smallest: int,
    features: str = "pool5",
    activation: str | None = "softmax",
    looks_at_all: bool = False,
) -> Callable[[Callable], Builder]:
    """Make a function that lists a classifier's layers into a builder of that net.

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
            design = ClassifierDesign(
                entry=entry,
                smallest=smallest,
                looks_at_all=looks_at_all,
                include_top=include_top,
                weights=weights,
                input_tensor=input_tensor,
                input_shape=input_shape,
                pooling=pooling,
                classes=classes,
                classifier_activation=classifier_activation,
                name=name,
                fully_convolutional=fully_convolutional,
                dtype=dtype,
            )
            return design.model(layers(design, **options))

        text = describe_classifier(entry, smallest, features, looks_at_all)
        text = documented(layers, text, builds_classifier(entry, looks_at_all))
        return _entered(build, layers, text)

    return decorate


def builder(
    *, smallest: int | None = 1, channels: int = 3, takes: str = ""
) -> Callable[[Callable], Builder]:
    """Make a function that lists any other net's layers into a builder of that net.

    The list returns the output, or a dict of outputs by Caffe's names of their blobs;
    an `Example:` that ends its docstring shows what they are. Where outputs are for
    classes, the builder has the keyword `classes`.

    Args:
        smallest: Least height and width of an image from which the net has an output;
            `None` for a net that takes no other size than its own.
        channels: Channels of its images.
        takes: What these are, if `preprocess_input` does not make them.
    """

    def decorate(layers: Callable) -> Builder:
        entry = model_entry(layers.__name__)
        has_classes = entry.class_labels is not None

        def build(
            weights="caffe",
            input_tensor=None,
            input_shape=None,
            name=entry.name,
            *,
            dtype=None,
            **options,
        ):
            classes = options.pop("classes", entry.classes) if has_classes else 1
            design = Design(
                entry=entry,
                smallest=smallest,
                weights=weights,
                input_tensor=input_tensor,
                input_shape=input_shape,
                classes=classes,
                name=name,
                dtype=dtype,
            )
            return design.model(layers(design, **options))

        own = {"classes": entry.classes} if has_classes else {}
        text = documented(layers, describe(entry, smallest, channels, takes))
        return _entered(build, layers, text, own)

    return decorate


def _entered(build: Callable, layers: Callable, text: str, own=None) -> Builder:
    """Make a function a builder of the zoo.

    Args:
        build: The function, whose last parameter is `**options`.
        layers: The list of layers, whose name it gets.
        text: Its docstring.
        own: Defaults of keywords that only this builder has.
    """
    *shared, _ = inspect.signature(build).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    mine = [inspect.Parameter(k, keyword, default=v) for k, v in (own or {}).items()]
    _, *options = inspect.signature(layers).parameters.values()
    parameters = [*shared, *mine, *options]
    build.__signature__ = inspect.Signature(parameters, return_annotation=keras.Model)
    functools.update_wrapper(build, layers)
    del build.__wrapped__  # or `help` would show the list's own signature
    build.__doc__ = text
    _BUILDERS[layers.__name__] = build
    return build
