"""Axes in another order."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import caffe_axis, keras_axis


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffePermute(keras.layers.Layer):
    """Put a blob's axes in another order, as SSD's `Permute` layer does.

    Args:
        order: Axes counted as in (N, C, H, W): which one becomes the first, the second,
            and so on. Those that are not named follow as they stood.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Any. Tensors of four axes are channels last, before and after.

    Raises:
        ValueError: If the input has no such axes, or one is named twice.

    Reference:
        `Permute` of the SSD fork of Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffePermute
        >>> x = np.zeros((1, 5, 7, 2))  # to Caffe (1, 2, 5, 7)
        >>> tuple(CaffePermute((0, 2, 3, 1))(x).shape)  # to Caffe (1, 5, 7, 2)
        (1, 7, 2, 5)
    """

    def __init__(self, order, **kwargs) -> None:
        super().__init__(**kwargs)
        self.order = tuple(int(axis) for axis in order)
        if min(self.order, default=0) < 0 or len(set(self.order)) < len(self.order):
            raise ValueError(
                "Expected `order` of different axes, from 0 on; received: "
                f"order={self.order}."
            )

    def axes(self, rank):
        """Return the whole order of the axes of a blob with `rank` axes.

        Raises:
            ValueError: If it has no such axes.
        """
        if max(self.order, default=0) >= max(rank, 1):
            raise ValueError(
                f"Expected `order` of axes of a blob with {rank} axes for layer "
                f"'{self.name}'; received: order={self.order}."
            )
        others = [axis for axis in range(rank) if axis not in self.order]
        return (*self.order, *others)

    def _tensor_axes(self, rank):
        axes = self.axes(rank)
        places = (caffe_axis(i, rank) for i in range(rank))
        return [keras_axis(axes[place], rank) for place in places]

    def call(self, inputs):
        return ops.transpose(inputs, self._tensor_axes(len(inputs.shape)))

    def compute_output_shape(self, input_shape):
        axes = self._tensor_axes(len(input_shape))
        return tuple(input_shape[axis] for axis in axes)

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "order": self.order}
