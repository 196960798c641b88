"""Losses of the probability of a class."""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.training._labels import read_labels
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

    def __init__(self, normalization, ignore_label, from_logits, name):
        super().__init__(name=name)
        self.normalization = checked_normalization(normalization)
        self.ignore_label = None if ignore_label is None else int(ignore_label)
        self.from_logits = bool(from_logits)

    def call(self, y_true, y_pred):
        labels = read_labels(y_true, y_pred, self.ignore_label)
        values = self._values(self._logarithms(y_pred), labels.index)
        values = ops.where(labels.unknown, float("nan"), values)
        values = ops.where(labels.counted, values, 0.0)
        return values / divisor(self.normalization, labels.counted, values.dtype)

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
        }


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class SoftmaxWithLoss(_OfClasses):
    """Minus the logarithm of the softmax of the label's class.

    `-log(max(softmax(x)[label], FLT_MIN))`, summed over all places whose label counts
    and divided. The gradient is `softmax(x) - onehot(label)`, also where the loss has
    reached its most, 87.34.

    Args:
        normalization: What the sum is divided by: `"valid"`, the number of labels that
            count; `"full"`, of all labels; `"batch_size"`, of items; `"none"`, 1.
            Never by less than 1.
        ignore_label: A label that does not count, if any.
        from_logits: Whether predictions are scores. Probabilities, of a net that ends
            in a softmax, give the same loss, but no gradient once the label's has
            become 0 in float32: prefer scores.
        name: Its name.

    Inputs:
        Labels (N,) or (N, H, W), or with a last axis of 1, of any numeric type;
        predictions (N, C) or (N, H, W, C). A label that is no class and not to be
        ignored makes the loss NaN (Caffe reads memory that is not its own).

    Reference:
        Caffe 1.0's `SoftmaxWithLoss` layer.
    """

    least = FLT_MIN

    def __init__(
        self, normalization="valid", ignore_label=None, from_logits=True, name=None
    ):
        super().__init__(normalization, ignore_label, from_logits, name)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class InfogainLoss(_OfClasses):
    """Minus the logarithms of the softmax, weighed by the label's row of a matrix.

    `-sum_k H[label, k] * log(max(softmax(x)[k], 1e-20))`, summed over all places whose
    label counts and divided. With the identity for H it is `SoftmaxWithLoss`.

    Args:
        matrix: H, (C, C), or Caffe's (1, 1, C, C).
        normalization: As of `SoftmaxWithLoss`, like the arguments and inputs below.
        ignore_label: A label that does not count, if any.
        from_logits: Whether predictions are scores.
        name: Its name.

    Raises:
        ValueError: If `matrix` is not square, or not of as many classes as the
            predictions.

    Reference:
        Caffe 1.0's `InfogainLoss` layer, which has its own softmax; those before took
        probabilities.
    """

    def __init__(
        self,
        matrix,
        normalization="valid",
        ignore_label=None,
        from_logits=True,
        name=None,
    ):
        super().__init__(normalization, ignore_label, from_logits, name)
        matrix = np.asarray(matrix, "float32")
        while matrix.ndim > 2 and len(matrix) == 1:
            matrix = matrix[0]
        if matrix.ndim != 2 or len(set(matrix.shape)) != 1:
            raise ValueError(
                f"Expected `matrix` (C, C); received shape: {matrix.shape}."
            )
        self.matrix = matrix

    def _values(self, logarithms, index):
        if logarithms.shape[-1] != len(self.matrix):
            raise ValueError(
                f"Expected predictions of {len(self.matrix)} classes, as `matrix` has; "
                f"received shape: {tuple(logarithms.shape)}."
            )
        matrix = ops.convert_to_tensor(self.matrix, logarithms.dtype)
        rows = ops.take(matrix, ops.squeeze(index, -1), axis=0)
        return -ops.sum(rows * logarithms, axis=-1, keepdims=True)

    def get_config(self):
        return {**super().get_config(), "matrix": self.matrix.tolist()}


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
    """

    def __init__(self, name=None):
        super().__init__("batch_size", None, False, name)

    def call(self, y_true, y_pred):
        check_vectors(y_pred, "MultinomialLogisticLoss")
        return super().call(y_true, y_pred)

    def get_config(self):
        return {"name": self.name}
