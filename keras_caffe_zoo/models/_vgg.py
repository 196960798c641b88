"""What VGG-16, VGG-19 and the FCNs made of VGG-16 share."""

from keras_caffe_zoo.models._blocks import conv, max_pool


def stage(x, number: int, filters: int, convolutions: int, pad=1):
    """Apply 3x3 convolutions, `conv{number}_1` and on, and a pooling that halves.

    Args:
        x: The image, or the last stage's output.
        number: The stage's number, from 1.
        filters: Channels of each convolution.
        convolutions: How many.
        pad: Zeros around the input of the first.
    """
    for i in range(1, convolutions + 1):
        x = conv(x, filters, 3, f"conv{number}_{i}", pad=pad if i == 1 else 1)
    return max_pool(x, 2, 2, f"pool{number}")
