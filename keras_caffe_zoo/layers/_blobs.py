"""What the layers share that compute in Caffe's order of axes."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import TO_CAFFE, TO_KERAS, caffe_shape, keras_shape
from keras_caffe_zoo.layers._windows import known_shape


def caffe_order(x):
    """Return a tensor in Caffe's order of axes; 4-D ones come channels last."""
    return ops.transpose(x, TO_CAFFE) if len(x.shape) == 4 else x


def keras_order(x):
    """Return a tensor in Caffe's order as models keep it: 4-D ones channels last."""
    return ops.transpose(x, TO_KERAS) if len(x.shape) == 4 else x


def known_axis(axis: int, rank: int, layer: str) -> int:
    """Return an axis of a blob counted from 0.

    Raises:
        ValueError: If a blob of `rank` axes has no such axis.
    """
    if not -rank <= axis < rank:
        raise ValueError(
            f"Expected an axis of a blob with {rank} axes for layer '{layer}'; "
            f"received: axis={axis}."
        )
    return axis % rank


def is_list(shapes) -> bool:
    """Tell whether `shapes` are those of several tensors."""
    return bool(len(shapes)) and isinstance(shapes[0], (list, tuple))


class BlobLayer(keras.layers.Layer):
    """A layer whose arithmetic is written in Caffe's order of axes.

    Subclasses define `compute(blobs)` and `blob_shape(shapes)`: both are given one, or
    a list of several, and return one or a list. Tensors of four axes are channels last
    outside and channels first inside.
    """

    def call(self, inputs):
        several = isinstance(inputs, (list, tuple))
        shapes = [known_shape(x) for x in (inputs if several else [inputs])]
        self.compute_output_shape(shapes if several else shapes[0])  # raises: no fit
        if several:
            outputs = self.compute([caffe_order(x) for x in inputs])
        else:
            outputs = self.compute(caffe_order(inputs))
        if isinstance(outputs, (list, tuple)):
            return [keras_order(y) for y in outputs]
        return keras_order(outputs)

    def compute_output_shape(self, input_shape):
        if is_list(input_shape):
            shapes = self.blob_shape([caffe_shape(s) for s in input_shape])
        else:
            shapes = self.blob_shape(caffe_shape(input_shape))
        if isinstance(shapes, list):
            return [keras_shape(s) for s in shapes]
        return keras_shape(shapes)

    def compute_output_spec(self, inputs):
        several = isinstance(inputs, (list, tuple))
        shapes = [x.shape for x in inputs] if several else inputs.shape
        shapes = self.compute_output_shape(shapes)
        if isinstance(shapes, list):
            return [keras.KerasTensor(s, self.compute_dtype) for s in shapes]
        return keras.KerasTensor(shapes, self.compute_dtype)

    def compute(self, blobs):
        """Return the tops in Caffe's order of axes."""
        raise NotImplementedError

    def blob_shape(self, shapes):
        """Return the shapes of the tops in Caffe's order of axes."""
        return shapes
