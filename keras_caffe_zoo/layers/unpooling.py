"""Values put back where a max pooling found them."""

import keras
from keras import ops

from keras_caffe_zoo.layers._windows import known_shape, pair

_MANY = 24  # bits: a float32 tells no places of larger maps apart


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeUnpool(keras.layers.Layer):
    """Put each value where its mask says, and zeros everywhere else.

    The inputs are values and their mask, of one shape: the place `row * width + column`
    of each value in the output, such as the second output of `CaffeMaxPool2DWithMask`.
    The output has `scale` times as many rows and columns, less one row or column where
    `pad_out` says so; or the rows and columns of `size`.

    Of several values with the same place, the last in the order of rows and columns
    stays; like Caffe's, the gradient of the place is that of all of them. A value whose
    place lies outside the output, where Caffe aborts, is left out.

    Args:
        scale: An integer or `(height, width)`.
        size: `(height, width)` of the output, in place of `scale`.
        pad_out: Whether there is one row, one column less.
        distinct: Whether all places of a mask differ, as those of windows that do not
            overlap: that takes less time.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Two of `(N, H, W, C)`; N, H and W may be unknown.

    Raises:
        ValueError: On values and a mask of different shapes, or on scales or sizes
            below 1.

    Reference:
        SegNet's `Upsample`, ENet's too.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeUnpool
        >>> values, mask = np.full((2, 1, 1, 1, 1), 2.0)  # place 2: row 1, column 0
        >>> np.asarray(CaffeUnpool()([values, mask]))[0, :, :, 0].tolist()
        [[0.0, 0.0], [2.0, 0.0]]
    """

    def __init__(
        self, scale=2, size=None, pad_out=(False, False), distinct=False, **kwargs
    ) -> None:
        # A mask of half precision would tell other places.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        self.scale = pair(scale, "scale", minimum=1)
        self.size = None if size is None else pair(size, "size", minimum=1)
        self.pad_out = tuple(map(bool, pad_out))
        self.distinct = bool(distinct)

    def call(self, inputs):
        values, mask = inputs
        shapes = [known_shape(values), known_shape(mask)]
        rows, columns, channels = self.compute_output_shape(shapes)[1:]
        values = ops.cast(values, self.compute_dtype)
        items, height, width = (ops.shape(values)[i] for i in range(3))
        rows = self._new_size(height, 0) if rows is None else rows
        columns = self._new_size(width, 1) if columns is None else columns
        inside = ops.logical_and(mask >= 0, mask < ops.cast(rows * columns, mask.dtype))
        place = ops.cast(ops.where(inside, mask, 0), "int32")
        first = ops.reshape(
            ops.arange(items, dtype="int32") * (rows * columns), (-1, 1, 1, 1)
        )
        channel = ops.arange(channels, dtype="int32")
        places = (place + first) * channels + channel
        count = items * rows * columns * channels
        if self.distinct:
            flat = _scattered(places, values, inside, count)
        else:
            flat = _with_the_last(places, inside, count)(values)
        return ops.reshape(flat[:-1], (items, rows, columns, channels))

    def _new_size(self, size, axis):
        if self.size is not None:
            return self.size[axis]
        return size * self.scale[axis] - int(self.pad_out[axis])

    def compute_output_shape(self, input_shape):
        values, mask = map(tuple, input_shape)
        alike = len(values) == len(mask) == 4 and all(
            None in (a, b) or a == b for a, b in zip(values, mask, strict=True)
        )
        if not alike:
            raise ValueError(
                f"Expected values and a mask of one shape for layer '{self.name}'; "
                f"received: {values} and {mask}."
            )
        sizes = [
            None if size is None and self.size is None else self._new_size(size, axis)
            for axis, size in enumerate(values[1:3])
        ]
        return (values[0], *sizes, values[3])

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape([x.shape for x in inputs])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "size": self.size,
            "pad_out": self.pad_out,
            "distinct": self.distinct,
        }


def _with_the_last(places, inside, count):
    """Return what scatters values of which some share a place, with Caffe's gradient.

    To Caffe each value has the gradient of its place, whether it stays or not.
    """

    @ops.custom_gradient
    def scattered(values):
        stays = _last(places, inside, count)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return ops.where(inside, ops.take(upstream, places), 0.0)

        return _scattered(places, values, stays, count), gradient

    return scattered


def _last(places, inside, count):
    """Tell of each value whether no later one has its place.

    Values with the same place compare their numbers, from the highest bit down: those
    without a bit that another one has are out.
    """
    height, width = known_shape(places)[1:3]
    bits = _MANY
    if None not in (height, width):
        bits = (height * width - 1).bit_length()
    height, width = ops.shape(places)[1:3]
    number = ops.arange(height * width, dtype="int32")
    number = ops.reshape(number, (1, height, width, 1))
    stays = inside
    for bit in reversed(range(bits)):
        has = ops.logical_and(stays, number // 2**bit % 2 == 1)
        found = _scattered(places, ops.ones_like(places), has, count)
        beaten = ops.logical_and(ops.take(found, places) > 0, ops.logical_not(has))
        stays = ops.logical_and(stays, ops.logical_not(beaten))
    return stays


def _scattered(places, values, stays, count):
    """Return `count` zeros and one more, those values that stay at their places.

    The others lie one upon the other in the last. (Keras can also add values up, but
    PyTorch does that one by one.)
    """
    places = ops.reshape(ops.where(stays, places, count), (-1, 1))
    zeros = ops.zeros((count + 1,), values.dtype)
    return ops.scatter_update(zeros, places, ops.reshape(values, (-1,)))
