"""What forks do to whole channels: weigh them, deal them out anew."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import caffe_shape, keras_axis
from keras_caffe_zoo.arithmetic.channels import check_factors


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeAxpy(keras.layers.Layer):
    """`a * x + y`, with one `a` for each channel of each item.

    Input shape:
        Three: `a` of `(N, C)`, or `(N, 1, 1, C)`; `x` and `y` of `(N, H, W, C)`.

    Raises:
        ValueError: If they do not fit each other.

    Reference:
        `Axpy` of SENet's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeAxpy
        >>> a = np.array([[0.0, 10.0]])  # one for each channel
        >>> x, y = np.ones((1, 1, 2, 2)), np.full((1, 1, 2, 2), 0.5)
        >>> np.asarray(CaffeAxpy()([a, x, y])).tolist()
        [[[[0.5, 10.5], [0.5, 10.5]]]]
    """

    def call(self, inputs):
        a, x, y = inputs
        if len(a.shape) == 2:
            a = ops.expand_dims(a, (1, 2))
        return a * x + y

    def compute_output_shape(self, input_shape):
        check_factors(*map(caffe_shape, input_shape), self.name)
        return tuple(input_shape[1])

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape([x.shape for x in inputs])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeShuffleChannel(keras.layers.Layer):
    """Deal the channels of `group` groups out in turn.

    Of `C` channels, `i * (C / group) + j` becomes `j * group + i`.

    Args:
        group: Number of groups; it divides the channels.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Any of two axes or more; the channels are the last of four, else the second.

    Raises:
        ValueError: If `group` is below 1, or does not divide the channels.

    Reference:
        `ShuffleChannel` of ShuffleNet's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeShuffleChannel
        >>> x = np.array([[0.0, 1.0, 2.0, 10.0, 11.0, 12.0]])  # two groups
        >>> np.asarray(CaffeShuffleChannel(2)(x)).tolist()
        [[0.0, 10.0, 1.0, 11.0, 2.0, 12.0]]
    """

    def __init__(self, group=1, **kwargs) -> None:
        super().__init__(**kwargs)
        if group < 1:
            raise ValueError(f"Expected a positive `group`; received: group={group}.")
        self.group = int(group)

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)  # raises if it does not divide
        if self.group == 1:
            return inputs
        axis = keras_axis(1, len(inputs.shape))
        channels = inputs.shape[axis]
        before, after = ops.shape(inputs)[:axis], ops.shape(inputs)[axis + 1 :]
        groups = (*before, self.group, channels // self.group, *after)
        order = [*range(len(groups))]
        order[axis], order[axis + 1] = axis + 1, axis
        dealt = ops.transpose(ops.reshape(inputs, groups), order)
        return ops.reshape(dealt, (*before, channels, *after))

    def compute_output_shape(self, input_shape):
        rank = len(input_shape)
        channels = input_shape[keras_axis(1, rank)] if rank > 1 else None
        if channels is None or channels % self.group:
            raise ValueError(
                f"Expected channels that {self.group} groups divide, for layer "
                f"'{self.name}'; received: {channels}."
            )
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "group": self.group}
