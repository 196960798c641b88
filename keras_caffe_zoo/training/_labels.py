"""What losses and metrics share: labels as Caffe reads them, and weights of items."""

import math
from typing import Any, NamedTuple

from keras import ops

from keras_caffe_zoo.arithmetic import axes


class Labels(NamedTuple):
    """The classes that labels name, each tensor (N, …, 1).

    Attributes:
        index: The class, int32; 0 where the label names none.
        counted: Whether the label is not the one to ignore.
        unknown: Whether the label is neither a class nor the one to ignore.
    """

    index: Any
    counted: Any
    unknown: Any


def classes_last(y_pred, axis: int | None):
    """Return predictions with their classes last, and the places in Caffe's order.

    Args:
        y_pred: The predictions; those with four axes are channels last.
        axis: Caffe's axis of the classes, negative from the end; `None` if they are
            last already.

    Raises:
        ValueError: If the predictions have no such axis.
    """
    if axis is None:
        return y_pred
    rank = len(y_pred.shape)
    if not -rank <= axis < rank:
        raise ValueError(
            f"Expected predictions that have the axis {axis} of classes; received "
            f"shape: {tuple(y_pred.shape)}."
        )
    own = axis % rank
    order = [axes.keras_axis(i, rank) for i in (*range(own), *range(own + 1, rank))]
    order.append(axes.keras_axis(own, rank))
    return y_pred if order == list(range(rank)) else ops.transpose(y_pred, order)


def in_caffes_order(x):
    """Return a tensor with its axes in Caffe's order."""
    return ops.transpose(x, axes.TO_CAFFE) if len(x.shape) == 4 else x


def read_labels(y_true, y_pred, ignore_label: int | None = None) -> Labels:
    """Return the classes of labels, of any numeric type, as Caffe reads them.

    Args:
        y_true: (N, …), or as `whole_labels` takes it.
        y_pred: (N, …, C).
        ignore_label: The label that does not count, if there is one.

    Raises:
        ValueError: If there is not one label for each place of `y_pred`.
    """
    whole = whole_labels(y_true, y_pred)
    counted = ops.ones_like(whole, dtype="bool")
    if ignore_label is not None:
        counted = ops.not_equal(whole, float(ignore_label))
    classes = ops.shape(y_pred)[-1]
    known = ops.logical_and(whole >= 0, whole < ops.cast(classes, whole.dtype))
    # NaN is no class either, and must not reach the cast: what it gives is anyone's.
    index = ops.cast(ops.where(known, whole, 0.0), "int32")
    unknown = ops.logical_and(counted, ops.logical_not(known))
    return Labels(index, counted, unknown)


def whole_labels(y_true, y_pred):
    """Return labels as (N, …, 1), float32, cut to whole numbers as C++ does it.

    Args:
        y_true: (N, …) or with more axes of length 1, such as Caffe's (N, 1, 1, 1), or
            all of an item in one axis; one with four axes is channels last.
        y_pred: (N, …, C).

    Raises:
        ValueError: If there is not one label for each place of `y_pred`.
    """
    y_true = ops.cast(ops.convert_to_tensor(y_true), "float32")
    places = tuple(y_pred.shape)[:-1]
    if _fits(y_true.shape, places):
        y_true = ops.expand_dims(y_true, -1)
    elif _fits(y_true.shape, (*places, 1)):
        pass
    elif _are_as_many(axes.caffe_shape(y_true.shape), places):
        shape = (*ops.shape(y_pred)[:-1], 1)
        y_true = ops.reshape(in_caffes_order(y_true), shape)
    else:
        raise ValueError(
            f"Expected labels of the shape {places}, one for each place of the "
            f"predictions {tuple(y_pred.shape)}; received: {tuple(y_true.shape)}. "
            "One-hot labels become such by argmax over their last axis."
        )
    return ops.trunc(y_true)


def like_predictions(y_true, y_pred):
    """Return targets in the shape of the predictions.

    As in Caffe an axis of length 1 more or less does not matter, nor whether the values
    of an item are flattened.

    Raises:
        ValueError: If they have another.
    """
    if _fits((*y_true.shape, 1), y_pred.shape):
        return ops.expand_dims(y_true, -1)
    shapes = [axes.caffe_shape(x.shape) for x in (y_true, y_pred)]
    if not _fits(y_true.shape, y_pred.shape) and _are_as_many(*shapes):
        shape = axes.caffe_shape(ops.shape(y_pred))
        y_true = ops.reshape(in_caffes_order(y_true), shape)
        return ops.transpose(y_true, axes.TO_KERAS) if len(shape) == 4 else y_true
    if not _fits(y_true.shape, y_pred.shape):
        raise ValueError(
            f"Expected targets of the predictions' shape {tuple(y_pred.shape)}; "
            f"received: {tuple(y_true.shape)}."
        )
    return y_true


def like_values(sample_weight, shape):
    """Return weights with as many axes as `shape`, which they must fit.

    Args:
        sample_weight: (N,), (N, H, W) or the like: axes are added at the end.
        shape: Shape of what is weighed, `None` for unknown sizes.

    Raises:
        ValueError: If they do not fit, or would turn one value into many.
    """
    weights = ops.convert_to_tensor(sample_weight)
    given = tuple(weights.shape)
    while len(weights.shape) < len(shape):
        weights = ops.expand_dims(weights, -1)
    if len(given) > len(shape) or not all(
        None in pair or pair[0] in (1, pair[1])
        for pair in zip(weights.shape, shape, strict=False)
    ):
        raise ValueError(
            f"Expected weights of items, or of places, that fit {tuple(shape)}; "
            f"received shape: {given}."
        )
    return weights


def _fits(shape, wanted) -> bool:
    return len(shape) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, wanted, strict=True)
    )


def _are_as_many(shape, wanted) -> bool:
    """Tell whether shapes are of the same values, but for axes of 1, or flattened."""
    if not (shape and wanted and _fits(shape[:1], wanted[:1])):
        return False
    sizes = [[size for size in x[1:] if size != 1] for x in (shape, wanted)]
    if _fits(*sizes):
        return True
    flat = len(shape) == 2 or len(wanted) == 2
    known = None not in sizes[0] and None not in sizes[1]
    return flat and all(sizes) and known and math.prod(sizes[0]) == math.prod(sizes[1])
