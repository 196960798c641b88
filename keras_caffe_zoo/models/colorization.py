"""Colorful image colorization: colours for black-and-white photographs."""

from importlib import resources

import numpy as np

from keras_caffe_zoo.layers import CaffeDeconv2D, CaffeScale
from keras_caffe_zoo.models._blocks import (
    CHANNELS_LAST,
    batch_norm,
    conv,
    relu,
    softmax,
)
from keras_caffe_zoo.models._builder import builder

REBALANCING = 2.606  # sharpens the chances, between their mean and the likeliest

# Number, channels, convolutions, stride of the last, dilation.
BLOCKS = (
    (1, 64, 2, 2, 1),
    (2, 128, 2, 2, 1),
    (3, 256, 3, 2, 1),
    (4, 512, 3, 1, 1),
    (5, 512, 3, 1, 2),
    (6, 512, 3, 1, 2),
    (7, 512, 3, 1, 1),
)


@builder(
    channels=1, takes="the lightness L of CIE Lab less 50, as `colorize` makes them"
)
def colorization(design):
    """Build the net that colours photographs (`colorization_release_v2`).

    It takes the lightness L of CIE Lab, less 50, in one channel. Its output `class8_ab`
    is a and b of a map of a quarter of the image's height and width: the mean of 313
    colours, weighed by how likely each is (`class8_313_rh`). `colorize` makes pictures
    of it.

    `conv8_313_rh` and `class8_ab` were not learned, and the published file does not
    have them: the one multiplies by 2.606, the other holds the 313 colours. They are
    as the authors' demonstration sets them, unless a file of weights has others.

    Example:
        >>> model = kcz.colorization(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 224, 224, 1), (None, 56, 56, 2))
        >>> model.get_layer("class8_313_rh").output.shape  # a chance for each colour
        (None, 56, 56, 313)
    """
    x = design.image("data_l", channels=1)
    for number, filters, count, strides, dilation in BLOCKS:
        for i in range(1, count + 1):
            name = f"conv{number}_{i}"
            options = {"pad": dilation, "dilation": dilation}
            if i == count:
                options["strides"] = strides
            layer = "bw_conv1_1" if name == "conv1_1" else name
            x = design.wrote(name, conv(x, filters, 3, layer, **options))
        x = batch_norm(x, f"conv{number}_{count}norm")
    x = CaffeDeconv2D(256, 4, 2, pad=1, name="conv8_1", **CHANNELS_LAST)(x)
    x = design.wrote("conv8_1", relu(x, "relu8_1"))
    x = conv(x, 256, 3, "conv8_2", pad=1)
    x = conv(x, 256, 3, "conv8_3", pad=1)
    x = conv(x, 313, 1, "conv8_313", activation=None)
    x = softmax(CaffeScale(name="conv8_313_rh")(x), "class8_313_rh")
    x = conv(x, 2, 1, "class8_ab", activation=None)
    design.known("conv8_313_rh", np.full(313, REBALANCING, "float32"))
    design.known("class8_ab", _colours().T[:, :, None, None], np.zeros(2, "float32"))
    return x


def _colours() -> np.ndarray:
    """Return a and b of the 313 colours, in the order of the net's channels."""
    path = resources.files("keras_caffe_zoo") / "data" / "ab_centres.txt"
    return np.loadtxt(path.read_text("utf-8").splitlines(), dtype="float32")
