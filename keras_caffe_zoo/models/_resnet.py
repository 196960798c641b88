"""What ResNet-50, -101 and -152 share."""

import keras

from keras_caffe_zoo.layers import CaffeBatchNorm, CaffeScale
from keras_caffe_zoo.models._blocks import ave_pool, conv, max_pool


def stem(plan, use_bias=False):
    """Return pool1, after the one large convolution.

    Args:
        plan: The builder's arguments.
        use_bias: Whether conv1 has a bias.
    """
    options = {"strides": 2, "pad": 3, "activation": None, "use_bias": use_bias}
    x = conv(plan.image(), 64, 7, "conv1", **options)
    x = _scaled(plan, x, "conv1", "_conv1", relu=True)
    return max_pool(x, 3, 2, "pool1")


def stage(plan, x, number: int, letters: list[str] | str, filters: int, strides=2):
    """Apply the blocks of one stage, the first of which changes the size.

    Args:
        plan: The builder's arguments.
        x: The last stage's output.
        number: The stage's number, from 2.
        letters: What tells the blocks apart, "a" and on.
        filters: Channels inside the blocks; their outputs have four times as many.
        strides: Stride of the first block.
    """
    for i, letter in enumerate(letters):
        name = f"{number}{letter}"
        short = x
        if i == 0:
            options = {"strides": strides, "relu": False}
            short = _branch(plan, x, 4 * filters, 1, f"{name}_branch1", **options)
        x = _branch(
            plan, x, filters, 1, f"{name}_branch2a", strides=strides if i == 0 else 1
        )
        x = _branch(plan, x, filters, 3, f"{name}_branch2b", pad=1)
        x = _branch(plan, x, 4 * filters, 1, f"{name}_branch2c", relu=False)
        x = keras.layers.Add(name=f"res{name}")([short, x])
        x = _relu(plan, x, f"res{name}")
    return x


def numbered(blocks: int) -> list[str]:
    """Return the letters of a long stage: a, b1, b2 and on."""
    return ["a", *(f"b{i}" for i in range(1, blocks))]


def classifier(plan, x):
    """Apply pool5, fc1000 and prob, if the net is to have its top."""
    if not plan.include_top:
        return x
    x = ave_pool(x, 7, 1, "pool5")
    x = plan.inner_product(x, plan.classes, "fc1000")
    return plan.activation(x)


def _branch(plan, x, filters, kernel_size, name, strides=1, pad=0, relu=True):
    options = {"strides": strides, "pad": pad, "activation": None, "use_bias": False}
    x = conv(x, filters, kernel_size, f"res{name}", **options)
    return _scaled(plan, x, f"res{name}", name, relu)


def _scaled(plan, x, blob, name, relu):
    """Apply what follows a convolution in place: BatchNorm, Scale and perhaps ReLU."""
    norm = CaffeBatchNorm(name=f"bn{name}")
    x = norm(x)
    # Caffe starts without statistics and divides by the root of epsilon until it has
    # some. These are what Keras starts with: a mean of 0 and a variance of 1.
    norm.variance_sum.assign(keras.ops.ones_like(norm.variance_sum))
    norm.weight_sum.assign(keras.ops.ones_like(norm.weight_sum))
    x = plan.wrote(blob, CaffeScale(use_bias=True, name=f"scale{name}")(x))
    return _relu(plan, x, blob) if relu else x


def _relu(plan, x, blob):
    return plan.wrote(blob, keras.layers.ReLU(name=f"{blob}_relu")(x))
