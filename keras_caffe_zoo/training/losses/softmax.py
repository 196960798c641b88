"""Losses of the probability of a class."""

import math

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.training._labels import classes_last, in_caffes_order, read_labels
from keras_caffe_zoo.training.losses._base import (
    CaffeLoss,
    check_vectors,
    checked_normalization,
    divisor,
    with_gradient_of,
)

FLT_MIN = float(np.finfo("float32").tiny)
_LOG_THRESHOLD = 1e-20  # Caffe's kLOG_THRESHOLD


def log_softmax(scores, least=FLT_MIN):
    """Return logarithms that stop at that of `least`, and whose gradients do not."""
    logarithms = ops.log_softmax(scores, axis=-1)
    floor = float(np.log(least))
    return with_gradient_of(logarithms, ops.maximum(logarithms, floor))


class _OfClasses(CaffeLoss):
    """A loss of the logarithms of the probabilities of classes.

    Subclasses may define `least`, below which no probability counts, and `_values`,
    which is minus the logarithm of the label's class.
    """

    least = _LOG_THRESHOLD

    def __init__(
        self, normalization, ignore_label, from_logits, name, axis=None
    ) -> None:
        super().__init__(name=name)
        self.normalization = checked_normalization(normalization)
        self.ignore_label = None if ignore_label is None else int(ignore_label)
        self.from_logits = bool(from_logits)
        self.axis = None if axis is None else int(axis)

    def by_class(self, y_pred):
        return classes_last(y_pred, self.axis)

    def call(self, y_true, y_pred):
        axis = 1 if self.axis is None else self.axis % len(y_pred.shape)
        y_pred = self.by_class(y_pred)
        labels, more = self._split(y_true, y_pred)
        labels = read_labels(labels, y_pred, self.ignore_label)
        values = self._values(self._logarithms(y_pred), labels.index, *more)
        values = ops.where(labels.unknown, float("nan"), values)
        values = ops.where(labels.counted, values, 0.0)
        dtype = values.dtype
        return values / divisor(self.normalization, labels.counted, dtype, axis)

    def _split(self, y_true, y_pred) -> tuple:
        """Return the labels, and what else `_values` takes of `y_true`."""
        return y_true, ()

    def _logarithms(self, y_pred):
        """Return logarithms that stop at the least; Caffe's gradients do not."""
        if self.from_logits:
            return log_softmax(y_pred, self.least)
        kept = ops.stop_gradient(ops.maximum(y_pred, self.least))
        return with_gradient_of(y_pred / kept, ops.log(kept))

    def _values(self, logarithms, index):
        """Return the loss of each place, (N, …, 1)."""
        return -ops.take_along_axis(logarithms, index, axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "normalization": self.normalization,
            "ignore_label": self.ignore_label,
            "from_logits": self.from_logits,
            "axis": self.axis,
        }


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class SoftmaxWithLoss(_OfClasses):
    """Minus the logarithm of the softmax of the label's class.

    `-log(max(softmax(x)[label], FLT_MIN))`, summed over all places whose label counts
    and divided. The gradient is `softmax(x) - onehot(label)`, also where the loss has
    reached its most, 87.34.

    Args:
        normalization: What the sum is divided by: `"valid"`, the number of labels that
            count; `"full"`, of all labels; `"batch_size"`, of items (with an `axis` of
            2, of pairs along the first two axes, and so on); `"none"`, 1. Never by less
            than 1.
        ignore_label: A label that does not count, if any.
        from_logits: Whether predictions are scores. Probabilities, of a net that ends
            in a softmax, give the same loss, but no gradient once the label's has
            become 0 in float32: prefer scores.
        name: Its name.
        axis: Caffe's axis of the classes, negative from the end: 1 of maps (N, H, W,
            C), whose blob is (N, C, H, W), 2 of sequences (T, N, C). The last axis of
            the predictions if `None`.

    Inputs:
        Labels (N,) or (N, H, W), or with axes of 1 more, as Caffe's (N, 1, 1, 1), of
        any numeric type; predictions (N, C) or (N, H, W, C). In general labels are of
        the predictions' shape without the axis of the classes, in Caffe's order of
        axes. A label that is no class and not to be ignored makes the loss NaN (Caffe
        reads memory that is not its own).

    Raises:
        ValueError: If the predictions have no such axis, or labels do not fit them.

    Reference:
        Caffe 1.0's `SoftmaxWithLoss` layer.

    Example:
        >>> scores = np.zeros((2, 4))  # each class has a quarter
        >>> loss = kcz.training.SoftmaxWithLoss(ignore_label=255)
        >>> round(float(loss(np.array([3, 255]), scores)), 4)  # log 4: one counts
        1.3863
        >>> loss = kcz.training.SoftmaxWithLoss("full", ignore_label=255)
        >>> round(float(loss(np.array([3, 255]), scores)), 4)  # half of it
        0.6931
    """

    least = FLT_MIN

    def __init__(
        self,
        normalization="valid",
        ignore_label=None,
        from_logits=True,
        name=None,
        axis=None,
    ) -> None:
        super().__init__(normalization, ignore_label, from_logits, name, axis)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class InfogainLoss(_OfClasses):
    """Minus the logarithms of the softmax, weighed by the label's row of a matrix.

    `-sum_k H[label, k] * log(max(softmax(x)[k], 1e-20))`, summed over all places whose
    label counts and divided. With the identity for H it is `SoftmaxWithLoss`.

    Args:
        matrix: H, (C, C), or Caffe's (1, 1, C, C); `None` if it comes with the labels.
        normalization: As of `SoftmaxWithLoss`, like the arguments and inputs below.
        ignore_label: A label that does not count, if any.
        from_logits: Whether predictions are scores.
        name: Its name.
        axis: Caffe's axis of the classes.

    Inputs:
        As of `SoftmaxWithLoss`. Without `matrix`, labels have a last axis of 1 + C: the
        label, then its row of H, as `joined_labels([labels, H])` makes them.

    Raises:
        ValueError: If `matrix` is not square, or not of as many classes as the
            predictions.

    Reference:
        Caffe 1.0's `InfogainLoss` layer, which has its own softmax; those before took
        probabilities.

    Example:
        >>> loss = kcz.training.InfogainLoss([[1, 0], [0, 3]])
        >>> scores = np.zeros((1, 2))  # log 2 for each class; 1 counts three times
        >>> [round(float(loss(np.array([label]), scores)), 4) for label in (0, 1)]
        [0.6931, 2.0794]
    """

    def __init__(
        self,
        matrix,
        normalization="valid",
        ignore_label=None,
        from_logits=True,
        name=None,
        axis=None,
    ) -> None:
        super().__init__(normalization, ignore_label, from_logits, name, axis)
        self.matrix = None if matrix is None else self._checked(matrix)

    @staticmethod
    def _checked(matrix) -> np.ndarray:
        matrix = np.asarray(matrix, "float32")
        while matrix.ndim > 2 and len(matrix) == 1:
            matrix = matrix[0]
        if matrix.ndim != 2 or len(set(matrix.shape)) != 1:
            raise ValueError(
                f"Expected `matrix` (C, C); received shape: {matrix.shape}."
            )
        return matrix

    def _split(self, y_true, y_pred):
        if self.matrix is not None:
            return y_true, ()
        classes = y_pred.shape[-1]
        if len(y_true.shape) < 2 or y_true.shape[-1] not in (None, 1 + classes):
            raise ValueError(
                f"Expected labels and their rows of the matrix, a last axis of 1 + "
                f"{classes}; received shape: {tuple(y_true.shape)}. "
                "`joined_labels([labels, H])` makes them."
            )
        rows = ops.reshape(y_true[..., 1:], ops.shape(y_pred))
        return y_true[..., 0], (ops.stop_gradient(rows),)

    def _values(self, logarithms, index, rows=None):
        if rows is None:
            rows = self._rows(logarithms, index)
        return -ops.sum(rows * logarithms, axis=-1, keepdims=True)

    def _rows(self, logarithms, index):
        if logarithms.shape[-1] != len(self.matrix):
            raise ValueError(
                f"Expected predictions of {len(self.matrix)} classes, as `matrix` has; "
                f"received shape: {tuple(logarithms.shape)}."
            )
        matrix = ops.convert_to_tensor(self.matrix, logarithms.dtype)
        return ops.take(matrix, ops.squeeze(index, -1), axis=0)

    def get_config(self):
        matrix = None if self.matrix is None else self.matrix.tolist()
        return {**super().get_config(), "matrix": matrix}


