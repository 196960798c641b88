"""Stochastic pooling as it is computed at test time."""

import keras
from keras import ops

from keras_caffe_zoo.layers._windows import known_shape
from keras_caffe_zoo.layers.pooling import CaffePool2D


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeStochasticPool2D(CaffePool2D):
    """The mean that stochastic pooling expects, Caffe's `STOCHASTIC` in a test net.

    Each window's `sum(x^2) / sum(x)`: the average of its values, each weighted by
    itself; 0 where the sum is not positive. (In training, Caffe draws one value at
    random, on the GPU only; this layer does not.)

    Arguments as of `CaffePool2D`, without `pool` and `pad`.

    Reference:
        Zeiler and Fergus, 2013, section 3.2; Caffe 1.0's GPU code.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeStochasticPool2D
        >>> x = np.array([[1.0, 3.0], [0.0, 0.0]]).reshape(1, 2, 2, 1)
        >>> float(CaffeStochasticPool2D(2)(x)[0, 0, 0, 0])  # (1 + 9) / (1 + 3)
        2.5
    """

    def __init__(self, kernel_size=None, **kwargs) -> None:
        kwargs.pop("pool", None)
        super().__init__("ave", kernel_size, **kwargs)
        self.pool = "stochastic"
        if any(self.pad):
            raise ValueError(
                f"Expected `pad` 0 for stochastic pooling; received: pad={self.pad}."
            )

    def call(self, inputs):
        self.compute_output_shape(known_shape(inputs))  # raises if it is too small
        if self.global_pooling:
            squares = ops.sum(ops.square(inputs), self._spatial, keepdims=True)
            sums = ops.sum(inputs, self._spatial, keepdims=True)
        else:  # the same divisor twice: what is left is the quotient of the sums
            squares = self._average(ops.square(inputs))
            sums = self._average(inputs)
        positive = sums > 0
        return ops.where(positive, squares / ops.where(positive, sums, 1.0), 0.0)

    def get_config(self):
        config = super().get_config()
        del config["pool"]
        return config
