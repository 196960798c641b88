"""What the layers share that make maps of other sizes: weights of old pixels."""

import keras
from keras import ops


def as_float(size):
    """Return a size as the float32 that Caffe computes with."""
    return ops.cast(ops.convert_to_tensor(size), "float32")


def counted(size):
    return ops.cast(ops.arange(size), "float32")


def triangle(x):
    return ops.maximum(1.0 - ops.abs(x), 0.0)


def distances(centres, size):
    """Return how far each pixel is before each centre, (centres, pixels)."""
    return ops.expand_dims(centres, 1) - ops.expand_dims(counted(size), 0)


def weighed(x, rows, columns):
    """Return sums of a map's pixels by weights of (new, old) rows and columns."""
    rows, columns = ops.cast(rows, x.dtype), ops.cast(columns, x.dtype)
    _, height, width, channels = ops.shape(x)
    x = ops.matmul(rows, ops.reshape(x, (-1, height, width * channels)))
    x = ops.reshape(x, (-1, ops.shape(rows)[0], width, channels))
    return ops.matmul(columns, x)


def checked_size(height, width):
    """Return both as integers, or neither."""
    if (height is None) != (width is None) or (
        height is not None and min(int(height), int(width)) < 1
    ):
        raise ValueError(
            "Expected `height` and `width` to be positive, or neither; received: "
            f"height={height}, width={width}."
        )
    return (None, None) if height is None else (int(height), int(width))


class Sized(keras.layers.Layer):
    """A layer that makes maps of a size, or of that of its last input.

    Args:
        height: Rows; `None` where an input tells.
        width: Columns; likewise.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.
    """

    def __init__(self, height=None, width=None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.height, self.width = checked_size(height, width)

    def sizes(self, reference):
        """Return rows and columns, those of a map if there is one."""
        if reference is None:
            return self.height, self.width
        return ops.shape(reference)[1:3]

    def get_config(self):
        return {**super().get_config(), "height": self.height, "width": self.width}
