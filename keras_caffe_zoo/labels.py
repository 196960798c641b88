"""What the 1000 outputs of an ImageNet net mean."""

import functools
from importlib import resources

import numpy as np


@functools.cache
def class_names() -> tuple[tuple[str, str], ...]:
    """Return the 1000 classes of ILSVRC12 in Caffe's order.

    Returns:
        Pairs of WordNet identifier and description, `("n01440764", "tench, Tinca
        tinca")` first. The order is that of the published Caffe files, which is
        Keras' too.
    """
    path = resources.files("keras_caffe_zoo") / "data" / "imagenet_synset_words.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(tuple(line.split(" ", 1)) for line in lines)


def decode_predictions(preds, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """Name the most probable classes, as in `keras.applications`.

    Args:
        preds: Probabilities `(N, 1000)`, as `predict` gives them.
        top: How many classes for each image.

    Returns:
        For each image a list of `(WordNet identifier, description, probability)`, the
        most probable class first.

    Raises:
        ValueError: If `preds` has another shape, or `top` is not from 1 to 1000.
    """
    preds = np.asarray(preds)
    names = class_names()
    if preds.ndim != 2 or preds.shape[1] != len(names):
        raise ValueError(
            f"Expected a batch of predictions of shape (N, {len(names)}); received: "
            f"{preds.shape}. (A fully convolutional net gives a map: choose a cell of "
            "it, or take its mean. A net with other classes has other names.)"
        )
    if not 1 <= top <= len(names):
        raise ValueError(f"Expected `top` from 1 to {len(names)}; received: top={top}")
    best = np.argsort(-preds, axis=1, kind="stable")[:, :top]
    return [
        [(*names[i], float(row[i])) for i in indices]
        for row, indices in zip(preds, best, strict=True)
    ]
