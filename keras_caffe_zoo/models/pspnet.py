"""PSPNet: dilated ResNets that look at the whole scene by a pyramid of poolings."""

from keras_caffe_zoo.layers import CaffeInterp, CaffePSPNetBN
from keras_caffe_zoo.models._blocks import (
    add,
    ave_pool,
    bare_conv,
    concat,
    conv,
    dropout,
    max_pool,
    relu,
)
from keras_caffe_zoo.models._builder import builder
from keras_caffe_zoo.rules.names import keras_name

_BINS = (1, 2, 3, 6)  # of the pyramid, along each side


@builder(smallest=None)
def pspnet50(design):
    """Build PSPNet-50 for the 150 classes of ADE20K (`pspnet50_ADE20K`).

    The output `conv6_interp` has a map of raw scores for each class, of the image's
    size. `segment` slides it over a picture as the authors did.

    BN and ReLU are layers of their own. Caffe took them in place, so that its blob
    `conv2_1_3x3` is the output of the layer `conv2_1_3x3/relu`; `feature_extractor`
    takes the blobs' names.

    Example:
        >>> model = kcz.pspnet50(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 473, 473, 3), (None, 473, 473, 150))
    """
    return _pspnet(design, blocks=(3, 4, 6, 3))


@builder(smallest=None)
def pspnet101(design):
    """Build PSPNet-101 for the 21 classes of PASCAL VOC (`pspnet101_VOC2012`).

    The output `conv6_interp` has a map of raw scores for each class, of the image's
    size. `segment` slides it over a picture as the authors did. Class 0 is the
    background.

    BN and ReLU are layers of their own. Caffe took them in place, so that its blob
    `conv2_1_3x3` is the output of the layer `conv2_1_3x3/relu`; `feature_extractor`
    takes the blobs' names.

    Example:
        >>> model = kcz.pspnet101(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 473, 473, 3), (None, 473, 473, 21))
    """
    return _pspnet(design, blocks=(3, 4, 23, 3))


@builder(smallest=None)
def pspnet101_cityscapes(design):
    """Build PSPNet-101 for the 19 classes of Cityscapes (`pspnet101_cityscapes`).

    The output `conv6_interp` has a map of raw scores for each class, of the image's
    size. `segment` slides it over a picture as the authors did.

    BN and ReLU are layers of their own. Caffe took them in place, so that its blob
    `conv2_1_3x3` is the output of the layer `conv2_1_3x3/relu`; `feature_extractor`
    takes the blobs' names.

    Example:
        >>> model = kcz.pspnet101_cityscapes(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 713, 713, 3), (None, 713, 713, 19))
    """
    return _pspnet(design, blocks=(3, 4, 23, 3))


def _pspnet(design, blocks: tuple):
    """Return the scores of the classes, of the image's size."""
    x = _normalized(design, design.image(), 64, 3, "conv1_1_3x3_s2", strides=2, pad=1)
    x = _normalized(design, x, 64, 3, "conv1_2_3x3", pad=1)
    x = _normalized(design, x, 128, 3, "conv1_3_3x3", pad=1)
    x = max_pool(x, 3, 2, "pool1_3x3_s2", pad=1)
    x = _stage(design, x, 2, blocks[0], 64)
    x = _stage(design, x, 3, blocks[1], 128, strides=2)
    x = _stage(design, x, 4, blocks[2], 256, dilation=2)
    x = _stage(design, x, 5, blocks[3], 512, dilation=4)
    x = _pyramid(design, x)
    x = _normalized(design, x, 512, 3, "conv5_4", pad=1)
    x = design.wrote("conv5_4", dropout(x, "conv5_4/dropout", 0.1))
    x = conv(x, design.classes, 1, "conv6", activation=None)
    return CaffeInterp(zoom_factor=8, name="conv6_interp")(x)


def _stage(design, x, number: int, blocks: int, filters: int, **options):
    """Apply residual blocks; the first has the stride, all have the dilation."""
    x = _block(design, x, f"conv{number}_1", filters, projects=True, **options)
    options["strides"] = 1
    for i in range(2, blocks + 1):
        x = _block(design, x, f"conv{number}_{i}", filters, **options)
    return x


def _block(design, x, name, filters, strides=1, dilation=1, projects=False):
    kept = x
    y = _normalized(design, x, filters, 1, f"{name}_1x1_reduce", strides=strides)
    around = {"pad": dilation, "dilation": dilation}
    y = _normalized(design, y, filters, 3, f"{name}_3x3", **around)
    y = _normalized(design, y, 4 * filters, 1, f"{name}_1x1_increase", active=False)
    if projects:
        options = {"strides": strides, "active": False}
        kept = _normalized(design, x, 4 * filters, 1, f"{name}_1x1_proj", **options)
    return design.wrote(name, relu(add([kept, y], name), f"{name}/relu"))


def _pyramid(design, x):
    """Join a map with its means over a grid of bins, for several grids."""
    size = x.shape[1]
    levels = {}
    for bins in _BINS:
        name, side = f"conv5_3_pool{bins}", size // bins
        y = ave_pool(x, side, side, name)
        y = _normalized(design, y, 512, 1, f"{name}_conv")
        levels[bins] = CaffeInterp(size, size, name=f"{name}_interp")(y)
    return concat([x, *(levels[bins] for bins in reversed(_BINS))], "conv5_3_concat")


def _normalized(design, x, filters, window, name, active=True, **options):
    """Apply a convolution, BN and perhaps ReLU, all of which wrote one blob."""
    x = bare_conv(x, filters, window, name, **options)
    x = CaffePSPNetBN(0.95, frozen=True, name=keras_name(f"{name}/bn"))(x)
    return design.wrote(name, relu(x, f"{name}/relu") if active else x)
