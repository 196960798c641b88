"""Array layouts: Caffe's and Keras', each conversion with its inverse beside it.

Caffe stores a convolution's weights (out, in / groups, height, width) and flattens a
blob in C, H, W order. Keras stores (height, width, in / groups, out) and flattens in
H, W, C order. Nothing outside this module changes the order of weights' axes.
"""

import math

import numpy as np


def conv_kernel(weight: np.ndarray) -> np.ndarray:
    """Return Caffe's convolution weights (O, I, *window) as (*window, I, O)."""
    return np.transpose(weight, (*range(2, weight.ndim), 1, 0))


def conv_weight(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel (*window, I, O) as Caffe's convolution weights."""
    window = range(kernel.ndim - 2)
    return np.transpose(kernel, (kernel.ndim - 1, kernel.ndim - 2, *window))


def dense_kernel(weight: np.ndarray, channels: int = 1) -> np.ndarray:
    """Return Caffe's InnerProduct weights (O, C * pixels) as a kernel (pixels * C, O).

    Args:
        weight: Caffe's weights; the inputs are in C, H, W order.
        channels: C of the blob that is flattened; 1 if it is flat already. How many
            rows and columns it has does not matter.
    """
    outputs = weight.shape[0]
    by_pixel = weight.reshape(outputs, channels, -1).transpose(2, 1, 0)
    return by_pixel.reshape(-1, outputs)


def dense_weight(kernel: np.ndarray, channels: int = 1) -> np.ndarray:
    """Return a kernel (pixels * C, O) as Caffe's InnerProduct weights."""
    outputs = kernel.shape[-1]
    by_channel = kernel.reshape(-1, channels, outputs).transpose(2, 1, 0)
    return by_channel.reshape(outputs, -1)


def transposed(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix as `transpose: true` of an InnerProduct stores it, or back."""
    return matrix.T


def conv_kernel_of_rows(kernel: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Return a dense kernel (C * pixels, O), rows in C, H, W order, as (H, W, C, O)."""
    by_channel = kernel.reshape(-1, *window, kernel.shape[-1])
    return by_channel.transpose(1, 2, 0, 3)


def conv_by_channel(kernel: np.ndarray, groups: int = 1) -> np.ndarray:
    """Return a kernel (*window, I / groups, O) as a view (window, groups, I, O)."""
    *_, inputs, outputs = kernel.shape
    grouped = kernel.reshape(-1, inputs, groups, outputs // groups)
    return grouped.transpose(0, 2, 1, 3)


def deconv_by_channel(kernel: np.ndarray, groups: int = 1) -> np.ndarray:
    """Return a kernel (*window, O / groups, I) as a view (window, groups, I, O)."""
    *_, outputs, inputs = kernel.shape
    grouped = kernel.reshape(-1, outputs, groups, inputs // groups)
    return grouped.transpose(0, 2, 3, 1)


def fits_by_reshape(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Tell whether a kernel of one shape is the other's, dense or convolutional.

    A dense kernel (pixels * C, O) and a convolution's (height, width, C, O) hold the
    same numbers in the same order where their sizes and O agree.
    """
    if len(shape) == len(target):
        return tuple(shape) == tuple(target)
    same_outputs = shape[-1] == target[-1]
    same_size = math.prod(shape) == math.prod(target)
    return {len(shape), len(target)} == {2, 4} and same_outputs and same_size


def tensor_from_blob(blob: np.ndarray) -> np.ndarray:
    """Return a Caffe blob as models take it: a 4-D one channels last."""
    return np.moveaxis(blob, 1, -1) if blob.ndim == 4 else blob


def blob_from_tensor(array: np.ndarray) -> np.ndarray:
    """Return a model's array as a Caffe blob: a 4-D one channels first."""
    return np.moveaxis(array, -1, 1) if array.ndim == 4 else array
