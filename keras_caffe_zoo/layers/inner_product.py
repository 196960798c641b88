"""Inner products over other axes than the last, with weights as Caffe stores them."""

import math

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import caffe_shape
from keras_caffe_zoo.layers._blobs import BlobLayer, known_axis


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeInnerProduct(BlobLayer):
    """A dense layer over an axis and all after it, Caffe's `InnerProduct` layer.

    What `keras.layers.Dense` computes of a tensor whose axes from `axis` on are
    flattened in Caffe's order. The kernel has Caffe's own layout, so that layers which
    share it in Caffe can share it here.

    Args:
        units: Number of outputs (`num_output`).
        axis: First axis that is flattened, counted as in (N, C, H, W).
        use_bias: Whether to add a bias (`bias_term`).
        transpose: Whether the kernel is (inputs, units) instead of (units, inputs).
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If the size of the flattened axes is not known.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeInnerProduct
        >>> layer = CaffeInnerProduct(3, use_bias=False)
        >>> layer.build((None, 1, 2, 2))
        >>> layer.set_weights([np.eye(3, 4)])  # (units, inputs)
        >>> x = np.array([0.0, 10.0, 1.0, 11.0]).reshape(1, 1, 2, 2)
        >>> np.asarray(layer(x)).tolist()  # the first channel, then the second
        [[0.0, 1.0, 10.0]]
    """

    def __init__(self, units, axis=1, use_bias=True, transpose=False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units, self.axis = int(units), int(axis)
        self.use_bias, self.transpose = bool(use_bias), bool(transpose)

    def build(self, input_shape):
        shape = caffe_shape(input_shape)
        flat = shape[known_axis(self.axis, len(shape), self.name) :]
        if None in flat:
            raise ValueError(
                f"Expected a blob of known size to flatten for layer '{self.name}'; "
                f"received shape: {shape}."
            )
        ends = (self.units, math.prod(flat))
        self.kernel = self.add_weight(
            ends[::-1] if self.transpose else ends, name="kernel"
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((self.units,), "zeros", name="bias")
        self.built = True

    def compute(self, blobs):
        axis = known_axis(self.axis, len(blobs.shape), self.name)
        kernel = ops.convert_to_tensor(self.kernel)
        kernel = kernel if self.transpose else ops.transpose(kernel)
        leading = ops.shape(blobs)[:axis]
        outputs = ops.matmul(ops.reshape(blobs, (-1, kernel.shape[0])), kernel)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return ops.reshape(outputs, (*leading, self.units))

    def blob_shape(self, shapes):
        axis = known_axis(self.axis, len(shapes), self.name)
        return (*shapes[:axis], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "axis": self.axis,
            "use_bias": self.use_bias,
            "transpose": self.transpose,
        }
