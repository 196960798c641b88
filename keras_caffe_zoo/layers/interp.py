"""Bilinear resizing whose corners stay where they are."""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.arithmetic.resizing import interpolated_size
from keras_caffe_zoo.layers._windows import known_shape


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeInterp(keras.layers.Layer):
    """Resize maps bilinearly, the corner pixels staying the corners.

    First a border may be cut off: `e = size + pad_beg + pad_end` pixels stay. Of these
    come `(e - 1) / shrink_factor + 1` pixels (the fraction dropped) if only
    `shrink_factor` is given, `e + (e - 1) * (zoom_factor - 1)` if only `zoom_factor`
    is; else `height` and `width` if both are; else both factors count, shrinking
    first. Output pixel `i` of `n` is what lies at `i * (e - 1) / (n - 1)`.

    Args:
        height: Rows of the output.
        width: Columns of the output.
        zoom_factor: See above.
        shrink_factor: See above.
        pad_beg: Pixels to cut off top and left, as a number of at most 0.
        pad_end: Pixels to cut off bottom and right, likewise.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)`; N, H and W may be unknown.

    Raises:
        ValueError: If nothing says how large the output is, on a factor or size below
            1, a pad above 0, or an input of which nothing stays.

    Reference:
        `Interp` of DeepLab v2 and PSPNet.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeInterp
        >>> x = np.array([[0.0, 2.0], [4.0, 6.0]]).reshape(1, 2, 2, 1)
        >>> y = CaffeInterp(zoom_factor=2)(x)  # 2 + (2 - 1) * (2 - 1) rows
        >>> np.asarray(y)[0, :, :, 0].tolist()
        [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0], [4.0, 5.0, 6.0]]
    """

    def __init__(
        self,
        height=None,
        width=None,
        zoom_factor=None,
        shrink_factor=None,
        pad_beg=0,
        pad_end=0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.height, self.width = height, width
        self.zoom_factor, self.shrink_factor = zoom_factor, shrink_factor
        self.pad_beg, self.pad_end = int(pad_beg), int(pad_end)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self._check()

    def _check(self):
        used = [x for x in (self.zoom_factor, self.shrink_factor) if x is not None]
        if self._has_size:
            used = [self.height, self.width]
        if not used or min(used) < 1:
            raise ValueError(
                "Expected a positive `zoom_factor` or `shrink_factor`, or a positive "
                "`height` and `width`; received: "
                f"zoom_factor={self.zoom_factor}, shrink_factor={self.shrink_factor}, "
                f"height={self.height}, width={self.width}."
            )
        if max(self.pad_beg, self.pad_end) > 0:
            raise ValueError(
                "Expected `pad_beg` and `pad_end` of at most 0 (they cut off); "
                f"received: {self.pad_beg} and {self.pad_end}."
            )

    @property
    def _has_size(self):
        """Whether height and width count; a single factor takes their place."""
        factors = (self.zoom_factor is None) + (self.shrink_factor is None)
        return factors != 1 and None not in (self.height, self.width)

    def call(self, inputs):
        self.compute_output_shape(known_shape(inputs))  # raises if nothing stays
        if self.pad_beg or self.pad_end:
            kept = slice(-self.pad_beg, self.pad_end or None)
            inputs = inputs[:, kept, kept]
        for axis in (1, 2):
            inputs = self._resize(inputs, axis)
        return inputs

    def _resize(self, x, axis):
        size = known_shape(x)[axis]
        known = size is not None
        size = size if known else ops.shape(x)[axis]
        new = self._new_size(size, axis)
        if known and new == size:
            return x
        first, second, share = (_places if known else _places_of_any)(size, new)
        share = ops.reshape(ops.cast(share, x.dtype), (-1,) + (1,) * (3 - axis))
        low, high = ops.take(x, first, axis=axis), ops.take(x, second, axis=axis)
        return low + (high - low) * share

    def _new_size(self, size, axis):
        """Return the output's size along an axis of `size` pixels after the cut."""
        wanted = (self.height, self.width)[axis - 1] if self._has_size else None
        return interpolated_size(size, wanted, self.zoom_factor, self.shrink_factor)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        for axis, name in ((1, "height"), (2, "width")):
            if shape[axis] is None:
                shape[axis] = self._new_size(1, axis) if self._has_size else None
                continue
            left = shape[axis] + self.pad_beg + self.pad_end
            if left < 1:
                raise ValueError(
                    f"Expected an input {name} of more than the "
                    f"{-self.pad_beg - self.pad_end} pixels that layer '{self.name}' "
                    f"cuts off; received: {shape[axis]}."
                )
            shape[axis] = self._new_size(left, axis)
        return tuple(shape)

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
            "zoom_factor": self.zoom_factor,
            "shrink_factor": self.shrink_factor,
            "pad_beg": self.pad_beg,
            "pad_end": self.pad_end,
        }


def _places(size, new):
    """Return the two pixels that each new one lies between, and the second's share."""
    step = np.float32(size - 1) / np.float32(new - 1) if new > 1 else np.float32(0)
    at = np.arange(new, dtype="float32") * step  # Caffe reckons in float32
    first = np.minimum(at.astype("int32"), size - 1)
    return first, np.minimum(first + 1, size - 1), at - first


def _places_of_any(size, new):
    """Return the same of sizes that are tensors."""
    steps = ops.cast(ops.maximum(new - 1, 1), "float32")
    step = ops.where(new > 1, ops.cast(size - 1, "float32") / steps, 0.0)
    at = ops.cast(ops.arange(new, dtype="int32"), "float32") * step
    first = ops.minimum(ops.cast(at, "int32"), size - 1)
    second = ops.minimum(first + 1, size - 1)
    return first, second, at - ops.cast(first, "float32")
