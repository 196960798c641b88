"""Optical flow: images warped by it, and how large it is."""

import keras
from keras import ops

from keras_caffe_zoo.layers._windows import known_shape


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeFlowWarp(keras.layers.Layer):
    """Look up where a flow points, as FlowNet2's `FlowWarp` layer does.

    Pixel (x, y) is the image at `(x + u, y + v)`, between pixels interpolated linearly;
    `fill` where that is no place from 0 to below the width and height.

    Args:
        fill: A number, 0 or NaN.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)` and the flow `(N, H, W, 2)`, u to the right and v down; N, H and
        W may be unknown.

    Raises:
        ValueError: If the shapes are not such.

    Reference:
        The layer of that name in FlowNet2's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeFlowWarp
        >>> image = np.array([10.0, 20.0, 30.0]).reshape(1, 1, 3, 1)
        >>> flow = np.zeros((1, 1, 3, 2))
        >>> flow[..., 0] = 0.5  # half a pixel to the right
        >>> np.asarray(CaffeFlowWarp()([image, flow])).ravel().tolist()
        [15.0, 25.0, 30.0]
    """

    def __init__(self, fill=0.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.fill = float(fill)

    def call(self, inputs):
        image, flow = inputs
        self.compute_output_shape([known_shape(image), known_shape(flow)])
        items, height, width, channels = ops.shape(image)
        flow = ops.cast(flow, "float32")
        x = self._places(flow[..., 0], ops.reshape(ops.arange(width), (1, 1, -1)))
        y = self._places(flow[..., 1], ops.reshape(ops.arange(height), (1, -1, 1)))
        inside = ops.logical_and(_within(x, width), _within(y, height))
        x, y = (ops.where(inside, place, 0.0) for place in (x, y))
        left, top = (ops.cast(ops.floor(place), "int32") for place in (x, y))
        right, bottom = (
            ops.minimum(left + 1, width - 1),
            ops.minimum(top + 1, height - 1),
        )
        pixels = ops.reshape(image, (-1, channels))
        first = ops.reshape(ops.arange(items) * (height * width), (-1, 1, 1))
        first = ops.cast(first, "int32")

        def look_up(row, column):
            return ops.take(pixels, first + row * width + column, axis=0)

        alpha = ops.expand_dims(x - ops.cast(left, x.dtype), -1)
        beta = ops.expand_dims(y - ops.cast(top, y.dtype), -1)
        alpha, beta = ops.cast(alpha, image.dtype), ops.cast(beta, image.dtype)
        warped = (
            (1 - alpha) * (1 - beta) * look_up(top, left)
            + alpha * (1 - beta) * look_up(top, right)
            + (1 - alpha) * beta * look_up(bottom, left)
            + alpha * beta * look_up(bottom, right)
        )
        return ops.where(ops.expand_dims(inside, -1), warped, self.fill)

    @staticmethod
    def _places(flow, start):
        return flow + ops.cast(start, flow.dtype)

    def compute_output_shape(self, input_shape):
        image, flow = input_shape
        wanted = (*image[:3], 2)
        if len(image) != 4 or any(
            a != b and None not in (a, b) for a, b in zip(wanted, flow, strict=False)
        ):
            raise ValueError(
                f"Expected an image (N, H, W, C) and a flow {wanted}; received: "
                f"{tuple(image)} and {tuple(flow)}."
            )
        return tuple(image)

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape([x.shape for x in inputs])
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "fill": self.fill}


def _within(places, size):
    return ops.logical_and(places >= 0, places < ops.cast(size, places.dtype))


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeChannelNorm(keras.layers.Layer):
    """Measure each pixel's vector of channels, as FlowNet2's `ChannelNorm` does.

    That is `sqrt(sum of x ** 2 over the channels)`. The gradient is that of the norm,
    and 0 where the norm is 0.

    Args:
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)`; N, H and W may be unknown.

    Reference:
        The layer of that name in FlowNet2's Caffe, which adds 1e-9 to the norm that
        it divides gradients by.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeChannelNorm
        >>> x = np.array([[3.0, 4.0], [0.0, 0.0]]).reshape(1, 1, 2, 2)
        >>> np.asarray(CaffeChannelNorm()(x)).ravel().tolist()
        [5.0, 0.0]
    """

    def call(self, inputs):
        squares = ops.sum(ops.square(inputs), -1, keepdims=True)
        none = squares == 0
        norm = ops.sqrt(ops.where(none, ops.ones_like(squares), squares))
        return ops.where(none, ops.zeros_like(norm), norm)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)
