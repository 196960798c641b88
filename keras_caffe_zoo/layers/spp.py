"""Spatial pyramid pooling."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.windows import pyramid
from keras_caffe_zoo.layers._blobs import caffe_order
from keras_caffe_zoo.layers.pooling import CaffePool2D
from keras_caffe_zoo.layers.stochastic_pooling import CaffeStochasticPool2D


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeSPP(keras.layers.Layer):
    """Pool an image into 1, 2 x 2, 4 x 4, … bins, as Caffe's `SPP` layer does.

    Level l has windows of `ceil(size / 2^l)` pixels, as far apart, with padding to
    centre them. All levels flattened, each in Caffe's order (C, H, W), are joined.
    A single level is not flattened.

    Args:
        pyramid_height: Number of levels.
        pool: `"max"`, `"ave"` or `"stochastic"`.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(N, H, W, C)` of known size.

    Raises:
        ValueError: If the image is too small for so many levels, as in Caffe.

    Reference:
        He et al., 2014; Caffe 1.0's `SPP` layer.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeSPP
        >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> np.asarray(CaffeSPP(2)(x)).tolist()  # the whole, then its quarters
        [[15.0, 5.0, 7.0, 13.0, 15.0]]
    """

    def __init__(self, pyramid_height, pool="max", **kwargs) -> None:
        super().__init__(**kwargs)
        self.pyramid_height, self.pool = int(pyramid_height), pool
        self.input_spec = keras.layers.InputSpec(ndim=4)
        if self.pyramid_height < 1:
            raise ValueError(
                "Expected `pyramid_height` to be positive; received: "
                f"pyramid_height={pyramid_height}."
            )

    def _levels(self, input_shape):
        levels = pyramid(input_shape[1:3], self.pyramid_height, self.name)
        return [self._pool(kernel, pad) for kernel, pad in levels]

    def _pool(self, kernel, pad):
        options = {"strides": kernel, "pad": pad, "data_format": "channels_last"}
        if self.pool == "stochastic":
            return CaffeStochasticPool2D(kernel, **options)
        return CaffePool2D(self.pool, kernel, **options)

    def build(self, input_shape):
        self.levels = self._levels(input_shape)
        self.built = True

    def call(self, inputs):
        pooled = [level(inputs) for level in self.levels]
        if len(pooled) == 1:
            return pooled[0]
        flat = []
        for blob in map(caffe_order, pooled):
            count = blob.shape[1] * blob.shape[2] * blob.shape[3]
            flat.append(ops.reshape(blob, (-1, count)))
        return ops.concatenate(flat, axis=1)

    def compute_output_shape(self, input_shape):
        levels = self._levels(input_shape)
        shapes = [level.compute_output_shape(input_shape) for level in levels]
        if len(shapes) == 1:
            return shapes[0]
        return (input_shape[0], sum(s[1] * s[2] * s[3] for s in shapes))

    def get_config(self):
        own = {"pyramid_height": self.pyramid_height, "pool": self.pool}
        return {**super().get_config(), **own}