def with_rows(labels, matrix):
    """Return labels and their rows of a matrix, (N, …, 1 + C) in Caffe's order.

    Args:
        labels: (N, …), of any numeric type; with four axes channels last.
        matrix: C * C values, of any shape.

    Raises:
        ValueError: If the matrix has no known number of values, or one that is no
            square.
    """
    size = math.prod(matrix.shape) if None not in matrix.shape else 0
    classes = math.isqrt(size)
    if not classes or classes**2 != size:
        raise ValueError(
            f"Expected an infogain matrix (C, C); received shape: "
            f"{tuple(matrix.shape)}."
        )
    matrix = ops.cast(ops.reshape(matrix, (classes, classes)), "float32")
    labels = ops.cast(in_caffes_order(ops.convert_to_tensor(labels)), "float32")
    if len(labels.shape) > 1:
        labels = ops.reshape(labels, (ops.shape(labels)[0], -1))
    whole = ops.trunc(labels)
    known = ops.logical_and(whole >= 0, whole < classes)
    index = ops.cast(ops.where(known, whole, 0.0), "int32")
    rows = ops.take(matrix, index, axis=0)
    return ops.concatenate([labels[..., None], rows], axis=-1)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class MultinomialLogisticLoss(_OfClasses):
    """Minus the logarithm of the probability of the label's class.

    `-log(max(p[label], 1e-20))`, summed and divided by the number of items. The
    gradient is `-1 / max(p[label], 1e-20)`.

    Args:
        name: Its name.

    Inputs:
        Labels (N,) or (N, 1), of any numeric type; probabilities (N, C). A label that
        is no class makes the loss NaN.

    Reference:
        Caffe 1.0's `MultinomialLogisticLoss` layer.

    Example:
        >>> chances = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> loss = kcz.training.MultinomialLogisticLoss()
        >>> round(float(loss(np.array([0, 0]), chances)), 4)  # -log(1e-20) / 2
        23.0259
    """

    def __init__(self, name=None) -> None:
        super().__init__("batch_size", None, False, name)

    def call(self, y_true, y_pred):
        check_vectors(y_pred, "MultinomialLogisticLoss")
        return super().call(y_true, y_pred)

    def get_config(self):
        return {"name": self.name}
