"""Pictures as they are, RGB bytes, in place of a net's prepared input."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.onnx.graph import Graph, Value
from keras_caffe_zoo.preprocessing.recipe import Recipe

LAYER = "preprocessing"  # whose operations these are, among Caffe's layers


def image_input(graph: Graph) -> Value:
    """Return the one input of a graph that is an image, `(N, C, H, W)`.

    Raises:
        ValueError: If there is none, or several.
    """
    images = [x for x in graph.inputs if len(x.shape) == 4]
    if len(images) != 1:
        names = ", ".join(f"{x.name} {x.shape}" for x in graph.inputs)
        raise ValueError(
            "Expected a net of one image, a data blob of 4 axes; received: "
            f"{names or 'no data blob'}. Prepare its input outside, without "
            "`preprocessing`"
        )
    return images[0]


def image_shape(x: Value) -> tuple[int | None, int | None, int | None]:
    """Return height, width and channels of an image."""
    return (x.shape[2], x.shape[3], x.shape[1])


def take_pixels(graph: Graph, x: Value, recipe: Recipe) -> None:
    """Have a graph take pictures in place of an image that is prepared.

    The input keeps its name and becomes RGB uint8 `(N, H, W, 3)`, or gray
    `(N, H, W, 1)`. What moves bytes comes first: they are a quarter of floats. Nothing
    is folded into the first convolution, whose border is 0 after the mean is gone.

    Args:
        graph: The graph; it is changed.
        x: Its input, from `image_input`.
        recipe: What the net does to images.
    """
    items, channels, height, width = x.shape
    pixels = Value((items, height, width, channels), np.dtype("uint8"), x.name)
    after, graph.ops, graph.layer = graph.ops, [], LAYER
    y = graph.op("Transpose", pixels, perm=[0, 3, 1, 2])
    if channels == 3 and recipe.turned:
        y = graph.op("Gather", y, [2, 1, 0], axis=1)
    y = graph.op("Cast", y, to=np.dtype("float32"))
    if recipe.mean.any():
        y = graph.op("Sub", y, _caffe_mean(recipe.mean))
    if recipe.scale != 1:
        y = graph.op("Mul", y, recipe.scale)
    graph.ops[-1].outputs, x.name = [x], ""
    graph.inputs[graph.inputs.index(x)] = pixels
    graph.ops, graph.layer = [*graph.ops, *after], ""


def _caffe_mean(mean: np.ndarray) -> np.ndarray:
    """Return a mean as it is subtracted from blobs `(N, C, H, W)`."""
    if mean.ndim == 1:
        return mean.reshape(1, -1, 1, 1)
    return np.ascontiguousarray(np.moveaxis(mean, -1, 0)[None])
