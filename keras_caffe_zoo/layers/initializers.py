"""Caffe's weight fillers as Keras initializers.

Shapes are Keras': a kernel is (*window, inputs / groups, outputs), a transposed
convolution's (*window, outputs / groups, inputs), a dense layer's (inputs, outputs).
That is Caffe's shape from behind: the last axis is Caffe's first, the one before it
Caffe's second. Caffe's `constant` and `uniform` are `keras.initializers.Constant` and
`RandomUniform`.

Seeds are as of Keras' own: an integer gives the same values at each call, a
`keras.random.SeedGenerator` others.
"""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.layers._bilinear import bilinear_window

_MODES = {"fan_in": "fan_in", "fan_out": "fan_out", "average": "fan_avg"}
VARIANCE_NORMS = tuple(_MODES)  # as Caffe numbers them


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class Gaussian(keras.initializers.RandomNormal):
    """Draw from a normal distribution, not truncated, Caffe's `gaussian` filler.

    Args:
        mean: Mean.
        std: Standard deviation.
        sparse: Keep each value with the probability `sparse / outputs` and make the
            others 0; -1 keeps all. Outputs are the kernel's last axis.
        seed: See above.

    Raises:
        ValueError: If `std` is negative, or `sparse` below -1 or above the outputs.

    Example:
        >>> filler = kcz.training.Gaussian(std=0.01, sparse=1, seed=1)
        >>> kernel = np.asarray(filler((100, 10)))  # of a layer of 10 outputs
        >>> round(float(np.mean(kernel != 0)), 1)  # one in ten
        0.1
        >>> round(float(kernel[kernel != 0].std()), 3)
        0.01
    """

    def __init__(self, mean=0.0, std=1.0, sparse=-1, seed=None) -> None:
        if not std >= 0 or sparse < -1:
            raise ValueError(
                "Expected `std` of at least 0 and `sparse` of at least -1; received: "
                f"{std} and {sparse}."
            )
        super().__init__(mean, std, seed)
        self.std, self.sparse = std, sparse

    def __call__(self, shape, dtype=None):
        values = super().__call__(shape, dtype)
        if self.sparse == -1:
            return values
        outputs = shape[-1] if len(shape) else 1
        if self.sparse > outputs:
            raise ValueError(
                f"Expected `sparse` of at most {outputs} outputs, as the shape "
                f"{tuple(shape)} has; received: {self.sparse}."
            )
        # With the same integer, what is kept would depend on what was drawn.
        seed = self.seed + 1 if isinstance(self.seed, int) else self.seed
        kept = keras.random.uniform(shape, seed=seed) < self.sparse / outputs
        return values * ops.cast(kept, values.dtype)

    def get_config(self):
        seed = super().get_config()["seed"]
        own = {"mean": self.mean, "std": self.std, "sparse": self.sparse}
        return {**own, "seed": seed}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class PositiveUnitball(keras.initializers.RandomUniform):
    """Draw from 0 to 1 and divide so that each output's weights sum to 1.

    Caffe's `positive_unitball` filler.

    Args:
        seed: See above.

    Example:
        >>> kernel = np.asarray(kcz.training.PositiveUnitball(seed=1)((4, 3)))
        >>> kernel.sum(axis=0).round(5).tolist(), bool((kernel >= 0).all())
        ([1.0, 1.0, 1.0], True)
    """

    def __init__(self, seed=None) -> None:
        super().__init__(0.0, 1.0, seed)

    def __call__(self, shape, dtype=None):
        if len(shape) < 2:  # one weight each
            return ops.ones(shape, dtype)
        values = super().__call__(shape, dtype)
        axes = tuple(range(len(shape) - 1))
        return values / ops.sum(values, axis=axes, keepdims=True)

    def get_config(self):
        return {"seed": super().get_config()["seed"]}


