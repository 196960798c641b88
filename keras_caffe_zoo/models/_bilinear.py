"""The kernel that makes a transposed convolution a bilinear interpolation."""

import keras
import numpy as np

from keras_caffe_zoo.layers._bilinear import bilinear_window


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class BilinearKernel(keras.initializers.Initializer):
    """Initialize a transposed convolution to interpolate each channel bilinearly.

    For a kernel of twice the stride, as FCNs have. Channels do not mix: the kernel
    from one channel to another is zero (Caffe's own `bilinear` filler is for layers
    with as many groups as channels, and would mix them).

    Reference:
        The `interp` function of the FCN authors' net surgery.
    """

    def __call__(self, shape, dtype=None):
        *window, filters, channels = shape
        kernel = np.zeros(shape, "float32")
        for channel in range(min(filters, channels)):
            kernel[:, :, channel, channel] = bilinear_window(*window)
        return keras.ops.convert_to_tensor(kernel, dtype)

    def get_config(self):
        return {}
