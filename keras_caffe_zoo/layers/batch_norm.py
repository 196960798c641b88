"""Batch normalization with Caffe's three blobs of statistics."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import keras_axis


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeBatchNorm(keras.layers.Layer):
    """Batch normalization as Caffe's `BatchNorm` layer computes it.

    `(x - mean) / sqrt(variance + epsilon)` per channel, without factor and offset
    (Caffe's nets have a `Scale` layer for these; NVIDIA's and Intel's Caffe can have
    them here). Caffe keeps weighted sums of means
    and variances and the sum of the weights, and divides: with a sum of 0, mean and
    variance are 0. In training, each batch adds its own mean and its unbiased
    variance to sums that are first multiplied by `moving_average_fraction`.

    `keras.layers.BatchNormalization` averages the biased variance from a start at 1.

    Args:
        use_global_stats: Normalize with the kept statistics (`True`), with the
            batch's (`False`), or with the batch's in training only (`None`).
        moving_average_fraction: What is kept of the sums at each step.
        epsilon: Added to the variance.
        scale_bias: Multiply by a learned factor after that, and add a learned offset.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Any; the channels are the last of four axes, else the second.

    Reference:
        Caffe 1.0's `BatchNorm` layer.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeBatchNorm
        >>> layer = CaffeBatchNorm()
        >>> layer.build((None, 1))
        >>> sums = [10.0], [20.0], [5.0]  # of means, variances and weights: 2 and 4
        >>> layer.set_weights([np.array(x) for x in sums])
        >>> np.asarray(layer(np.array([[2.0], [8.0]]))).round(3).tolist()
        [[0.0], [3.0]]
    """

    def __init__(
        self,
        use_global_stats=None,
        moving_average_fraction=0.999,
        epsilon=1e-5,
        scale_bias=False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.use_global_stats = use_global_stats
        self.moving_average_fraction = float(moving_average_fraction)
        self.epsilon = float(epsilon)
        self.scale_bias = bool(scale_bias)

    def build(self, input_shape):
        axis = self._axis(len(input_shape))
        channels = 1 if axis is None else input_shape[axis]
        # Sums of a thousand variances and more: half precision ends at 65,504.
        options = {"initializer": "zeros", "trainable": False, "autocast": False}
        self.mean_sum = self.add_weight((channels,), name="mean_sum", **options)
        self.variance_sum = self.add_weight((channels,), name="variance_sum", **options)
        self.weight_sum = self.add_weight((1,), name="weight_sum", **options)
        if self.scale_bias:
            options = {"autocast": False}
            self.scale = self.add_weight((channels,), "ones", name="scale", **options)
            self.bias = self.add_weight((channels,), "zeros", name="bias", **options)
        self.built = True

    @staticmethod
    def _axis(rank):
        return keras_axis(1, rank) if rank > 1 else None

    def call(self, inputs, training=False):
        batch = self.use_global_stats is False or (
            training and self.use_global_stats is None
        )
        mean, variance = self._batch(inputs) if batch else self._kept()
        if batch and training:
            self._keep(inputs, mean, variance)
        shape = [1] * len(inputs.shape)
        axis = self._axis(len(shape))
        if axis is not None:
            shape[axis] = -1
        factor = ops.rsqrt(ops.reshape(variance, shape) + self.epsilon)
        wide = ops.cast(inputs, self.variable_dtype)
        outputs = (wide - ops.reshape(mean, shape)) * factor
        if self.scale_bias:
            scale, bias = map(ops.convert_to_tensor, (self.scale, self.bias))
            outputs = outputs * ops.reshape(scale, shape) + ops.reshape(bias, shape)
        return ops.cast(outputs, inputs.dtype)

    def _kept(self):
        weight = ops.convert_to_tensor(self.weight_sum)
        none = ops.equal(weight, 0)
        factor = ops.where(none, 0.0, 1.0 / ops.where(none, 1.0, weight))
        return self.mean_sum * factor, self.variance_sum * factor

    def _batch(self, inputs):
        wide = ops.cast(inputs, self.variable_dtype)
        axis = self._axis(len(inputs.shape))
        others = [i for i in range(len(inputs.shape)) if i != axis]
        mean = ops.mean(wide, others, keepdims=True)
        variance = ops.mean(ops.square(wide - mean), others)
        return ops.reshape(mean, (-1,)), ops.reshape(variance, (-1,))

    def _keep(self, inputs, mean, variance):
        count = ops.cast(ops.size(inputs), self.variable_dtype) / mean.shape[0]
        unbiased = variance * (count / ops.maximum(count - 1, 1))
        kept = self.moving_average_fraction
        self.mean_sum.assign(self.mean_sum * kept + mean)
        self.variance_sum.assign(self.variance_sum * kept + unbiased)
        self.weight_sum.assign(self.weight_sum * kept + 1.0)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "use_global_stats": self.use_global_stats,
            "moving_average_fraction": self.moving_average_fraction,
            "epsilon": self.epsilon,
            "scale_bias": self.scale_bias,
        }
