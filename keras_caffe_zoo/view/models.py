"""Nets to be looked at that are no files of Caffe: of the zoo, and Keras' own."""

from __future__ import annotations

import os

from keras_caffe_zoo.kinds import KERAS, ending
from keras_caffe_zoo.opening import load
from keras_caffe_zoo.view.net import ViewedNet, viewed_model
from keras_caffe_zoo.weights import cached_path


def viewed_opened(
    net: str | os.PathLike,
    weights: str | os.PathLike | None = None,
    input_shape: tuple | None = None,
) -> ViewedNet:
    """Load a net to be looked at.

    Args:
        net: The name of a net of the zoo, or the path of a `.keras` file.
        weights: Of a net of the zoo its `.caffemodel`; those in the cache if None.
            Nobody waits for a download to look: without them there are no filters.
        input_shape: Of a net of the zoo, as for its builder.

    Raises:
        ValueError: If the builder or `load` refuses an argument, or the model has
            layers that Caffe does not have.
        OSError: If a file cannot be read.
    """
    if ending(net) == KERAS:
        if input_shape is not None:
            raise ValueError(
                f"Expected no input_shape for {net}, whose model has its own; "
                f"received: {input_shape}"
            )
        return viewed_model(load(net, weights or "caffe"))
    weights = weights or cached_path(str(net))
    viewed = viewed_model(load(net, weights, input_shape=input_shape))
    if weights is None:
        viewed.kernel, viewed.kernel_of = None, ""  # they are random
    return viewed
