"""Maps of other sizes, interpolated as FlowNet2 does."""

import keras
from keras import ops

from keras_caffe_zoo.layers._resampling import (
    Sized,
    as_float,
    counted,
    distances,
    triangle,
    weighed,
)
from keras_caffe_zoo.layers._windows import known_shape

_METHODS = ("nearest", "linear", "cubic")


def _cubic(x):
    x = ops.abs(x)
    near = x * x * (1.5 * x - 2.5) + 1.0
    far = x * (x * (-0.5 * x + 2.5) - 4.0) + 2.0
    return ops.where(x <= 1.0, near, ops.where(x < 2.0, far, 0.0))


class _Resizing(Sized):
    """A layer that makes one map another, of a size or of that of a second input."""

    def call(self, inputs):
        x, reference = self._inputs(inputs)
        return self.resized(x, *self.sizes(reference))

    def resized(self, x, height, width):
        """Return a map with other numbers of rows and columns."""
        raise NotImplementedError

    def _inputs(self, inputs):
        """Return what is resized, and what tells the size (or `None`)."""
        several = isinstance(inputs, (list, tuple))
        x, *others = inputs if several else [inputs]
        if bool(others) == (self.height is not None):
            raise ValueError(
                "Expected `height` and `width`, or a second input of that size; "
                f"received: {len(others) + 1} inputs, height={self.height}."
            )
        return x, others[0] if others else None

    def compute_output_spec(self, inputs):
        x, reference = self._inputs(inputs)
        shapes = [x.shape] if reference is None else [x.shape, reference.shape]
        return keras.KerasTensor(self._new_shape(shapes), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        several = isinstance(input_shape[0], (list, tuple))
        return self._new_shape(input_shape if several else [input_shape])

    def _new_shape(self, shapes):
        sizes = (self.height, self.width) if len(shapes) == 1 else shapes[1][1:3]
        return (shapes[0][0], *sizes, shapes[0][-1])


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeResample(_Resizing):
    """Resize a map, as FlowNet2's `Resample` layer does.

    With `f` the old size over the new one along an axis, pixel i lies at `i * f + g / 2
    - 1 / 2`, where g is the *other* axis' f: half a pixel is right only where both are
    shrunk alike. A pixel is the mean of those around it, by weights `k(d / s)` of their
    distance d: k is a triangle or a cubic curve, and s is f with `antialias` if the
    map shrinks along any axis, else 1. Pixels beyond the border do not count.

    Args:
        height: Rows; `None` where the second of two inputs has them.
        width: Columns; likewise.
        method: `"nearest"`, `"linear"` or `"cubic"`.
        antialias: Widen the curve where a map shrinks.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)`; N, H and W may be unknown.

    Raises:
        ValueError: On arguments that are not as above.

    Reference:
        The layer of that name in FlowNet2's Caffe. `"nearest"` gives NaN where it
        reads beyond the map, which needs one f to be twice the other.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeResample
        >>> x = np.array([[0.0, 4.0]] * 2).reshape(1, 2, 2, 1)
        >>> y = CaffeResample(4, 4)(x)  # columns lie at -0.25, 0.25, 0.75 and 1.25
        >>> np.asarray(y)[0, 0, :, 0].tolist()
        [0.0, 1.0, 3.0, 4.0]
    """

    def __init__(
        self, height=None, width=None, method="linear", antialias=True, **kwargs
    ) -> None:
        super().__init__(height, width, **kwargs)
        if method not in _METHODS:
            raise ValueError(
                f"Expected `method` to be one of {_METHODS}; received: {method!r}."
            )
        self.method, self.antialias = method, bool(antialias)

    def resized(self, x, height, width):
        rows, columns = ops.shape(x)[1:3]
        down = as_float(rows) / as_float(height)
        right = as_float(columns) / as_float(width)
        # Summed up as in Caffe: another order rounds some halves the other way.
        at_rows = counted(height) * down + right / 2.0 - 0.5
        at_columns = counted(width) * right + down / 2.0 - 0.5
        if self.method == "nearest":
            return self._nearest(self._nearest(x, at_rows, 1), at_columns, 2)
        shrinks = ops.logical_or(down > 1.0, right > 1.0)
        widened = ops.logical_and(shrinks, self.antialias)
        return weighed(
            x,
            self._weights(at_rows, rows, ops.where(widened, down, 1.0)),
            self._weights(at_columns, columns, ops.where(widened, right, 1.0)),
        )

    def _weights(self, centres, size, scale):
        curve = _cubic if self.method == "cubic" else triangle
        weights = curve(distances(centres, size) / scale)
        total = ops.sum(weights, 1, keepdims=True)
        none = total == 0.0
        return ops.where(none, 0.0, weights / ops.where(none, 1.0, total))

    def _nearest(self, x, centres, axis):
        below = ops.floor(centres)  # adding 0.5 would round the sum
        at = ops.cast(below + ops.cast(centres - below >= 0.5, "float32"), "int32")
        last = ops.shape(x)[axis] - 1
        taken = ops.take(x, ops.clip(at, 0, last), axis=axis)
        inside = ops.logical_and(at >= 0, at <= last)
        shape = [-1 if i == axis else 1 for i in range(4)]
        return ops.where(ops.reshape(inside, shape), taken, float("nan"))

    def get_config(self):
        config = {"method": self.method, "antialias": self.antialias}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeDownsample(_Resizing):
    """Shrink a map that may have NaN in it, as FlowNet's `Downsample` layer does.

    The corners of the new map lie on those of the old one. A pixel is the mean of those
    around it by weights that fall linearly to 0 over a pixel of the new map. NaN do not
    count; where they would weigh more than half as much as the others, the pixel is
    NaN.

    Args:
        height: Rows, at least 2; `None` where the second of two inputs has them.
        width: Columns; likewise.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)`; N, H and W may be unknown.

    Raises:
        ValueError: If a size is 1, which Caffe divides by zero for.

    Reference:
        The layer of that name in FlowNet2's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeDownsample
        >>> x = np.full((1, 5, 5, 1), 2.0)
        >>> x[0, 0, 1] = np.nan  # does not count
        >>> np.asarray(CaffeDownsample(3, 3)(x))[0, :, :, 0].tolist()
        [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """

    def resized(self, x, height, width):
        if known_shape(x)[1:3] == (height, width):
            return x
        old = ops.shape(x)[1:3]
        rows, columns = map(self._weights, old, (height, width))
        missing = ops.isnan(x)
        present = ops.cast(ops.logical_not(missing), x.dtype)
        total = weighed(ops.where(missing, 0.0, x), rows, columns)
        weight = weighed(present, rows, columns)
        lost = weighed(1.0 - present, rows, columns)
        kept = ops.logical_and(weight > 0.0, lost <= 0.5 * weight)
        mean = total / ops.where(kept, weight, 1.0)
        return ops.where(kept, mean, float("nan"))

    @staticmethod
    def _weights(old, new):
        end, last = as_float(old) - 1.0, as_float(new) - 1.0
        centres = counted(new) / last * end
        return triangle(distances(centres, old) / (end / last))

    def _new_shape(self, shapes):
        shape = super()._new_shape(shapes)
        if 1 in shape[1:3] and shape[1:3] != tuple(shapes[0][1:3]):
            raise ValueError(
                "Expected at least 2 rows and columns, whose first and last lie on "
                f"those of the input; received: {shape[1:3]}."
            )
        return shape
