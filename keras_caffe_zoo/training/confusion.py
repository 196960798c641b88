"""What a classifier takes for what: counts of pictures by their two classes."""

import math
from collections.abc import Iterator
from operator import itemgetter

import keras
import numpy as np

_BATCH = 32
_MOST = 10_000  # classes: 800 MB of counts


def confusion_matrix(model: keras.Model, data) -> np.ndarray:
    """Count what a classifier says of pictures, by what they are.

    The class that a model says is that of its largest output. Weights of samples are
    not looked at.

    Args:
        model: A classifier whose output is (N, classes) or (N, 1, 1, classes):
            probabilities or scores.
        data: Batches `(x, labels)`, a `tf.data.Dataset`, a `keras.utils.PyDataset` or
            another iterable that ends; or one pair of arrays `(x, labels)`. Labels are
            classes' numbers from 0, (N,) or (N, 1), or one-hot, (N, classes).

    Returns:
        int64 `(classes, classes)`: in row `i` and column `j` how many pictures of class
        `i` the model says to be `j`. The diagonal is what is right.

    Raises:
        ValueError: If the data does not end, is empty or no pairs, a label is no class,
            or the output is not one of a classifier or not finite.

    Example:
        >>> image = keras.Input((2,))
        >>> model = keras.Model(image, keras.layers.Softmax()(image))
        >>> x = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
        >>> kcz.training.confusion_matrix(model, (x, np.array([0, 0, 1])))
        array([[1, 1],
               [0, 1]])
    """
    matrix = None
    several = len(getattr(model, "inputs", None) or ()) > 1
    for x, labels in _batches(data, several):
        said = _classes_said(model.predict_on_batch(x))
        if matrix is None:
            matrix = np.zeros((said.shape[1],) * 2, "int64")
        true = _classes_true(labels, *said.shape)
        np.add.at(matrix, (true, said.argmax(-1)), 1)
    if matrix is None:
        raise ValueError("Expected pictures and their labels; received: no data")
    return matrix


def _batches(data, several: bool) -> Iterator[tuple]:
    """Yield batches of inputs and labels, as NumPy arrays.

    Args:
        data: As for `confusion_matrix`.
        several: Whether a list of inputs is one of the model's inputs, not of pictures.
    """
    if isinstance(data, tuple | list) and len(data) in (2, 3) and _is_array(data[1]):
        x, labels = _arrays(data[0], several), np.asarray(data[1])
        counts = {len(part) for part in keras.tree.flatten(x)} | {len(labels)}
        if len(counts) != 1:
            raise ValueError(
                "Expected as many labels as pictures; received: "
                f"{' and '.join(map(str, sorted(counts)))}"
            )
        for start in range(0, len(labels), _BATCH):
            some = np.s_[start : start + _BATCH]
            yield keras.tree.map_structure(itemgetter(some), x), labels[some]
        return
    for batch in _ending(data):
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise ValueError(
                "Expected batches of pictures and labels, (x, labels); received: "
                f"{_kind(batch)}"
            )
        yield _arrays(batch[0], several), np.asarray(batch[1])


def _is_array(x) -> bool:
    """Tell whether something is all the labels, not the second of some batches."""
    if isinstance(x, list):
        return not x or np.ndim(x[0]) < 2  # a batch's first are pictures
    return not isinstance(x, tuple) and np.ndim(x) > 0


def _arrays(x, several: bool):
    """Return inputs, one or several, as NumPy arrays, which every backend takes."""
    return (
        np.asarray(x)
        if isinstance(x, list) and not several
        else keras.tree.map_structure(np.asarray, x)
    )


def _ending(data):
    """Return batches that come to an end, or say that they do not."""
    if isinstance(data, keras.utils.PyDataset):
        count = data.num_batches
        if count is not None:
            return (data[index] for index in range(count))
    elif not hasattr(data, "__iter__") or isinstance(data, str | bytes | dict):
        raise ValueError(
            "Expected a dataset of batches (x, labels), or a pair of arrays "
            f"(x, labels); received: {_kind(data)}"
        )
    elif not (hasattr(data, "cardinality") and int(data.cardinality()) == -1):
        return data
    raise ValueError(
        "Expected data that ends; received: an endless dataset. Make it without "
        "repeat(), or take(…) so many batches of it."
    )


def _classes_said(outputs) -> np.ndarray:
    """Return a model's outputs as (N, classes)."""
    said = None if isinstance(outputs, dict | list | tuple) else np.asarray(outputs)
    shape = _kind(outputs) if said is None else f"of shape {said.shape}"
    if said is None or said.ndim < 2 or math.prod(said.shape[1:-1]) != 1:
        raise ValueError(
            "Expected a model with one output (N, classes) or (N, 1, 1, classes); "
            f"received: {shape}"
        )
    if not 2 <= said.shape[-1] <= _MOST:
        raise ValueError(
            f"Expected a model that gives each of 2 to {_MOST:,} classes a score; "
            f"received: {shape}"
        )
    if not np.isfinite(said).all():
        raise ValueError("Expected finite scores; received: NaN or infinity")
    return said.reshape(len(said), -1)


def _classes_true(labels: np.ndarray, count: int, classes: int) -> np.ndarray:
    """Return labels as classes' numbers (N,)."""
    flat = labels.reshape(len(labels), -1) if labels.ndim else labels
    wanted = f"{count} labels, classes' numbers or one-hot (N, {classes})"
    if flat.ndim != 2 or len(flat) != count or flat.shape[1] not in (1, classes):
        raise ValueError(f"Expected {wanted}; received: shape {labels.shape}")
    if flat.dtype.kind not in "biuf":
        raise ValueError(
            f"Expected {wanted}; received: {flat.ravel()[:1].tolist()}. The number of "
            "a name is its place in the list of the classes."
        )
    if flat.shape[1] == classes:
        largest = flat.max(1, keepdims=True)
        if not ((flat == largest).sum(1) == 1).all():  # no class, several, or NaN
            raise ValueError(
                "Expected one class for each picture; received: one-hot labels with a "
                "row that has none or several"
            )
        return flat.argmax(1)
    numbers = flat[:, 0].astype("float64")
    wrong = ~((numbers >= 0) & (numbers < classes) & (numbers == np.floor(numbers)))
    if wrong.any():
        raise ValueError(
            f"Expected labels from 0 to {classes - 1}, the model's classes; received: "
            f"{numbers[wrong][0]:g}"
        )
    return numbers.astype("int64")


def _kind(x) -> str:
    """Return what something is, in a word or two."""
    size = f" of {len(x)}" if isinstance(x, dict | list | tuple) else ""
    return type(x).__name__ + size
