"""Maps of several sizes in one."""

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


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeAccum(Sized):
    """Bring maps to one size and join their channels, as FlowNet's `Accum` layer does.

    The corners of each map are stretched to those of the new one, with linear
    interpolation between pixels.

    Args:
        height: Rows, at least 2; `None` where the last input has them, which is then
            not joined.
        width: Columns; likewise.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)` each; N, H and W may be unknown.

    Raises:
        ValueError: If a size is 1, which Caffe divides by zero for.

    Reference:
        The layer of that name in FlowNet2's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeAccum
        >>> coarse = np.array([[0.0, 2.0], [4.0, 6.0]]).reshape(1, 2, 2, 1)
        >>> y = CaffeAccum(3, 3)([coarse, np.ones((1, 5, 5, 1))])
        >>> tuple(y.shape)  # both in one size, one behind the other
        (1, 3, 3, 2)
        >>> np.asarray(y)[0, :, :, 0].tolist()
        [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0], [4.0, 5.0, 6.0]]
    """

    def call(self, inputs):
        maps, reference = self._inputs(inputs)
        sizes = self.sizes(reference)
        parts = [
            weighed(x, *map(self._weights, ops.shape(x)[1:3], sizes)) for x in maps
        ]
        return ops.concatenate(parts, -1) if len(parts) > 1 else parts[0]

    @staticmethod
    def _weights(old, new):
        centres = counted(new) / (as_float(new) - 1.0) * (as_float(old) - 1.0)
        return triangle(distances(centres, old))

    def _inputs(self, inputs):
        """Return what is joined, and what tells the size (or `None`)."""
        maps = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        reference = maps.pop() if self.height is None else None
        if not maps:
            raise ValueError(
                "Expected `height` and `width`, or a last input of that size; received:"
                " one input, height=None."
            )
        return maps, reference

    def compute_output_shape(self, input_shape):
        several = isinstance(input_shape[0], (list, tuple))
        shapes, reference = self._inputs(input_shape if several else [input_shape])
        sizes = (self.height, self.width) if reference is None else reference[1:3]
        if 1 in sizes:
            raise ValueError(
                "Expected at least 2 rows and columns, whose first and last lie on "
                f"those of the inputs; received: {tuple(sizes)}."
            )
        return (shapes[0][0], *sizes, sum(shape[-1] for shape in shapes))

    def compute_output_spec(self, inputs):
        several = isinstance(inputs, (list, tuple))
        shapes = [tuple(x.shape) for x in (inputs if several else [inputs])]
        return keras.KerasTensor(self.compute_output_shape(shapes), self.compute_dtype)
