"""Convolution with Caffe's explicit padding and fast groups."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.windows import convolved_size
from keras_caffe_zoo.layers._windows import beside_zeros, fitted, known_shape, pair

_WIDE = 1000  # filters; from here on the copies of `_multiply` pay for themselves


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeConv2D(keras.layers.Conv2D):
    """2D convolution as Caffe's `Convolution` layer computes it.

    A `keras.layers.Conv2D` whose padding is a number of pixels: each border
    gets exactly `pad` zeros, top and bottom alike, and the output size is
    `(size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1`, the fraction dropped
    towards zero: a kernel that lacks fewer pixels than a stride sees zeros there.
    (`padding="same"` pads unevenly when the stride is above 1.)

    Groups are computed one after another, each fused with its bias and ReLU:
    on CPU a training step takes about a third of the time that the grouped
    convolution of the backend takes.

    Args:
        filters: Number of output channels (`num_output`).
        kernel_size: Pixels, an integer or `(height, width)`.
        strides: Pixels, an integer or `(height, width)`.
        pad: Zeros on each border in pixels, an integer or `(height, width)`.
        data_format: `"channels_last"` or `"channels_first"`.
        dilation_rate: An integer or `(height, width)`; goes with any stride.
        groups: Number of groups; contiguous blocks of channels, as in Caffe.
        activation: As in `keras.layers.Conv2D`.
        use_bias: As in `keras.layers.Conv2D` (`bias_term`).
        **kwargs: Initializers, regularizers, constraints, `name`, `dtype`, …
            of `keras.layers.Conv2D`; `padding` is not among them.

    Input shape:
        `(N, H, W, C)`, or `(N, C, H, W)` with `channels_first`; H and W may be
        unknown.

    Raises:
        ValueError: On a negative `pad`, or an input without a window.

    Example:
        >>> layer = kcz.CaffeConv2D(
        ...     1, kernel_size=3, strides=2, pad=1, kernel_initializer="ones"
        ... )
        >>> x = np.ones((1, 4, 4, 1))
        >>> np.asarray(layer(x))[0, :, :, 0].tolist()  # how many pixels each window has
        [[4.0, 6.0], [6.0, 9.0]]
        >>> same = keras.layers.Conv2D(
        ...     1, kernel_size=3, strides=2, padding="same", kernel_initializer="ones"
        ... )
        >>> np.asarray(same(x))[0, :, :, 0].tolist()  # pads at the end alone
        [[9.0, 6.0], [6.0, 4.0]]
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        pad=0,
        data_format=None,
        dilation_rate=1,
        groups=1,
        activation=None,
        use_bias=True,
        **kwargs,
    ) -> None:
        if kwargs.pop("padding", "valid") != "valid":
            raise ValueError(
                "Expected the padding in pixels, `pad=…`; received: `padding`. "
                "CaffeConv2D pads every border by exactly `pad` zeros."
            )
        super().__init__(
            filters,
            kernel_size,
            data_format=data_format,
            groups=groups,
            activation=activation,
            use_bias=use_bias,
            **kwargs,
        )
        # Keras refuses strides together with dilation; Caffe does not.
        self.strides = pair(strides, "strides", minimum=1)
        self.dilation_rate = pair(dilation_rate, "dilation_rate", minimum=1)
        self.pad = pair(pad, "pad", minimum=0)

    def call(self, inputs):
        self.compute_output_shape(known_shape(inputs))  # raises if it is too small
        inputs, steps = self._pad(inputs)
        # A lower-precision layer computes in its own type throughout.
        kernel, bias = self.kernel, self.bias
        if self.groups == 1:
            outputs = self._filter(inputs, kernel, bias, steps)
        else:
            outputs = self._filter_groups(inputs, kernel, bias, steps)
        if self.activation is None or self._fuses_activation:
            return outputs
        return self.activation(outputs)

    @property
    def _fuses_activation(self):
        # ReLU knows no neighbours, so it may be taken group by group, where
        # TensorFlow merges convolution, bias and ReLU into one kernel.
        return self.activation is keras.activations.relu

    @property
    def _channel_axis(self):
        return -1 if self.data_format == "channels_last" else 1

    def _pad(self, inputs):
        """Return the padded inputs and (strides, padding) left for the convolution."""
        reach = [
            rate * (size - 1)
            for rate, size in zip(self.dilation_rate, self.kernel_size, strict=True)
        ]
        even = all(2 * pad == size for pad, size in zip(self.pad, reach, strict=True))
        if self.strides == (1, 1) and any(self.pad) and even:
            # Even on both sides here, and without a copy.
            return inputs, (self.strides, "same")
        if any(self.pad) and self._is_same(known_shape(inputs)[self._sizes]):
            return inputs, (self.strides, "same")
        windows = zip(*self._geometry, strict=True)
        inputs, strides = fitted(inputs, self._sizes.start, windows)
        return inputs, (strides, "valid")

    def _is_same(self, sizes) -> bool:
        """Tell whether windows of images of a size stand as `padding="same"` has them.

        That splits what the windows need beyond the image, which depends on its size.
        """
        plain = self.dilation_rate == (1, 1) and len(set(self.strides)) == 1
        if None in sizes or not plain:
            return False
        for size, kernel, stride, pad in zip(
            sizes, self.kernel_size, self.strides, self.pad, strict=True
        ):
            count = -(-size // stride)
            beyond = max((count - 1) * stride + kernel - size, 0)
            ours = convolved_size(size, kernel, stride, pad, 1, self.name)
            if (count, beyond // 2) != (ours, pad):
                return False
        return True

    def _filter(self, inputs, kernel, bias, steps):
        if self._is_inner_product:
            return self._multiply(inputs, kernel, bias)
        return self._finish(self._convolve(inputs, kernel, *steps), bias)

    def _finish(self, outputs, bias):
        if bias is not None and self.data_format == "channels_last":
            outputs = ops.add(outputs, bias)  # TensorFlow's bias_add, which it fuses
        elif bias is not None:
            # `ops.add` takes the width for the channels where both are equal.
            outputs = outputs + ops.reshape(bias, (-1, 1, 1))
        return self.activation(outputs) if self._fuses_activation else outputs

    def _filter_groups(self, inputs, kernel, bias, steps):
        channels = kernel.shape[2]
        if channels == 1:
            return self._filter(inputs, kernel, bias, steps)
        parts = zip(
            ops.split(inputs, self.groups, axis=self._channel_axis),
            ops.split(kernel, self.groups, axis=-1),
            [None] * self.groups if bias is None else ops.split(bias, self.groups),
            strict=True,
        )
        outputs = [self._filter(*part, steps) for part in parts]
        return ops.concatenate(outputs, axis=self._channel_axis)

    @property
    def _is_inner_product(self):
        """Whether this is an inner product at every place, as fc6 becomes on a map."""
        once = (self.strides, self.dilation_rate, self.pad) == ((1, 1), (1, 1), (0, 0))
        wide = self.filters >= _WIDE and self.groups == 1
        last = self.data_format == "channels_last"
        return once and wide and last and keras.config.backend() == "tensorflow"

    def _multiply(self, inputs, kernel, bias):
        """Return the convolution as one product of all windows, laid out as rows.

        On CPU it takes half of the time that TensorFlow's convolution takes on fc6; of
        rows, TensorFlow merges product, bias and ReLU.
        """
        height, width = self.kernel_size
        parts = [
            inputs[:, i : i - height + 1 or None, j : j - width + 1 or None]
            for i in range(height)
            for j in range(width)
        ]
        windows = ops.concatenate(parts, axis=-1) if len(parts) > 1 else inputs
        kernel = ops.reshape(kernel, (-1, self.filters))
        rows = ops.matmul(ops.reshape(windows, (-1, kernel.shape[0])), kernel)
        sizes = ops.shape(windows)[:3]
        return ops.reshape(self._finish(rows, bias), (*sizes, self.filters))

    def _convolve(self, inputs, kernel, strides, padding):
        strided = max(strides) > 1 and max(self.dilation_rate) > 1
        options = {
            "strides": 1 if strided else strides,
            "padding": padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }
        if self.groups > 1 and kernel.shape[2] == 1:
            # One input channel a group: depthwise, (kh, kw, C, multiplier).
            shape = (*kernel.shape[:2], self.groups, kernel.shape[3] // self.groups)
            if not strided and strides[0] != strides[1]:
                options["strides"], strided = 1, True  # depthwise wants them equal
            outputs = ops.depthwise_conv(inputs, ops.reshape(kernel, shape), **options)
        else:
            channels = beside_zeros(inputs, kernel, strides, self._channel_axis)
            outputs = ops.conv(*channels, **options)
        if not strided:
            return outputs
        rows, columns = strides
        if self.data_format == "channels_last":
            return outputs[:, ::rows, ::columns]
        return outputs[:, :, ::rows, ::columns]

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        shape[self._channel_axis] = self.filters
        names = [self.name] * 2, ("height", "width")
        shape[self._sizes] = map(
            convolved_size, shape[self._sizes], *self._geometry, *names
        )
        return tuple(shape)

    @property
    def _sizes(self):
        return slice(1, 3) if self.data_format == "channels_last" else slice(2, 4)

    @property
    def _geometry(self):
        return self.kernel_size, self.strides, self.pad, self.dilation_rate

    def get_config(self):
        config = super().get_config()
        del config["padding"]
        return {**config, "pad": self.pad}
