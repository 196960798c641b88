"""HED: holistically-nested edge detection."""

import keras

from keras_caffe_zoo.layers import CaffeCrop, CaffeDeconv2D
from keras_caffe_zoo.models._blocks import CHANNELS_LAST, concat, conv, max_pool
from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.models.fcn import BilinearKernel
from keras_caffe_zoo.rules.names import keras_name

PAD = 35  # around the image
BLOCKS = ((1, 64, 2), (2, 128, 2), (3, 256, 3), (4, 512, 3), (5, 512, 3))

# Where the image begins in a map that was enlarged to its scale, in pixels. HED's fork
# of Caffe works that out from the layers: PAD - 1, and half a pixel for each doubling.
OFFSETS = (34, 35, 36, 38, 42)


@builder()
def hed(design):
    """Build HED, which finds the edges that people would draw (`hed_pretrained_bsds`).

    Its six outputs have the image's size and go from 0 to 1: `sigmoid-dsn1` to
    `sigmoid-dsn5` from fine to coarse, and `sigmoid-fuse`, which weighs them up and is
    the one to look at. `find_edges` makes pictures of it.

    The published definition has no offsets in its `Crop` layers: HED's own fork of
    Caffe works them out from the layers before. They are written down here. (Caffe 1.0
    would cut at 0, 34 pixels and more from where the image is.) The definition calls
    all of the five `crop`; here they have the names of their blobs.

    Example:
        >>> model = kcz.hed(weights=None)
        >>> y = model.predict(np.zeros((1, 60, 80, 3)), verbose=0)
        >>> y["sigmoid-fuse"].shape, len(y)
        ((1, 60, 80, 1), 6)
    """
    image = x = design.image()
    scales = []
    for number, filters, count in BLOCKS:
        x = max_pool(x, 2, 2, f"pool{number - 1}") if number > 1 else x
        for i in range(1, count + 1):
            pad = PAD if number == i == 1 else 1
            x = conv(x, filters, 3, f"conv{number}_{i}", pad=pad)
        scales.append(_side(design, x, image, number))
    fused = design.wrote("concat-upscore", concat(scales, "concat"))
    fused = conv(fused, 1, 1, "new-score-weighting", activation=None)
    fused = design.wrote("upscore-fuse", fused)
    sides = {f"sigmoid-dsn{n}": _sigmoid(s, f"dsn{n}") for n, s in enumerate(scales, 1)}
    return {**sides, "sigmoid-fuse": _sigmoid(fused, "fuse")}


def _side(design, x, image, number: int):
    """Score edges in each cell, and enlarge and cut the scores to the image's size."""
    x = conv(x, 1, 1, f"score-dsn{number}", activation=None)
    if number > 1:
        stride = 2 ** (number - 1)
        layer = CaffeDeconv2D(
            1,
            2 * stride,
            stride,
            kernel_initializer=BilinearKernel(),
            trainable=False,  # the authors had `lr_mult: 0`
            name=f"upsample_{stride}",
            **CHANNELS_LAST,
        )
        x = layer(x)
    design.wrote(f"score-dsn{number}-up", x)
    crop = CaffeCrop(2, (OFFSETS[number - 1],), name=keras_name(f"upscore-dsn{number}"))
    return crop([x, image])


def _sigmoid(x, name: str):
    return keras.layers.Activation("sigmoid", name=keras_name(f"sigmoid-{name}"))(x)
