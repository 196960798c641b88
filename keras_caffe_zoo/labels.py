"""What the outputs of a net mean: the names of its classes."""

import functools
import re
from collections.abc import Sequence
from importlib import resources

import numpy as np

from keras_caffe_zoo.messages import hinted
from keras_caffe_zoo.weights.manifest import class_list, entry_of, model_entry

_LISTED = 8  # classes of many that a name is part of


@functools.cache
def class_names(labels: str = "ilsvrc12") -> tuple[tuple[str, str], ...]:
    """Return the classes of a list, in the order of the published nets' outputs.

    Args:
        labels: Name of the list, an entry's `class_labels`. ImageNet's 1000 classes
            have Caffe's order, which is Keras' too.

    Returns:
        Pairs of identifier and description: `("n01440764", "tench, Tinca tinca")` is
        the first of ImageNet's, `("/a/airfield", "airfield")` that of Places365.

    Raises:
        ValueError: If there is no such list, or its names are not at hand.
    """
    known = class_list(labels)
    if known.file is None:
        raise ValueError(
            f"Expected a list of classes whose names are known here; received: "
            f"{labels!r} ({known.source or 'nobody published it'})"
        )
    path = resources.files("keras_caffe_zoo") / "data" / known.file
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(tuple(line.split(" ", 1)) for line in lines)


def decode_predictions(
    preds, top: int = 5, model: str | None = None
) -> list[list[tuple[str, str, float]]]:
    """Name the most probable classes, as in `keras.applications`.

    Args:
        preds: Probabilities `(N, classes)`, as `predict` gives them.
        top: How many classes for each image, or all where there are fewer.
        model: Name of the net of the zoo, such as `"places365_vgg16"`; one of
            ImageNet's 1000 classes if None.

    Returns:
        For each image a list of `(identifier, description, probability)`, the most
        probable class first; the identifier is WordNet's for ImageNet.

    Raises:
        ValueError: If `preds` has another shape, `top` is no number of classes, or the
            names of the net's classes are not at hand.

    Example:
        >>> y = np.zeros((1, 1000))
        >>> y[0, [281, 282]] = 0.7, 0.2
        >>> kcz.decode_predictions(y, top=2)
        [[('n02123045', 'tabby, tabby cat', 0.7), ('n02123159', 'tiger cat', 0.2)]]
    """
    preds = np.asarray(preds)
    names = class_names() if model is None else names_of_net(model)
    if preds.ndim != 2 or preds.shape[1] != len(names):
        raise ValueError(
            f"Expected a batch of predictions of shape (N, {len(names)}); received: "
            f"{preds.shape}. (A fully convolutional net gives a map: choose a cell of "
            "it, or take its mean. A net with other classes has other names: pass "
            "`model=…`.)"
        )
    most = max(len(names), 5)
    if not 1 <= top <= most:
        raise ValueError(f"Expected `top` from 1 to {most}; received: top={top}")
    best = np.argsort(-preds, axis=1, kind="stable")[:, :top]
    return [
        [(*names[i], float(row[i])) for i in indices]
        for row, indices in zip(preds, best, strict=True)
    ]


def names_of_net(model: str) -> tuple[tuple[str, str], ...]:
    """Return the classes of a net of the zoo, as `class_names` does.

    Raises:
        ValueError: If the zoo has no such net, or its classes' names are not at hand.
    """
    entry = model_entry(model)
    known = known_labels(entry)
    if known is None:
        raise ValueError(
            "Expected a net whose classes have names that are known here, such as "
            f"ImageNet's; received: {model}, with "
            f"{entry.class_labels and f'those of {entry.class_labels}' or 'none'}"
        )
    return class_names(known)


def own_labels(model, count: int | None) -> str | None:
    """Return the list of classes of a net of the zoo, or of a model that is such a net.

    A model is, if it has the net's name and as many classes.

    Args:
        model: Name of a net of the zoo, or a model.
        count: How many classes the model has, the background among them.
    """
    if isinstance(model, str):
        return known_labels(model_entry(model))
    entry = entry_of(model.name)
    same = entry is not None and (entry.name, entry.classes) == (model.name, count)
    return known_labels(entry) if same else None


def known_labels(entry) -> str | None:
    """Return the name of a net's list of classes, if its names are at hand.

    Args:
        entry: The net's facts; None of a net of one's own.
    """
    labels = entry and entry.class_labels
    return labels if labels and class_list(labels).file else None


def find_class(
    text: str, names: Sequence[tuple[str, str]], what: str = "the class"
) -> int:
    """Return the index of the one class that a text means.

    Whole names count before words of them, and those before parts of words: "cat" is
    in "tabby cat", and not in "Rana catesbeiana".

    Args:
        text: A class's number, its identifier, one of its names, or part of one.
        names: Identifier and description of each class, as `class_names` has them.
        what: What the text was given as, for errors.

    Raises:
        ValueError: If it means none, or several, which are listed.
    """
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    wanted = text.strip().casefold()
    found = _classes_like(wanted, names) if wanted else []
    if len(found) == 1:
        return found[0]
    problem = (
        f"Expected {what} to mean one of the {len(names)} classes; received: {text!r}, "
    )
    if found:
        listed = "; ".join(f"{i} {names[i][1]}" for i in found[:_LISTED])
        more = f"; … ({len(found)} in all)" if len(found) > _LISTED else ""
        raise ValueError(
            f"{problem}which is part of: {listed}{more}. Give a whole name, or a number"
        )
    if text.isdecimal():
        raise ValueError(
            f"{problem}a number too large. They go from 0 to {len(names) - 1}"
        )
    known = [part for _, name in names for part in name.casefold().split(", ")]
    raise ValueError(hinted(f"{problem}which is in no class's name", known, wanted))


def _classes_like(wanted: str, names: Sequence[tuple[str, str]]) -> list[int]:
    """Return the classes whose names have a text, those that have it as it is first."""
    word = re.compile(rf"\b{re.escape(wanted)}(?:e?s)?\b")
    folded = [(one.casefold(), name.casefold()) for one, name in names]
    kinds = (
        lambda one, name: wanted in (one, name, *name.split(", ")),
        lambda one, name: word.search(name),
        lambda one, name: wanted in name,
    )
    for fits in kinds:
        if found := [i for i, pair in enumerate(folded) if fits(*pair)]:
            return found
    return []
