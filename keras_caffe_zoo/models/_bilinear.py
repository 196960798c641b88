"""The kernel that makes a transposed convolution a bilinear interpolation."""

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class BilinearKernel(keras.initializers.Initializer):
    """Initialize a transposed convolution to interpolate each channel bilinearly.

    For a kernel of twice the stride, as FCNs have. Channels do not mix: the kernel
    from one channel to another is zero.

    Reference:
        The `interp` function of the FCN authors' net surgery.
    """

    def __call__(self, shape, dtype=None):
        *window, filters, channels = shape
        rows, columns = map(_hat, window)
        kernel = np.zeros(shape, "float32")
        for channel in range(min(filters, channels)):
            kernel[:, :, channel, channel] = np.outer(rows, columns)
        return keras.ops.convert_to_tensor(kernel, dtype)

    def get_config(self):
        return {}


def _hat(size):
    """Return weights that fall linearly from the middle of `size` pixels."""
    factor = (size + 1) // 2
    distance = np.abs(np.arange(size) - (size - 1) / 2)
    return 1 - distance / factor
