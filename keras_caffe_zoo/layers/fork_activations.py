"""Activations of Caffe's forks that Keras does not have."""

import keras
from keras import ops

from keras_caffe_zoo.layers.elementwise import _Elementwise


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeHardSigmoid(_Elementwise):
    """`0.2 * x + 0.5`, no less than 0 and no more than 1.

    `keras.activations.hard_sigmoid` has another slope, 1 / 6.

    Reference:
        `HardSigmoid` of MobileNet-YOLO's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeHardSigmoid
        >>> x = np.array([-5.0, 0.0, 1.0, 5.0])
        >>> print(np.asarray(CaffeHardSigmoid()(x)).round(3))
        [0.  0.5 0.7 1. ]
    """

    def call(self, inputs):
        return ops.clip(inputs * 0.2 + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeNegReLU(_Elementwise):
    """`min(x, 0) + positive_slope * max(x, 0)`.

    Args:
        positive_slope: Any number (`negative_slope`, as the file calls it).
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Reference:
        `NegReLU` of FlowNet2's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeNegReLU
        >>> x = np.array([-2.0, 0.0, 4.0])
        >>> np.asarray(CaffeNegReLU(0.25)(x)).tolist()
        [-2.0, 0.0, 1.0]
    """

    _settings = ("positive_slope",)

    def __init__(self, positive_slope=0.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.positive_slope = float(positive_slope)

    def call(self, inputs):
        return self.positive_slope * ops.relu(inputs) - ops.relu(-inputs)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeReLU6(_Elementwise):
    """`max(x, 0) + negative_slope * min(x, 0)`, no more than 6.

    As `keras.layers.ReLU`, but at 0 the gradient is the slope, not 0.

    Args:
        negative_slope: A number of at least 0.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Reference:
        `ReLU6` of MobileNet-YOLO's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeReLU6
        >>> np.asarray(CaffeReLU6(0.5)(np.array([-2.0, 3.0, 9.0]))).tolist()
        [-1.0, 3.0, 6.0]
    """

    _settings = ("negative_slope",)

    def __init__(self, negative_slope=0.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.negative_slope = float(negative_slope)

    def call(self, inputs):
        leaky = ops.where(inputs > 0, inputs, self.negative_slope * inputs)
        return ops.where(inputs >= 6, 6.0, leaky)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeSELU(_Elementwise):
    """`factor * x` above 0, and `factor * alpha * (exp(x) - 1)` below.

    Args:
        factor: The outer factor (`lambda`).
        alpha: The factor below 0.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Reference:
        `SeLu` of the forks for self-normalizing nets (Klambauer et al., 2017).

    Example:
        >>> from keras_caffe_zoo.layers import CaffeSELU
        >>> x = np.array([-100.0, 0.0, 1.0])
        >>> print(np.asarray(CaffeSELU()(x)).round(4))  # -factor * alpha at the least
        [-1.7581  0.      1.0507]
    """

    _settings = ("factor", "alpha")

    def __init__(self, factor=1.050700987, alpha=1.67326324, **kwargs) -> None:
        super().__init__(**kwargs)
        self.factor, self.alpha = float(factor), float(alpha)

    def call(self, inputs):
        return self.factor * ops.elu(inputs, alpha=self.alpha)
