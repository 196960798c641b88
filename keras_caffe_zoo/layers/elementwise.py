"""Caffe's functions of one value at a time that Keras does not have."""

import math

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.functions import constant_power


class _Elementwise(keras.layers.Layer):
    """A layer that keeps its input's shape; `_settings` names its arguments."""

    _settings: tuple[str, ...] = ()

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        own = {name: getattr(self, name) for name in self._settings}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeAbs(_Elementwise):
    """The absolute value, Caffe's `AbsVal` layer.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeAbs
        >>> np.asarray(CaffeAbs()(np.array([-2.0, 0.0, 3.0]))).tolist()
        [2.0, 0.0, 3.0]
    """

    def call(self, inputs):
        return ops.abs(inputs)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeLeakyReLU(_Elementwise):
    """`max(x, 0) + negative_slope * min(x, 0)`, Caffe's `ReLU` layer.

    For slopes below 0, which `keras.layers.ReLU` refuses.

    Args:
        negative_slope: Any number.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeLeakyReLU
        >>> np.asarray(CaffeLeakyReLU(-0.5)(np.array([-2.0, 0.0, 3.0]))).tolist()
        [1.0, 0.0, 3.0]
    """

    _settings = ("negative_slope",)

    def __init__(self, negative_slope=0.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.negative_slope = float(negative_slope)

    def call(self, inputs):
        return ops.relu(inputs) - self.negative_slope * ops.relu(-inputs)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffePower(_Elementwise):
    """`(shift + scale * x) ** power`, Caffe's `Power` layer.

    Where `power * scale` is 0 the input does not count, not even one that is not a
    number: the result is 1 if `power` is 0, else `shift ** power`.

    Args:
        power: Exponent.
        scale: Factor.
        shift: Offset.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Example:
        >>> from keras_caffe_zoo.layers import CaffePower
        >>> x = np.array([0.0, 2.0, 4.0])
        >>> np.asarray(CaffePower(power=2, scale=0.5, shift=1)(x)).tolist()
        [1.0, 4.0, 9.0]
        >>> np.asarray(CaffePower(power=0)(np.array([np.nan]))).tolist()
        [1.0]
    """

    _settings = ("power", "scale", "shift")

    def __init__(self, power=1.0, scale=1.0, shift=0.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.power, self.scale = float(power), float(scale)
        self.shift = float(shift)

    def call(self, inputs):
        if self.power * self.scale == 0:
            return ops.full_like(inputs, constant_power(self.power, self.shift))
        outputs = inputs if self.scale == 1 else inputs * self.scale
        outputs = outputs if self.shift == 0 else outputs + self.shift
        if self.power == 1:
            return outputs
        if self.power == 2:
            return ops.square(outputs)
        return ops.power(outputs, self.power)


class _OfBase(_Elementwise):
    """What Exp and Log share: a base, and an affine function of the input."""

    _settings = ("base", "scale", "shift")

    def __init__(self, base=-1.0, scale=1.0, shift=0.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.base, self.scale = _base(base), float(scale)
        self.shift = float(shift)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeExp(_OfBase):
    """`base ** (shift + scale * x)`, Caffe's `Exp` layer.

    Args:
        base: A positive number, or -1 for e.
        scale: Factor.
        shift: Offset.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If `base` is another number.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeExp
        >>> np.asarray(CaffeExp(base=2)(np.array([-1.0, 0.0, 3.0]))).round(5).tolist()
        [0.5, 1.0, 8.0]
    """

    def call(self, inputs):
        log_base = 1.0 if self.base == -1 else math.log(self.base)
        return ops.exp(inputs * (log_base * self.scale) + log_base * self.shift)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeLog(_OfBase):
    """The logarithm of `shift + scale * x`, Caffe's `Log` layer.

    Args:
        base: A positive number other than 1, or -1 for e.
        scale: Factor.
        shift: Offset.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If `base` is another number.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeLog
        >>> np.asarray(CaffeLog(base=10)(np.array([0.1, 1.0, 100.0]))).round(5).tolist()
        [-1.0, 0.0, 2.0]
    """

    def __init__(self, base=-1.0, scale=1.0, shift=0.0, **kwargs) -> None:
        super().__init__(base, scale, shift, **kwargs)
        if self.base == 1:
            raise ValueError("Expected `base` to be other than 1; received: base=1.")

    def call(self, inputs):
        outputs = inputs if self.scale == 1 else inputs * self.scale
        outputs = ops.log(outputs if self.shift == 0 else outputs + self.shift)
        return outputs if self.base == -1 else outputs * (1.0 / math.log(self.base))


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeThreshold(_Elementwise):
    """1 where the input is above a threshold, else 0, Caffe's `Threshold` layer.

    Args:
        threshold: The value that has to be exceeded.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeThreshold
        >>> x = np.array([0.25, 0.5, 0.75])
        >>> np.asarray(CaffeThreshold(0.5)(x)).tolist()  # 0.5 is not above 0.5
        [0.0, 0.0, 1.0]
    """

    _settings = ("threshold",)

    def __init__(self, threshold=0.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.threshold = float(threshold)

    def call(self, inputs):
        return ops.cast(inputs > self.threshold, inputs.dtype)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeClip(_Elementwise):
    """The input, no less than `low` and no more than `high`, Caffe's `Clip` layer.

    Args:
        low: The least value (`min`).
        high: The largest value (`max`).
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeClip
        >>> np.asarray(CaffeClip(-1, 2)(np.array([-5.0, 0.5, 5.0]))).tolist()
        [-1.0, 0.5, 2.0]
    """

    _settings = ("low", "high")

    def __init__(self, low, high, **kwargs) -> None:
        super().__init__(**kwargs)
        self.low, self.high = float(low), float(high)

    def call(self, inputs):
        return ops.maximum(ops.minimum(inputs, self.high), self.low)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeSwish(_Elementwise):
    """`x * sigmoid(beta * x)`, Caffe's `Swish` layer.

    Args:
        beta: Factor inside the sigmoid.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeSwish
        >>> x = np.array([-1.0, 0.0, 1.0])
        >>> print(np.asarray(CaffeSwish()(x)).round(3))
        [-0.269  0.     0.731]
        >>> np.asarray(CaffeSwish(beta=0)(x)).tolist()  # the sigmoid of 0 is a half
        [-0.5, 0.0, 0.5]
    """

    _settings = ("beta",)

    def __init__(self, beta=1.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.beta = float(beta)

    def call(self, inputs):
        return inputs * ops.sigmoid(inputs * self.beta)


def _base(base):
    base = float(base)
    if base != -1 and not base > 0:
        raise ValueError(
            f"Expected `base` to be positive, or -1 for e; received: base={base}."
        )
    return base
