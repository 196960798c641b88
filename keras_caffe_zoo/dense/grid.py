"""Dense inference: what a fully convolutional net's map says about an image."""

from typing import NamedTuple

import keras

from keras_caffe_zoo.layers import CaffePool2D


class Grid(NamedTuple):
    """Where the cells of a net's map look.

    Attributes:
        window: Height and width of the image box that one cell sees, in pixels.
        stride: Pixels from one cell's box to the next's, down and across.
        offset: Pixels from the image's top left corner to the first cell's box;
            negative where it begins in the padding.
    """

    window: tuple[int, int]
    stride: tuple[int, int]
    offset: tuple[int, int]

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Return the box of a cell as `(top, left, bottom, right)`."""
        top = self.offset[0] + row * self.stride[0]
        left = self.offset[1] + column * self.stride[1]
        return top, left, top + self.window[0], left + self.window[1]


def output_grid(model: keras.Model) -> Grid:
    """Return the receptive field of the cells of a net's map.

    Args:
        model: A chain of layers that ends in a map, such as a fully convolutional net.

    Raises:
        ValueError: If a layer is not applied cell by cell, or reads several others.
    """
    window, stride, offset = [1, 1], [1, 1], [0, 0]
    for layer in model.layers[1:]:
        if isinstance(layer.input, list):
            raise ValueError(
                f"Expected a chain of layers; received: layer '{layer.name}' of "
                f"'{model.name}' reads several."
            )
        if isinstance(layer, keras.layers.Flatten | keras.layers.Dense) or getattr(
            layer, "global_pooling", False
        ):
            raise ValueError(
                f"Expected a net that gives a map; received: '{model.name}' with layer "
                f"'{layer.name}' ({type(layer).__name__}), which sees the whole image. "
                "Build it with fully_convolutional=True."
            )
        if isinstance(layer, keras.layers.Conv2D | CaffePool2D):
            _look_through(layer, window, stride, offset)
    return Grid(tuple(window), tuple(stride), tuple(offset))


def _look_through(layer, window, stride, offset):
    dilation = getattr(layer, "dilation_rate", (1, 1))
    for axis in (0, 1):
        reach = dilation[axis] * (layer.kernel_size[axis] - 1)
        window[axis] += reach * stride[axis]
        offset[axis] -= layer.pad[axis] * stride[axis]
        stride[axis] *= layer.strides[axis]
