"""Losses that ask for a margin."""

import keras
from keras import ops

from keras_caffe_zoo.training._labels import read_labels, whole_labels
from keras_caffe_zoo.training.losses._base import (
    CaffeLoss,
    check_vectors,
    items,
    with_gradient_of,
)

_NORMS = ("L1", "L2")
_OFF_ZERO = 1e-4  # Caffe adds it to a distance before it divides by it


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class HingeLoss(CaffeLoss):
    """How far scores are from -1, or more, and the label's own from 1, or more.

    `max(0, 1 + x[k])` for each class, `max(0, 1 - x[k])` for the label's, summed, or
    their squares, and divided by the number of items.

    Args:
        norm: `"L1"` for their sum, `"L2"` for that of their squares.
        name: Its name.

    Inputs:
        Labels (N,) or (N, 1), of any numeric type; scores (N, C). A label that is no
        class makes the loss NaN.

    Reference:
        Caffe 1.0's `HingeLoss` layer.

    Example:
        >>> scores = np.array([[2.0, -1.0, -0.5]])  # the last is not below -1
        >>> float(kcz.training.HingeLoss()(np.array([0]), scores))
        0.5
        >>> float(kcz.training.HingeLoss("L2")(np.array([0]), scores))
        0.25
    """

    def __init__(self, norm="L1", name=None) -> None:
        super().__init__(name=name)
        if norm not in _NORMS:
            raise ValueError(f"Expected `norm` of {_NORMS}; received: {norm!r}.")
        self.norm = norm

    def call(self, y_true, y_pred):
        check_vectors(y_pred, "HingeLoss")
        labels = read_labels(y_true, y_pred)
        of_label = ops.one_hot(
            ops.squeeze(labels.index, -1), y_pred.shape[-1], dtype=y_pred.dtype
        )
        short = ops.relu(1 + y_pred * (1 - 2 * of_label))
        values = ops.square(short) if self.norm == "L2" else short
        values = ops.sum(values, axis=-1, keepdims=True)
        return ops.where(labels.unknown, float("nan"), values) / items(y_pred)

    def get_config(self):
        return {**super().get_config(), "norm": self.norm}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class ContrastiveLoss(CaffeLoss):
    """Bring the vectors of similar pairs together, keep others a margin apart.

    With d the distance of a pair, `d**2` if it is similar and `max(margin - d, 0)**2`
    if not, summed and divided by twice the number of pairs. The gradient of the latter
    is Caffe's, finite at d = 0: `-(margin - d) / (d + 1e-4)` times the difference, of
    a pair that is closer than the margin, divided by the number of pairs.

    Args:
        margin: How far apart pairs should be that are not similar.
        legacy_version: Whether they lose `max(margin - d**2, 0)`, as in Caffe's first
            version.
        name: Its name.

    Inputs:
        Labels (N,) or (N, 1): 0 for a pair that is not similar, any other whole number
        for one that is. Predictions (N, C): the difference of a pair's two vectors, as
        of `keras.layers.Subtract`.

    Reference:
        Hadsell et al., 2006; Caffe 1.0's `ContrastiveLoss` layer.

    Example:
        >>> loss = kcz.training.ContrastiveLoss(margin=6)
        >>> difference = np.array([[3.0, 4.0]])  # a distance of 5
        >>> [float(loss(np.array([similar]), difference)) for similar in (1, 0)]
        [12.5, 0.5]
    """

    def __init__(self, margin=1.0, legacy_version=False, name=None) -> None:
        super().__init__(name=name)
        self.margin = float(margin)
        self.legacy_version = bool(legacy_version)

    def call(self, y_true, y_pred):
        check_vectors(y_pred, "ContrastiveLoss")
        labels = whole_labels(y_true, y_pred)
        squared = ops.sum(ops.square(y_pred), axis=-1, keepdims=True)
        apart = ops.relu(self.margin - squared)
        if not self.legacy_version:
            apart = self._apart(y_pred, ops.sqrt(ops.stop_gradient(squared)))
        values = ops.where(ops.equal(labels, 0), apart, squared)
        values = ops.where(ops.isnan(labels), float("nan"), values)
        return values / (2 * items(y_pred))

    def _apart(self, difference, distance):
        lacking = ops.relu(self.margin - distance)
        factor = -2 * lacking / (distance + _OFF_ZERO)
        slope = ops.stop_gradient(factor * difference)
        linear = ops.sum(slope * difference, axis=-1, keepdims=True)
        return with_gradient_of(linear, ops.square(lacking))

    def get_config(self):
        return {
            **super().get_config(),
            "margin": self.margin,
            "legacy_version": self.legacy_version,
        }
