"""A sum with a factor for each addend."""

import keras


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeWeightedSum(keras.layers.Layer):
    """`coeff[0] * a + coeff[1] * b + …`, Caffe's `Eltwise` layer with `coeff`.

    Args:
        coeff: A factor for each input.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If there is not one factor for each input.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeWeightedSum
        >>> a, b = np.array([[5.0, 7.0]]), np.array([[1.0, 2.0]])
        >>> np.asarray(CaffeWeightedSum((1, -2))([a, b])).tolist()
        [[3.0, 3.0]]
    """

    def __init__(self, coeff, **kwargs) -> None:
        super().__init__(**kwargs)
        self.coeff = tuple(float(value) for value in coeff)

    def call(self, inputs):
        total = None
        for value, x in zip(self.coeff, inputs, strict=True):
            term = x if value == 1 else x * value
            total = term if total is None else total + term
        return total

    def compute_output_shape(self, input_shape):
        if len(input_shape) != len(self.coeff):
            raise ValueError(
                f"Expected one of `coeff` for each of {len(input_shape)} inputs of "
                f"layer '{self.name}'; received: coeff={self.coeff}."
            )
        return tuple(input_shape[0])

    def get_config(self):
        return {**super().get_config(), "coeff": self.coeff}
