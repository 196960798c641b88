"""Losses of targets that have the predictions' own shape."""

import keras
from keras import ops

from keras_caffe_zoo.training._labels import like_predictions
from keras_caffe_zoo.training.losses._base import (
    CaffeLoss,
    checked_normalization,
    divisor,
    items,
)


def sigmoid_cross_entropy(targets, scores):
    """Return the cross entropy of each score's sigmoid, which does not overflow."""
    positive = ops.cast(scores >= 0, scores.dtype)
    magnitude = scores * (2 * positive - 1)
    return ops.log1p(ops.exp(-magnitude)) - scores * (targets - positive)


def smooth_l1(difference, sigma=1.0):
    """Return half the square of small differences, and a line for others.

    Args:
        difference: Any tensor.
        sigma: Differences below `1 / sigma**2` are small.
    """
    squared = sigma * sigma
    magnitude = ops.abs(difference)
    small = magnitude < 1 / squared
    # Its gradient does not pass a square that is not taken and overflows.
    quadratic = 0.5 * squared * ops.square(ops.where(small, difference, 0.0))
    return ops.where(small, quadratic, magnitude - 0.5 / squared)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class SigmoidCrossEntropyLoss(CaffeLoss):
    """The cross entropy of the sigmoid of scores, each a question of its own.

    `-(t * log(s) + (1 - t) * log(1 - s))` with `s = sigmoid(x)`, in a form that does
    not overflow, summed over all values that count and divided.

    Args:
        normalization: What the sum is divided by: `"batch_size"`, the number of items;
            `"valid"`, of values that count; `"full"`, of all values; `"none"`, 1. Never
            by less than 1.
        ignore_label: A target that does not count, if any. As Caffe compares whole
            numbers, 0.5 is ignored where 0 is.
        name: Its name.

    Inputs:
        Targets, 0 to 1, and scores (not probabilities), of the same shape.

    Reference:
        Caffe 1.0's `SigmoidCrossEntropyLoss` layer.

    Example:
        >>> loss = kcz.training.SigmoidCrossEntropyLoss()
        >>> targets = np.array([[1.0, 0.0]])
        >>> round(float(loss(targets, np.zeros((1, 2)))), 4)  # 2 log 2, of one item
        1.3863
        >>> round(float(loss(targets, np.array([[-1000.0, 0.0]]))), 2)
        1000.69
    """

    per_channel = True

    def __init__(
        self, normalization="batch_size", ignore_label=None, name=None
    ) -> None:
        super().__init__(name=name)
        self.normalization = checked_normalization(normalization)
        self.ignore_label = None if ignore_label is None else int(ignore_label)

    def call(self, y_true, y_pred):
        targets = like_predictions(y_true, y_pred)
        values = sigmoid_cross_entropy(targets, y_pred)
        counted = ops.ones_like(targets, dtype="bool")
        if self.ignore_label is not None:
            counted = ops.not_equal(ops.trunc(targets), float(self.ignore_label))
        values = ops.where(counted, values, 0.0)
        return values / divisor(self.normalization, counted, values.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "normalization": self.normalization,
            "ignore_label": self.ignore_label,
        }


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class EuclideanLoss(CaffeLoss):
    """The sum of all squared differences, divided by twice the number of items.

    Args:
        name: Its name.

    Inputs:
        Targets and predictions of the same shape, but for axes of 1, or one of them
        flattened in Caffe's order. Both have a gradient.

    Reference:
        Caffe 1.0's `EuclideanLoss` layer.

    Example:
        >>> y = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> float(kcz.training.EuclideanLoss()(np.zeros((2, 2)), y))  # 30 / (2 * 2)
        7.5
    """

    per_channel = True

    def call(self, y_true, y_pred):
        difference = y_pred - like_predictions(y_true, y_pred)
        return ops.square(difference) / (2 * items(y_pred))


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class SmoothL1Loss(CaffeLoss):
    """Half the squared difference where it is small, and its size where it is not.

    With `d = inside * (prediction - target)`, of each value
    `outside * (0.5 * sigma**2 * d**2)` if `|d| < 1 / sigma**2`, and
    `outside * (|d| - 0.5 / sigma**2)` if not; summed and divided by the number of
    items, the length of the first axis.

    Args:
        sigma: Differences below `1 / sigma**2` are small.
        name: Its name.

    Inputs:
        Targets of the predictions' shape; or with a last axis of 3 more: targets,
        inside and outside weights, `keras.ops.stack([targets, inside, outside], -1)`.

    Reference:
        Girshick, 2015; `SmoothL1Loss` of Fast R-CNN's fork of Caffe with two or four
        bottoms, and of SSD's, which has no sigma.

    Example:
        >>> y = np.array([[0.5, 3.0]])  # 0.5 * 0.5 ** 2, and 3 - 0.5
        >>> float(kcz.training.SmoothL1Loss()(np.zeros((1, 2)), y))
        2.625
    """

    per_channel = True

    def __init__(self, sigma=1.0, name=None) -> None:
        super().__init__(name=name)
        self.sigma = float(sigma)
        if not 0 < self.sigma < float("inf"):
            raise ValueError(f"Expected a positive `sigma`; received: {sigma}.")

    def call(self, y_true, y_pred):
        inside = outside = 1.0
        if len(y_true.shape) == len(y_pred.shape) + 1 and y_true.shape[-1] == 3:
            y_true, inside, outside = (y_true[..., i] for i in range(3))
        difference = inside * (y_pred - like_predictions(y_true, y_pred))
        return outside * smooth_l1(difference, self.sigma) / items(y_pred)

    def get_config(self):
        return {**super().get_config(), "sigma": self.sigma}
