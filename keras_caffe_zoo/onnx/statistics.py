"""Normalization by means and variances, as ONNX operations."""

from __future__ import annotations

import numpy as np


def by_statistics(node, x, mean, variance, epsilon, factor=None, offset=None):
    """Return `(x - mean) / sqrt(variance + epsilon) * factor + offset`.

    Args:
        node: The layer, an `OnnxNode`.
        x: The blob; its channels are the second axis.
        mean: A number for each channel, an array.
        variance: Likewise.
        epsilon: Added to the variance.
        factor: Likewise; 1 if not given.
        offset: Likewise; 0 if not given.
    """
    factor = np.ones_like(mean) if factor is None else factor
    offset = np.zeros_like(mean) if offset is None else offset
    name = node.layer.name
    if len(x.shape) > 1:
        ends = [
            node.constant(array, f"{name}/{end}")
            for array, end in (
                (factor, "factor"),
                (offset, "offset"),
                (mean, "mean"),
                (variance, "variance"),
            )
        ]
        return node.op("BatchNormalization", x, *ends, epsilon=epsilon)
    # The operation wants channels.
    y = node.op("Sub", x, mean)
    y = node.op("Div", y, node.op("Sqrt", node.op("Add", variance, epsilon)))
    return affine(node, y, factor, offset)


def by_batch(node, x, epsilon, factor=None, offset=None):
    """Return the same by the mean and variance of all items; see `by_statistics`."""
    return with_statistics(node, x, epsilon, factor, offset)[0]


def with_statistics(node, x, epsilon, factor=None, offset=None) -> list:
    """Return what `by_batch` does, the means and the variances, (1, C, 1, …)."""
    axes = [axis for axis in range(len(x.shape)) if axis != 1]
    x, mean = centred(node, x, axes)
    variance = mean_square(node, x, axes)
    y = node.op("Div", x, node.op("Sqrt", node.op("Add", variance, epsilon)))
    y = y if factor is None else affine(node, y, factor, offset)
    return [y, mean, variance]


def affine(node, x, factor, offset):
    """Return `x * factor + offset`, with a number for each channel."""
    if len(x.shape) > 1:
        shape = (-1, *[1] * (len(x.shape) - 2))
        factor, offset = factor.reshape(shape), offset.reshape(shape)
    return node.op("Add", node.op("Mul", x, factor), offset)


def centred(node, x, axes: list[int]) -> tuple:
    """Return a blob less its mean over some axes, and the mean."""
    mean = reduced(node, "ReduceMean", x, axes)
    return node.op("Sub", x, mean), mean


def mean_square(node, x, axes: list[int]):
    """Return the mean of squares over some axes."""
    return reduced(node, "ReduceMean", node.op("Mul", x, x), axes)


def reduced(node, type_: str, x, axes: list[int]):
    """Return a mean, sum or extreme over some axes, which stay, of size 1.

    OpenCV 4.14 goes wrong over channels, rows and columns at once: the channels of an
    image are reduced in a second step.
    """
    steps = [axes[1:], axes[:1]] if axes == [1, 2, 3] else [axes]
    for step in steps:
        if type_ == "ReduceSum":  # has its axes as an input
            x = node.op(type_, x, step)
        else:
            x = node.op(type_, x, axes=step)
    return x
