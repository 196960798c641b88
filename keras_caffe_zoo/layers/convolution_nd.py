"""Convolution over any number of axes, and over any of a blob's."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.windows import convolved_size, deconvolved_size
from keras_caffe_zoo.layers._blobs import BlobLayer, known_axis
from keras_caffe_zoo.layers._windows import beside_zeros, fitted
from keras_caffe_zoo.layers.deconvolution import deconvolve


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeConvND(BlobLayer):
    """Convolution of a blob that is not (N, C, H, W) with channels at axis 1.

    Caffe's `Convolution` and `Deconvolution` layers take the axis `axis` for the
    channels, those before it for items, and slide over those after it, none to three.
    Blobs are in Caffe's order of axes; a 4-D tensor is channels last outside.

    Args:
        filters: Number of output channels (`num_output`).
        kernel_size: One number for each axis that it slides over.
        strides: Likewise, or `None` for 1.
        pad: Likewise, or `None` for 0.
        dilation_rate: Likewise, or `None` for 1.
        groups: Number of groups; contiguous blocks of channels.
        axis: The channels' axis, counted as Caffe does.
        transposed: Whether it is a `Deconvolution`.
        use_bias: Whether to add a bias (`bias_term`).
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    The kernel is `(*window, C / groups, filters)`, transposed `(*window, filters /
    groups, C)`.

    Raises:
        ValueError: If the input does not fit.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeConvND
        >>> signal = np.array([[[0.0, 1.0, 4.0, 9.0]]])  # (N, C, T)
        >>> layer = CaffeConvND(1, (2,), use_bias=False)
        >>> layer.build(signal.shape)
        >>> layer.set_weights([np.array([-1.0, 1.0]).reshape(2, 1, 1)])
        >>> np.asarray(layer(signal)).tolist()  # what it rises by
        [[[1.0, 3.0, 5.0]]]
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=None,
        pad=None,
        dilation_rate=None,
        groups=1,
        axis=1,
        transposed=False,
        use_bias=True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.groups, self.axis = int(filters), int(groups), int(axis)
        self.kernel_size = tuple(kernel_size)
        self.rank = len(self.kernel_size)
        self.strides = tuple(strides or (1,) * self.rank)
        self.pad = tuple(pad or (0,) * self.rank)
        self.dilation_rate = tuple(dilation_rate or (1,) * self.rank)
        self.transposed, self.use_bias = bool(transposed), bool(use_bias)
        if self.rank > 3:
            raise ValueError(
                "Expected a convolution over at most three axes; received: "
                f"kernel_size={self.kernel_size}."
            )

    def build(self, input_shape):
        shape = (
            input_shape
            if len(input_shape) != 4
            else [input_shape[i] for i in (0, 3, 1, 2)]
        )
        channels = shape[self._axis(len(shape))]
        if channels is None or channels % self.groups or self.filters % self.groups:
            raise ValueError(
                f"Expected channels and `filters` that {self.groups} groups divide, "
                f"for layer '{self.name}'; received: {channels} and {self.filters}."
            )
        ends = (channels // self.groups, self.filters)
        if self.transposed:
            ends = (self.filters // self.groups, channels)
        self.kernel = self.add_weight((*self.kernel_size, *ends), name="kernel")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((self.filters,), "zeros", name="bias")
        self.built = True

    def _axis(self, rank):
        axis = known_axis(self.axis, rank, self.name)
        if rank - axis - 1 != self.rank:
            raise ValueError(
                f"Expected a blob with {self.rank} axes after axis {axis} for layer "
                f"'{self.name}'; received one with {rank} axes."
            )
        return axis

    def compute(self, blobs):
        axis = self._axis(len(blobs.shape))
        sizes = ops.shape(blobs)
        window = list(sizes[axis + 1 :]) or [1]
        x = ops.reshape(blobs, [-1, blobs.shape[axis], *window])
        x = self._filter(ops.moveaxis(x, 1, -1))
        if self.bias is not None:
            x = ops.add(x, self.bias)
        x = ops.moveaxis(x, -1, 1)
        after = list(ops.shape(x)[2:]) if self.rank else []
        return ops.reshape(x, [*sizes[:axis], self.filters, *after])

    def _filter(self, x):
        kernel = ops.convert_to_tensor(self.kernel)
        if not self.rank:
            kernel = ops.expand_dims(kernel, 0)
        strides, pad = self.strides or (1,), self.pad or (0,)
        dilation = self.dilation_rate or (1,)
        if self.transposed:
            return deconvolve(x, kernel, strides, pad, dilation, self.groups)
        windows = zip(kernel.shape[:-2], strides, pad, dilation, strict=True)
        x, strides = fitted(x, 1, windows)
        parts = zip(
            ops.split(x, self.groups, axis=-1),
            ops.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        outputs = [self._convolve(*part, strides, dilation) for part in parts]
        return ops.concatenate(outputs, axis=-1) if self.groups > 1 else outputs[0]

    def _convolve(self, x, kernel, strides, dilation):
        # Not every backend has strides and dilation at once.
        strided = max(strides) > 1 and max(dilation) > 1
        y = ops.conv(
            *beside_zeros(x, kernel, strides),
            strides=1 if strided else strides,
            padding="valid",
            data_format="channels_last",
            dilation_rate=dilation,
        )
        if not strided:
            return y
        return y[(slice(None), *(slice(None, None, s) for s in strides))]

    def blob_shape(self, shapes):
        axis = self._axis(len(shapes))
        size = deconvolved_size if self.transposed else convolved_size
        sizes = [
            size(*window, self.name)
            for window in zip(
                shapes[axis + 1 :],
                self.kernel_size,
                self.strides,
                self.pad,
                self.dilation_rate,
                strict=True,
            )
        ]
        return (*shapes[:axis], self.filters, *sizes)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "pad": self.pad,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "axis": self.axis,
            "transposed": self.transposed,
            "use_bias": self.use_bias,
        }
