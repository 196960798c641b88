"""A table of vectors, looked up by number."""

import keras
from keras import ops

from keras_caffe_zoo.layers._blobs import BlobLayer


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeEmbed(BlobLayer):
    """Look up a vector for each value of a blob, as Caffe's `Embed` layer does.

    Args:
        input_dim: Number of vectors.
        units: Their size (`num_output`).
        use_bias: Whether to add one more vector to all (`bias_term`).
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Any, of whole numbers from 0 to `input_dim` - 1, floats too; four axes are
        channels last. The output has one more axis at the end of Caffe's order, and
        is channels last if it has four.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeEmbed
        >>> layer = CaffeEmbed(input_dim=3, units=2, use_bias=False)
        >>> layer.build((None,))
        >>> layer.set_weights([np.array([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]])])
        >>> np.asarray(layer(np.array([2.0, 0.0]))).tolist()
        [[2.0, 2.5], [0.0, 0.5]]
    """

    def __init__(self, input_dim, units, use_bias=True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.input_dim, self.units = int(input_dim), int(units)
        self.use_bias = bool(use_bias)

    def build(self, input_shape):
        shape = (self.input_dim, self.units)
        self.embeddings = self.add_weight(shape, "uniform", name="embeddings")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((self.units,), "zeros", name="bias")
        self.built = True

    def compute(self, blobs):
        table = ops.convert_to_tensor(self.embeddings)
        outputs = ops.take(table, ops.cast(blobs, "int32"), axis=0)
        return outputs if self.bias is None else ops.add(outputs, self.bias)

    def blob_shape(self, shapes):
        return (*shapes, self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "units": self.units,
            "use_bias": self.use_bias,
        }
