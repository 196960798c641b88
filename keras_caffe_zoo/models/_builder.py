"""What makes a list of layers a builder: signature, documentation, checks, weights.

A builder is its list of layers:

    @builder(smallest=39)
    def caffenet(plan):
        # what the net is, as a docstring
        x = conv(plan.image(), 96, 11, "conv1", strides=4)
        …
        return plan.classifier(x, window=6)

`builder` gives it the signature of `keras.applications`, checks the arguments before
any layer is made, and loads the weights after the last.
"""

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, Protocol

import keras

from keras_caffe_zoo.models._docs import describe
from keras_caffe_zoo.models._plan import Plan
from keras_caffe_zoo.weights import model_entry


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
    ) -> keras.Model: ...


def builder(*, smallest: int) -> Callable[[Callable], Builder]:
    """Make a function that lists a net's layers into a builder of that net.

    Args:
        smallest: Least height and width of an image from which pool5, or whatever the
            net ends with without its top, has an output.
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
            classifier_activation="softmax",
            name=entry.name,
            *,
            fully_convolutional=False,
        ):
            plan = Plan(
                entry,
                smallest,
                include_top,
                weights,
                input_tensor,
                input_shape,
                pooling,
                classes,
                classifier_activation,
                name,
                fully_convolutional,
            )
            return plan.model(layers(plan))

        functools.update_wrapper(build, layers)
        del build.__wrapped__  # or `help` would show the list's own signature
        build.__doc__ = describe(inspect.cleandoc(layers.__doc__), entry, smallest)
        return build

    return decorate
