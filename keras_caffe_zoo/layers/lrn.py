"""Local response normalization, across channels and within them."""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.layers import _windows

_REGIONS = ("across_channels", "within_channel")
_WIDEST_BAND = 256  # channels; beyond, the product costs more than it saves


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeLRN(keras.layers.Layer):
    """Local response normalization as Caffe's `LRN` layer computes it.

    Across channels, with the sum over `local_size` neighbouring channels and
    zeros beyond the first and last:

        y = x * (k + alpha / local_size * sum(x^2)) ** -beta

    Within a channel, with the sum over a `local_size` x `local_size` window of
    pixels and zeros beyond the border. Caffe ignores `k` here, and so does this:

        y = x * (1 + alpha / local_size^2 * sum(x^2)) ** -beta

    Note that `alpha` is divided by the window's size, which
    `tf.nn.local_response_normalization` and the AlexNet paper do not do.

    Args:
        local_size: Width of the window; an odd number.
        alpha: Scale of the sum of squares.
        beta: Exponent.
        k: Offset; across channels only.
        norm_region: `"across_channels"` or `"within_channel"`.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`. In half precision
            the sum is still taken in float32, since squares overflow float16.

    Input shape:
        `(N, H, W, C)`, or `(N, C, H, W)` with `channels_first`; N, H and W may
        be unknown. The output has the same shape.

    Raises:
        ValueError: On an even or non-positive `local_size`, or an unknown region.

    Reference:
        Krizhevsky et al., 2012, section 3.3; the formulas are those of Caffe
        1.0's `LRN` layer.

    Example:
        >>> layer = kcz.CaffeLRN(local_size=3, alpha=3.0, beta=1.0)
        >>> y = layer(np.ones((1, 1, 1, 5)))
        >>> print(np.asarray(y).ravel().round(3))  # 1 / (1 + 2), 1 / (1 + 3), …
        [0.333 0.25  0.25  0.25  0.333]
    """

    def __init__(
        self,
        local_size=5,
        alpha=1.0,
        beta=0.75,
        k=1.0,
        norm_region="across_channels",
        data_format=None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(local_size, int) or local_size < 1 or local_size % 2 == 0:
            raise ValueError(
                "Expected `local_size` to be an odd positive integer; received: "
                f"local_size={local_size!r}."
            )
        if norm_region not in _REGIONS:
            raise ValueError(
                f"Expected `norm_region` to be one of {_REGIONS}; received: "
                f"norm_region={norm_region!r}."
            )
        self.local_size = local_size
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.k = float(k)
        self.norm_region = norm_region
        self.data_format = _windows.data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        wide = inputs
        if keras.backend.standardize_dtype(inputs.dtype) in ("float16", "bfloat16"):
            wide = ops.cast(inputs, "float32")
        squares = ops.square(wide)
        if self.norm_region == "across_channels":
            scale = self._sum_channels(squares) + self.k
        else:
            scale = self._sum_pixels(squares) + 1.0
        return ops.cast(wide * self._power(scale), inputs.dtype)

    def _power(self, scale):
        """Return `scale ** -beta`, without the slow `pow` where beta allows."""
        if self.beta == 0.75:
            root = ops.rsqrt(scale)
            return root * ops.sqrt(root)
        if self.beta == 0.5:
            return ops.rsqrt(scale)
        return ops.power(scale, -self.beta)

    def build(self, input_shape):
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        if channels is None:
            raise ValueError(
                f"Expected a known number of channels for layer '{self.name}'; "
                f"received: input_shape={tuple(input_shape)}."
            )
        self._band = self._band_matrix(channels)
        self.built = True

    def _band_matrix(self, channels):
        """Return the (C, C) matrix that sums neighbouring channels, or None.

        One product with it takes a third of the time of adding shifted slices,
        each a pass over memory. XLA merges such passes, and an accelerator may
        shorten the factors of a product, so on JAX the slices stay.
        """
        if (
            self.data_format != "channels_last"
            or self.norm_region != "across_channels"
            or keras.config.backend() == "jax"
            or channels > _WIDEST_BAND
        ):
            return None
        index = np.arange(channels)
        near = np.abs(index[:, None] - index) <= self.local_size // 2
        return near * (self.alpha / self.local_size)

    def _sum_channels(self, squares):
        """Return alpha / n times the sum over n neighbouring channels."""
        if self._band is not None:
            return ops.matmul(squares, ops.cast(self._band, squares.dtype))
        axis = -1 if self.data_format == "channels_last" else 1
        channels = squares.shape[axis]
        half = self.local_size // 2
        widths = [(0, 0)] * 4
        widths[axis] = (half, half)
        padded = ops.pad(squares, widths)
        window = [slice(None)] * 4
        total = 0.0
        for first in range(self.local_size):
            window[axis] = slice(first, first + channels)
            total = total + padded[tuple(window)]
        return total * (self.alpha / self.local_size)

    def _sum_pixels(self, squares):
        """Return alpha / n^2 times the sum over an n x n window of pixels."""
        channels = squares.shape[-1 if self.data_format == "channels_last" else 1]
        size = self.local_size
        kernel = np.full((size, size, channels, 1), self.alpha / size**2)
        return ops.depthwise_conv(
            squares,
            ops.cast(kernel, squares.dtype),
            padding="same",
            data_format=self.data_format,
        )

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "local_size": self.local_size,
            "alpha": self.alpha,
            "beta": self.beta,
            "k": self.k,
            "norm_region": self.norm_region,
            "data_format": self.data_format,
        }
