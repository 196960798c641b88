"""Edges in pictures, as people would draw them."""

from __future__ import annotations

import os

import numpy as np

from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.preprocessing.resizing import resize, resize_float
from keras_caffe_zoo.tasks.net import NetTask, TaskNet, one_output
from keras_caffe_zoo.tasks.running import answers

FUSED = "sigmoid-fuse"  # HED's one of six outputs that weighs the others up


def find_edges(
    model: str | keras.Model,
    images,
    *,
    longest: int | None = None,
    weights: str | os.PathLike | None = "caffe",
    preprocessing: str | None = None,
    mean=None,
    scale: float | None = None,
    runtime: str = "keras",
    progress: bool = True,
):
    """Find the edges in pictures that people would draw.

        edges = kcz.find_edges("hed", "street.jpg")

    HED takes pictures of any size, and is told best by those of some 500 pixels, on
    which it was trained. A picture of 12 megapixels takes it gigabytes: `longest`
    bounds that.

    Args:
        model: Name of a net of the zoo, `list_models(task="edges")`, or a model.
        images: A picture: its path, or an RGB uint8 array `(H, W, 3)`; or several: a
            folder, a list file, or any other source of `extract_features`.
        longest: Longest side that the net is to see, in pixels: larger pictures are
            shrunk for it, and its edges enlarged. None for pictures as they are.
        weights: As for the net's builder, if `model` is a name.
        preprocessing: Name of the net of the zoo whose pictures a model of one's own
            takes: order of channels, mean and scale.
        mean: What such a model subtracts from pixels instead: a number for each channel
            in BGR, 0 for nothing, an image, or the path of a `.binaryproto`.
        scale: What it multiplies the difference by; 1 if not given.
        runtime: What computes the net: `"keras"`, `"onnxruntime"` or `"openvino"`.
        progress: Whether to show how far a long work has come.

    Returns:
        Of a picture a float32 array `(H, W)` of its own size, 0 where there is no edge
        to 1; of a folder or a list file a dict of them by name, without the files that
        are no pictures, which a message names; of several pictures given otherwise a
        list.

    Raises:
        ValueError: If the model does something else, or a picture that was given is
            none.
        ImportError: If the runtime is not installed.
        OSError: If a file cannot be read.

    Example:
        A net of one layer that finds where blue begins, from left to right:

        >>> image = keras.Input((None, None, 3))  # BGR, as the zoo's nets take it
        >>> layer = keras.layers.Conv2D(1, (1, 2), padding="same", use_bias=False)
        >>> model = keras.Model(image, layer(image))
        >>> kernel = np.zeros((1, 2, 3, 1))
        >>> kernel[0, :, 0, 0] = -1, 1
        >>> model.set_weights([kernel])
        >>> picture = np.zeros((2, 5, 3), "uint8")
        >>> picture[:, 3:, 2] = 255  # in RGB
        >>> edges = kcz.find_edges(model, picture, mean=0, scale=1 / 255)
        >>> edges[0, :4].tolist()
        [0.0, 0.0, 1.0, 0.0]
    """
    task = EdgeFinder(
        model,
        longest=longest,
        weights=weights,
        preprocessing=preprocessing,
        mean=mean,
        scale=scale,
        runtime=runtime,
    )
    return answers(task, images, progress)


class EdgeFinder(NetTask):
    """A net that finds edges, as a task.

    Args:
        model: As for `find_edges`.
        longest: As for `find_edges`.
        **options: Of `TaskNet`.

    Raises:
        ValueError: As `find_edges`.
        ImportError: As `find_edges`.
    """

    def __init__(self, model, *, longest: int | None = None, **options):
        if longest is not None and longest < 1:
            raise ValueError(f"Expected `longest` of 1 or more; received: {longest!r}")
        self._longest = longest
        self.net = TaskNet(model, ["edges"], outputs=_edges, **options)

    def prepare(self, pixels: np.ndarray):
        """Return a picture as the net takes it, and its height and width."""
        size = pixels.shape[:2]
        if self._longest and max(size) > self._longest:
            ratio = self._longest / max(size)
            pixels = resize(pixels, tuple(max(1, round(s * ratio)) for s in size))
        return self.net.prepare(pixels), size

    def answer(self, prepared: list) -> list[np.ndarray]:
        """Return the edges of some pictures."""
        found = np.asarray(self.net([x for x, _ in prepared]))
        pairs = zip(found, prepared, strict=True)
        return [_enlarged(edges, size) for edges, (_, size) in pairs]


def _enlarged(edges: np.ndarray, size) -> np.ndarray:
    if edges.shape[:2] != tuple(size):
        edges = resize_float(edges, size)
    return edges[..., 0]


def _edges(model: keras.Model) -> keras.Model:
    """Return a model of the edges alone."""
    output = one_output(model, FUSED)
    if len(model.inputs) != 1 or len(output.shape) != 4 or output.shape[-1] != 1:
        raise ValueError(
            "Expected a model from a picture to a map of its edges, (N, H, W, 1); "
            f"received: '{model.name}', which ends with {tuple(output.shape)}"
        )
    return keras.Model(model.input, output)
