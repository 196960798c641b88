"""Transposed convolution with Caffe's padding, groups and dilation."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.windows import deconvolved_size
from keras_caffe_zoo.layers._windows import data_format as checked_format
from keras_caffe_zoo.layers._windows import known_shape, pair


def deconvolve(inputs, kernel, strides, pad, dilation, groups):
    """Return a transposed convolution of a channels-last tensor of any rank.

    Each input value adds its multiple of the kernel to the output, `strides` apart;
    then `pad` values are cut off each border. The output's size is
    `stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad`.

    Args:
        inputs: (N, *sizes, C).
        kernel: (*window, filters / groups, C).
        strides: One for each axis of the window.
        pad: Likewise.
        dilation: Likewise.
        groups: Number of groups, contiguous blocks of channels.
    """
    rank = len(strides)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel.shape, dilation, strict=False)]
    if groups == inputs.shape[-1] and groups > 1 and rank == 2:
        outputs = _depthwise(inputs, kernel, strides, dilation, reach)
    else:
        kernel = _with_zeros(kernel, dilation, axis=0)
        # Keras makes more output than the kernel reaches if it is shorter than a
        # stride; with zeros at its end it is not.
        longer = [max(s - r, 0) for s, r in zip(strides, reach, strict=True)]
        if any(longer):
            kernel = ops.pad(kernel, [*((0, n) for n in longer), (0, 0), (0, 0)])
        outputs = _by_group(inputs, kernel, strides, groups)
        if any(longer):
            outputs = _cut(outputs, [0] * rank, longer)
    return _cut(outputs, pad, pad) if any(pad) else outputs


def _by_group(inputs, kernel, strides, groups):
    options = {"padding": "valid", "data_format": "channels_last"}
    strides = tuple(strides)
    if groups == 1:
        if inputs.shape[-1] == 1 and keras.config.backend() == "torch":
            kernel = _laid_out_as_torch_does(kernel)
        return ops.conv_transpose(inputs, kernel, strides, **options)
    parts = zip(
        ops.split(inputs, groups, axis=-1),
        ops.split(kernel, groups, axis=-1),
        strict=True,
    )
    outputs = [ops.conv_transpose(x, k, strides, **options) for x, k in parts]
    return ops.concatenate(outputs, axis=-1)


def _laid_out_as_torch_does(kernel):
    """Return a kernel in (C, filters, *window) order of memory.

    PyTorch has no gradient of one that only looks so, if it has one input channel.
    """
    there = [*range(len(kernel.shape))]
    there = [*there[:-3:-1], *there[:-2]]
    back = sorted(there, key=lambda axis: there[axis])
    turned = ops.transpose(kernel, there)
    flat = ops.reshape(turned, (-1,))
    return ops.transpose(ops.reshape(flat, turned.shape), back)


def _depthwise(inputs, kernel, strides, dilation, reach):
    """One input channel a group: a depthwise convolution of the spread-out input."""
    spread = _with_zeros(inputs, strides, axis=1)
    borders = [(r - 1, r - 1) for r in reach]
    spread = ops.pad(spread, [(0, 0), *borders, (0, 0)])
    kernel = ops.transpose(kernel, (0, 1, 3, 2))
    kernel = ops.flip(ops.flip(kernel, 0), 1)  # OpenVINO knows one axis at a time
    return ops.depthwise_conv(
        spread,
        kernel,
        padding="valid",
        data_format="channels_last",
        dilation_rate=tuple(dilation),
    )


def _with_zeros(x, steps, axis):
    """Return `x` with `step - 1` zeros between neighbours of the axes from `axis`."""
    for step in steps:
        if step > 1:
            shape = [ops.shape(x)[i] for i in range(len(x.shape))]
            widths = [(0, 0)] * (len(shape) + 1)
            widths[axis + 1] = (0, step - 1)
            x = ops.pad(ops.expand_dims(x, axis + 1), widths)
            shape[axis] = shape[axis] * step
            x = ops.reshape(x, shape)
            index = [slice(None)] * len(shape)
            index[axis] = slice(0, shape[axis] - (step - 1))
            x = x[tuple(index)]
        axis += 1
    return x


def _cut(x, before, after):
    sizes = ops.shape(x)
    index = [slice(None)]
    for i, (first, last) in enumerate(zip(before, after, strict=True), 1):
        index.append(slice(first, sizes[i] - last))
    return x[tuple(index)]


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeDeconv2D(keras.layers.Layer):
    """Transposed 2D convolution as Caffe's `Deconvolution` layer computes it.

    `keras.layers.Conv2DTranspose` has neither groups nor padding in pixels; FCNs
    upsample with one group for each class.

    Args:
        filters: Number of output channels (`num_output`).
        kernel_size: Pixels, an integer or `(height, width)`.
        strides: Pixels, an integer or `(height, width)`.
        pad: Pixels cut off each border, an integer or `(height, width)`.
        dilation_rate: An integer or `(height, width)`; goes with any stride.
        groups: Number of groups; contiguous blocks of channels, as in Caffe.
        use_bias: Whether to add a bias (`bias_term`).
        kernel_initializer: As in `keras.layers.Conv2D`.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)`, or `(N, C, H, W)` with `channels_first`; H and W may be
        unknown. The kernel is `(height, width, filters / groups, C)`.

    Raises:
        ValueError: If channels or filters do not divide into the groups.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeDeconv2D
        >>> layer = CaffeDeconv2D(1, (1, 3), strides=2, kernel_initializer="ones")
        >>> x = np.array([10.0, 1.0]).reshape(1, 1, 2, 1)
        >>> np.asarray(layer(x))[0, :, :, 0].tolist()  # the kernel twice, 2 apart
        [[10.0, 10.0, 11.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        pad=0,
        dilation_rate=1,
        groups=1,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        data_format=None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.groups = int(filters), int(groups)
        self.kernel_size = pair(kernel_size, "kernel_size", minimum=1)
        self.strides = pair(strides, "strides", minimum=1)
        self.pad = pair(pad, "pad", minimum=0)
        self.dilation_rate = pair(dilation_rate, "dilation_rate", minimum=1)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.data_format = checked_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        if channels is None or channels % self.groups or self.filters % self.groups:
            raise ValueError(
                f"Expected channels and `filters` that {self.groups} groups divide, "
                f"for layer '{self.name}'; received: {channels} and {self.filters}."
            )
        self.kernel = self.add_weight(
            (*self.kernel_size, self.filters // self.groups, channels),
            self.kernel_initializer,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((self.filters,), "zeros", name="bias")
        self.built = True

    def call(self, inputs):
        self.compute_output_shape(known_shape(inputs))  # raises if nothing is left
        first = self.data_format == "channels_first"
        outputs = deconvolve(
            ops.transpose(inputs, (0, 2, 3, 1)) if first else inputs,
            ops.convert_to_tensor(self.kernel),
            self.strides,
            self.pad,
            self.dilation_rate,
            self.groups,
        )
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return ops.transpose(outputs, (0, 3, 1, 2)) if first else outputs

    def compute_output_shape(self, input_shape):
        last = self.data_format == "channels_last"
        sizes = input_shape[1:3] if last else input_shape[2:4]
        window = (self.kernel_size, self.strides, self.pad, self.dilation_rate)
        sizes = [
            deconvolved_size(*axis, self.name)
            for axis in zip(sizes, *window, strict=True)
        ]
        channels = (self.filters,)
        return (input_shape[0], *(sizes + [*channels] if last else [*channels, *sizes]))

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "pad": self.pad,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "data_format": self.data_format,
        }