class _ByFan(keras.initializers.VarianceScaling):
    """Draw with a variance that the numbers of inputs and outputs decide."""

    scale_of_variance = 1.0
    shape_of_distribution = "uniform"

    def __init__(self, variance_norm="fan_in", seed=None) -> None:
        if variance_norm not in _MODES:
            raise ValueError(
                f"Expected `variance_norm` of {VARIANCE_NORMS}; received: "
                f"{variance_norm!r}."
            )
        scale, distribution = self.scale_of_variance, self.shape_of_distribution
        super().__init__(scale, _MODES[variance_norm], distribution, seed=seed)
        self.variance_norm = variance_norm

    def __call__(self, shape, dtype=None):
        # To Caffe, a vector's values are outputs of one input each.
        kernel = (1,) * (2 - len(shape)) + tuple(shape)
        return ops.reshape(super().__call__(kernel, dtype), shape)

    def get_config(self):
        seed = super().get_config()["seed"]
        return {"variance_norm": self.variance_norm, "seed": seed}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class Xavier(_ByFan):
    """Draw uniformly from `-sqrt(3 / n)` to `sqrt(3 / n)`, Caffe's `xavier` filler.

    Args:
        variance_norm: What n is: `"fan_in"`, the number of weights of an output;
            `"fan_out"`, of an input; `"average"`, of both on average.
        seed: See above.

    Reference:
        Glorot and Bengio, 2010, whose own is `"average"`.

    Example:
        >>> kernel = np.asarray(kcz.training.Xavier(seed=1)((5, 5, 12, 40)))
        >>> round(float(np.abs(kernel).max()), 3)  # sqrt(3 / 300): 5 x 5 x 12 come in
        0.1
        >>> kernel = kcz.training.Xavier("fan_out", seed=1)((5, 5, 120, 3))
        >>> round(float(np.abs(kernel).max()), 3)  # sqrt(3 / 75)
        0.2
    """


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class MSRA(_ByFan):
    """Draw from a normal distribution of the variance `2 / n`, Caffe's `msra` filler.

    Args:
        variance_norm: What n is, as of `Xavier`.
        seed: See above.

    Reference:
        He et al., 2015.

    Example:
        >>> kernel = np.asarray(kcz.training.MSRA(seed=1)((5, 5, 8, 100)))
        >>> round(float(kernel.std()), 2)  # sqrt(2 / 200): 5 x 5 x 8 come in
        0.1
    """

    scale_of_variance = 2.0
    shape_of_distribution = "untruncated_normal"


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class Bilinear(keras.initializers.Initializer):
    """Make a transposed convolution interpolate, Caffe's `bilinear` filler.

    From each channel of a group to each: for a layer with as many groups as channels,
    and a kernel of twice the stride.

    Raises:
        ValueError: If the kernel is not of four axes, or its window not square.

    Example:
        >>> kernel = np.asarray(kcz.training.Bilinear()((4, 4, 1, 1)))
        >>> (16 * kernel[:, :, 0, 0]).tolist()
        [[1.0, 3.0, 3.0, 1.0], [3.0, 9.0, 9.0, 3.0],
         [3.0, 9.0, 9.0, 3.0], [1.0, 3.0, 3.0, 1.0]]
    """

    def __call__(self, shape, dtype=None):
        if len(shape) != 4 or shape[0] != shape[1]:
            raise ValueError(
                "Expected a kernel of four axes with a square window; received (Keras "
                f"layout): {tuple(shape)}."
            )
        window = bilinear_window(*shape[:2])[:, :, None, None]
        return ops.convert_to_tensor(np.broadcast_to(window, shape), dtype)

    def get_config(self):
        return {}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class Diagonal(keras.initializers.Initializer):
    """Make each output its input times a number, FlowNet2's `diagonal` filler.

    Over a window it is that times the mean.

    Args:
        values: The numbers of the first outputs; others have 1.
    """

    def __init__(self, values=()) -> None:
        self.values = tuple(float(value) for value in values)

    def __call__(self, shape, dtype=None):
        *window, inputs, outputs = shape
        count = min(inputs, outputs)
        values = np.ones(count, "float32")
        values[: len(self.values)] = self.values[:count]
        matrix = np.zeros((inputs, outputs), "float32")
        matrix[range(count), range(count)] = values / np.prod(window, dtype="float32")
        return ops.convert_to_tensor(np.broadcast_to(matrix, shape), dtype)

    def get_config(self):
        return {"values": self.values}
