"""How alike two maps are at each place, for shifts of one against the other."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.windows import correlated_size
from keras_caffe_zoo.layers._windows import known_shape


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeCorrelation(keras.layers.Layer):
    """Compare windows of two maps at many shifts, as FlowNet's `Correlation` does.

    With a reach of `r = max_displacement // displacement_stride`, channel
    `(v + r) * (2 * r + 1) + u + r` is the mean, over the window and the channels, of
    the product of the first map and the second, which is taken `u *
    displacement_stride` columns further right and `v * displacement_stride` rows
    further down. Both maps have `pad` zeros on each border.

    Args:
        kernel_size: Rows and columns of a window, an odd number.
        max_displacement: Pixels that shifts reach, and that windows keep from the
            padded border.
        pad: Zeros on each border.
        strides: Pixels from one window to the next.
        displacement_stride: Pixels from one shift to the next.
        subtract: Take `|a - b|` instead of `a * b`.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Two tensors `(N, H, W, C)` of the same shape; N, H and W may be unknown.

    Raises:
        ValueError: On an even kernel, or maps that no window fits into.

    Reference:
        The layer of that name in FlowNet2's Caffe, whose `do_abs` changes nothing.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeCorrelation
        >>> a, b = np.zeros((2, 1, 5, 5, 1))
        >>> a[0, 2, 2] = b[0, 2, 3] = 1  # moves one pixel to the right
        >>> y = CaffeCorrelation(max_displacement=1, pad=1)([a, b])
        >>> tuple(y.shape), int(np.argmax(y[0, 2, 2]))  # v is 0, u is 1
        ((1, 5, 5, 9), 5)
    """

    def __init__(
        self,
        kernel_size=1,
        max_displacement=0,
        pad=0,
        strides=1,
        displacement_stride=1,
        subtract=False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = int(kernel_size)
        self.max_displacement, self.pad = int(max_displacement), int(pad)
        self.strides = int(strides)
        self.displacement_stride = int(displacement_stride)
        self.subtract = bool(subtract)
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(
                "Expected `kernel_size` to be odd and positive; received: "
                f"kernel_size={kernel_size}."
            )
        if min(self.max_displacement, self.pad) < 0:
            raise ValueError(
                "Expected `max_displacement` and `pad` of at least 0; received: "
                f"max_displacement={max_displacement}, pad={pad}."
            )
        if min(self.strides, self.displacement_stride) < 1:
            raise ValueError(
                "Expected `strides` and `displacement_stride` to be positive; received:"
                f" strides={strides}, displacement_stride={displacement_stride}."
            )

    @property
    def reach(self) -> int:
        """Shifts on each side of none."""
        return self.max_displacement // self.displacement_stride

    def call(self, inputs):
        first, second = inputs
        shapes = [known_shape(first), known_shape(second)]
        self.compute_output_shape(shapes)  # raises if no window fits
        widths = [(0, 0), (self.pad, self.pad), (self.pad, self.pad), (0, 0)]
        first, second = (ops.pad(x, widths) if self.pad else x for x in (first, second))
        height, width = ops.shape(first)[1:3]
        start = self.max_displacement
        first = first[:, start : height - start, start : width - start]
        compare = self._differences if self.subtract else self._products
        rows = height - 2 * start
        margin = start - self.reach * self.displacement_stride
        second = second[:, margin : height - margin, margin : width - margin]
        shifts = [
            compare(first, second[:, top : top + rows])
            for top in range(
                0,
                2 * self.reach * self.displacement_stride + 1,
                self.displacement_stride,
            )
        ]
        alike = ops.concatenate(shifts, -1) if len(shifts) > 1 else shifts[0]
        alike = alike / first.shape[-1]
        if (self.kernel_size, self.strides) == (1, 1):
            return alike
        return ops.average_pool(
            alike,
            self.kernel_size,
            self.strides,
            padding="valid",
            data_format="channels_last",
        )

    def _products(self, first, second):
        """Return sums of products over the channels (N, H, W, shifts to the right).

        All columns are multiplied with all, in one matrix product for each row, and
        the band that is asked for is moved out of it: by far the fastest on a CPU.
        """
        every = ops.matmul(first, ops.swapaxes(second, -1, -2))
        rows, columns, last = ops.shape(every)[1:]
        flat = ops.reshape(every, (-1, rows, columns * last))
        # One more column in each row, and the band's diagonals stand upright.
        flat = ops.pad(flat, [(0, 0), (0, 0), (0, columns)])
        upright = ops.reshape(flat, (-1, rows, columns, last + 1))
        return upright[..., : self._last_shift + 1 : self.displacement_stride]

    def _differences(self, first, second):
        """Return sums of absolute differences over the channels, likewise."""
        starts = ops.expand_dims(ops.arange(ops.shape(first)[2]), 1)
        shifts = ops.arange(0, self._last_shift + 1, self.displacement_stride)
        seen = ops.take(second, starts + shifts, axis=2)
        return ops.sum(ops.abs(ops.expand_dims(first, 3) - seen), -1)

    @property
    def _last_shift(self):
        return 2 * self.reach * self.displacement_stride

    def compute_output_shape(self, input_shape):
        first, second = input_shape
        pairs = zip(first[1:], second[1:], strict=True)
        if any(a != b and None not in (a, b) for a, b in pairs):
            raise ValueError(
                f"Expected two maps of the same shape; received: {first} and {second}."
            )
        sizes = [a if b is None else b for a, b in zip(first, second, strict=True)]
        window = (self.kernel_size, self.max_displacement, self.pad, self.strides)
        counts = [correlated_size(size, *window, self.name) for size in sizes[1:3]]
        return (sizes[0], *counts, (2 * self.reach + 1) ** 2)

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape([x.shape for x in inputs])
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "max_displacement": self.max_displacement,
            "pad": self.pad,
            "strides": self.strides,
            "displacement_stride": self.displacement_stride,
            "subtract": self.subtract,
        }
