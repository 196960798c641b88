"""Layers that make one value, or a few, of many: Reduction and ArgMax."""

import keras
from keras import ops

from keras_caffe_zoo.layers._blobs import BlobLayer, known_axis

_OPERATIONS = ("sum", "asum", "sumsq", "mean")


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeReduction(BlobLayer):
    """Reduce an axis and all after it to one value, Caffe's `Reduction` layer.

    Args:
        operation: `"sum"`, `"asum"` (of absolute values), `"sumsq"` (of squares) or
            `"mean"`.
        axis: First axis, counted as in (N, C, H, W); 0 leaves a scalar.
        coeff: Factor of the result.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeReduction
        >>> x = np.array([[3.0, -4.0], [1.0, 1.0]])
        >>> np.asarray(CaffeReduction("sumsq", axis=1)(x)).tolist()
        [25.0, 2.0]
        >>> float(CaffeReduction("asum")(x))
        9.0
    """

    def __init__(self, operation="sum", axis=0, coeff=1.0, **kwargs) -> None:
        super().__init__(**kwargs)
        if operation not in _OPERATIONS:
            raise ValueError(
                f"Expected `operation` to be one of {_OPERATIONS}; received: "
                f"operation={operation!r}."
            )
        self.operation, self.axis, self.coeff = operation, int(axis), float(coeff)

    def compute(self, blobs):
        rank = len(blobs.shape)
        axes = list(range(known_axis(self.axis, rank, self.name), rank))
        before = {"asum": ops.abs, "sumsq": ops.square}.get(self.operation)
        values = blobs if before is None else before(blobs)
        reduce = ops.mean if self.operation == "mean" else ops.sum
        result = reduce(values, axes)
        return result if self.coeff == 1 else result * self.coeff

    def blob_shape(self, shapes):
        return shapes[: known_axis(self.axis, len(shapes), self.name)]

    def get_config(self):
        return {
            **super().get_config(),
            "operation": self.operation,
            "axis": self.axis,
            "coeff": self.coeff,
        }


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeArgMax(BlobLayer):
    """Where the largest values are, as Caffe's `ArgMax` layer tells it.

    Of equal values the one with the larger index comes first.

    Args:
        out_max_val: With an axis, the values instead of the indices; without, both:
            (N, 2, top_k), the indices first.
        top_k: How many.
        axis: Axis to search, counted as in (N, C, H, W). `None` searches each item
            flattened in Caffe's order; the result has at least three axes then.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If there are fewer than `top_k` values.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeArgMax
        >>> x = np.array([[5.0, 9.0, 9.0, 1.0]])
        >>> tuple(CaffeArgMax(top_k=2)(x).shape)
        (1, 1, 2)
        >>> np.asarray(CaffeArgMax(top_k=2)(x)).ravel().tolist()  # the later 9 first
        [2.0, 1.0]
        >>> np.asarray(CaffeArgMax(top_k=3, axis=1, out_max_val=True)(x)).tolist()
        [[9.0, 9.0, 5.0]]
    """

    def __init__(self, out_max_val=False, top_k=1, axis=None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.out_max_val, self.top_k = bool(out_max_val), int(top_k)
        self.axis = None if axis is None else int(axis)

    def compute(self, blobs):
        rank = len(blobs.shape)
        if self.axis is None:
            sizes = ops.shape(blobs)
            blobs = ops.reshape(blobs, (sizes[0], -1))
            found = ops.stack(self._search(blobs), 1)[:, : 1 + self.out_max_val]
            for _ in range(max(rank, 3) - 3):
                found = ops.expand_dims(found, -1)
            return found
        axis = known_axis(self.axis, rank, self.name)
        indices, values = self._search(ops.moveaxis(blobs, axis, -1))
        return ops.moveaxis(values if self.out_max_val else indices, -1, axis)

    def _search(self, values):
        """Return indices, as floats, and values of the last axis' largest."""
        if self.top_k == 1:
            largest = ops.max(values, -1, keepdims=True)
            numbers = ops.arange(ops.shape(values)[-1], dtype="int32")
            places = ops.where(values == largest, numbers, -1)
            places = ops.max(places, -1, keepdims=True)
            return ops.cast(places, values.dtype), largest
        # The first of equals is then Caffe's; and 0 and -0 are equal, which not every
        # backend holds.
        flipped = ops.flip(ops.where(values == 0, 0.0, values), -1)
        places = ops.cast(ops.argsort(-flipped, -1)[..., : self.top_k], "int32")
        largest = ops.take_along_axis(flipped, places, -1)
        last = ops.shape(values)[-1] - 1
        return ops.cast(last - places, values.dtype), largest

    def blob_shape(self, shapes):
        shape = list(shapes)
        if self.axis is None:
            counts = shape[1:]
            shape = [shape[0], 1 + self.out_max_val, self.top_k]
            shape += [1] * (len(shapes) - 3)
        else:
            axis = known_axis(self.axis, len(shape), self.name)
            counts, shape[axis] = [shape[axis]], self.top_k
        count = 1
        for size in counts:
            count = None if None in (size, count) else count * size
        if self.top_k < 1 or (count is not None and self.top_k > count):
            raise ValueError(
                f"Expected `top_k` to be from 1 to the {count} values there are; "
                f"received: top_k={self.top_k}."
            )
        return tuple(shape)

    def get_config(self):
        return {
            **super().get_config(),
            "out_max_val": self.out_max_val,
            "top_k": self.top_k,
            "axis": self.axis,
        }
