"""What Caffe's losses share: how they are divided and how gradients pass a floor."""

import math

import keras
from keras import ops

from keras_caffe_zoo.training._labels import like_values

NORMALIZATIONS = ("full", "valid", "batch_size", "none")  # as Caffe numbers them


class CaffeLoss(keras.losses.Loss):
    """A loss that is Caffe's one number.

    Subclasses' `call` returns (N, …, 1) or (N, …, C): each place's share, divided by
    Caffe's divisor. The loss is their sum, so a sample weight multiplies the share of
    its item, or of its place: weights are (N,), (N, H, W), …, and the divisor does not
    know them.

    Args:
        name: Its name.
    """

    per_channel = False  # whether `call` returns a value for each channel

    def __init__(self, name=None) -> None:
        super().__init__(name=name, reduction="sum")

    def __call__(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            *places, channels = self.by_class(ops.convert_to_tensor(y_pred)).shape
            shape = (*places, channels if self.per_channel else 1)
            sample_weight = like_values(sample_weight, shape)
        return super().__call__(y_true, y_pred, sample_weight)

    def by_class(self, y_pred):
        """Return predictions with their classes, or channels, last."""
        return y_pred

    def get_config(self):
        return {"name": self.name}


def checked_normalization(name: str) -> str:
    """Return one of Caffe's ways to normalize a loss, in small letters.

    Raises:
        ValueError: If it is none.
    """
    if name not in NORMALIZATIONS:
        raise ValueError(
            f"Expected `normalization` of {NORMALIZATIONS}; received: {name!r}."
        )
    return name


def check_vectors(y_pred, loss: str) -> None:
    """Check that predictions are vectors.

    Raises:
        ValueError: If they are maps or the like.
    """
    if len(y_pred.shape) != 2:
        raise ValueError(
            f"Expected predictions (N, C) for {loss}; received shape: "
            f"{tuple(y_pred.shape)}. Flatten them."
        )


def divisor(normalization: str, counted, dtype, axis: int = 1):
    """Return what Caffe divides a loss by, at least 1.

    Args:
        normalization: One of `NORMALIZATIONS`.
        counted: (N, …), whether the label of each place counts.
        dtype: Type of the result.
        axis: Caffe's axis of the classes: `"batch_size"` is what stands before it.
    """
    number = 1
    if normalization == "valid":
        number = ops.sum(ops.cast(counted, "int32"))
    elif normalization == "full":
        number = ops.size(counted)
    elif normalization == "batch_size":
        number = math.prod(ops.shape(counted)[:axis])
    return ops.maximum(ops.cast(number, dtype), 1)


def items(x):
    """Return the number of items of a tensor, as a float."""
    return ops.cast(ops.shape(x)[0], x.dtype)


def with_gradient_of(source, value):
    """Return `value` with the gradient of `source`, of the same shape."""
    return ops.stop_gradient(value) + (source - ops.stop_gradient(source))
