"""ENet: a small and fast net for road scenes, which halves the image at once."""

from keras_caffe_zoo.layers import CaffeDeconv2D, CaffeSegNetBN, CaffeUnpool
from keras_caffe_zoo.models._blocks import (
    CHANNELS_LAST,
    add,
    concat,
    conv,
    masked_pool,
    max_pool,
    prelu,
    relu,
)
from keras_caffe_zoo.models._builder import builder

# What the middle convolution of each bottleneck of stages 2 and 3 is: a dilation, or
# None for a column followed by a row.
_MIDDLES = (1, 2, None, 4, 1, 8, None, 16)


@builder(smallest=23)
def enet(design):
    """Build ENet for the 19 classes of Cityscapes (`cityscapes_weights`).

    Its batch normalization is merged into the convolutions, as in the published file.
    The output `deconv6_0_0` has a map of raw scores for each class, of the image's
    size. Sides are multiples of 8, or one less, which gives a map of one pixel more.

    Example:
        >>> model = kcz.enet(weights=None, input_shape=(None, None, 3))
        >>> model.compute_output_shape((1, 360, 480, 3))
        (1, 360, 480, 19)
        >>> print(f"{model.count_params():,}")  # a hundredth of other nets'
        367,687
    """
    image = design.image()
    x = conv(image, 13, 3, "conv0_1", strides=2, pad=1, activation=None)
    x = concat([x, max_pool(image, 2, 2, "pool0_1")], "concat0_1")
    x = prelu(CaffeSegNetBN("inference", name="bn0_1")(x), "prelu0_1")
    x, large = _halved(design, x, 64, "1_0")
    for i in range(1, 5):
        x = _bottleneck(x, 64, f"1_{i}")
    x, small = _halved(design, x, 128, "2_0")
    for stage in (2, 3):
        for i, middle in enumerate(_MIDDLES, 1):
            x = _bottleneck(x, 128, f"{stage}_{i}", middle)
    x = _doubled(x, small, 64, "4_0")
    x = _bottleneck(x, 64, "4_1", active=relu)
    x = _bottleneck(x, 64, "4_2", active=relu)
    x = _doubled(x, large, 16, "5_0")
    x = _bottleneck(x, 16, "5_1", active=relu)
    return CaffeDeconv2D(design.classes, 2, 2, name="deconv6_0_0", **CHANNELS_LAST)(x)


def _bottleneck(x, filters: int, number: str, middle=1, active=prelu):
    """Add what three convolutions make of a map, the middle one of fewer channels.

    Args:
        x: A map of `filters` channels.
        filters: Its channels.
        number: The bottleneck's, as in the layers' names.
        middle: The middle convolution's dilation, or None for a column and a row.
        active: What follows the convolutions.
    """
    y = _active(x, filters // 4, 1, f"{number}_0", active)
    if middle is None:
        name = f"conv{number}_1_a"
        y = conv(y, filters // 4, (5, 1), name, pad=1, activation=None)
        y = _active(y, filters // 4, (1, 5), f"{number}_1", active, pad=1)
    else:
        around = {"pad": middle, "dilation": middle}
        y = _active(y, filters // 4, 3, f"{number}_1", active, **around)
    y = conv(y, filters, 1, f"conv{number}_2", activation=None)
    return _sum([x, y], number, active)


def _halved(design, x, filters: int, number: str):
    """Return a map of half the size, and where the maxima of its pooling were."""
    y = _active(x, filters // 4, 2, f"{number}_0", prelu, strides=2)
    y = _active(y, filters // 4, 3, f"{number}_1", prelu, pad=1)
    y = conv(y, filters, 1, f"conv{number}_2", activation=None)
    x, mask = masked_pool(design, x, f"pool{number}_4")
    x = conv(x, filters, 1, f"conv{number}_4", activation=None)
    return _sum([x, y], number, prelu), mask


def _doubled(x, mask, filters: int, number: str):
    """Return a map of double the size, with values where the mask says."""
    y = _active(x, filters // 4, 1, f"{number}_0", relu)
    name = f"deconv{number}_1"
    y = CaffeDeconv2D(filters // 4, 2, 2, name=name, **CHANNELS_LAST)(y)
    y = CaffeSegNetBN("inference", name=f"bn{number}_1")(y)
    y = relu(y, f"prelu{number}_1")
    y = conv(y, filters, 1, f"conv{number}_2", activation=None)
    x = conv(x, filters, 1, f"conv{number}_4", activation=None)
    x = CaffeUnpool(2, distinct=True, name=f"upsample{number}_4")([x, mask])
    return _sum([x, y], number, relu)


def _active(x, filters: int, window, number: str, active, **options):
    x = conv(x, filters, window, f"conv{number}", activation=None, **options)
    return active(x, f"prelu{number}")  # so they are called, ReLUs too


def _sum(tensors: list, number: str, active):
    return active(add(tensors, f"eltwise{number}_4"), f"prelu{number}_4")
