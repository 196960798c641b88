"""DeepLab: VGG-16 with holes in its windows, for a denser map of classes."""

from keras_caffe_zoo.layers import CaffeInterp
from keras_caffe_zoo.models._blocks import ave_pool, conv, dropout, max_pool
from keras_caffe_zoo.models._builder import builder


@builder(smallest=1)
def deeplab_largefov(design):
    """Build DeepLab-LargeFOV, on VGG-16, for the 21 classes of PASCAL VOC.

    The output `fc8_interp` has a map of raw scores for each class. Where sides are
    multiples of 8 and one more, such as 321 or 513, it has the image's size. Class 0 is
    the background. The authors' fully connected CRF, which follows, is no layer of it.

    Example:
        >>> model = kcz.deeplab_largefov(weights=None)
        >>> [model.compute_output_shape((1, side, 513, 3)) for side in (321, 328)]
        [(1, 321, 513, 21), (1, 329, 513, 21)]
    """
    x = _stage(design.image(), 1, 64, 2)
    x = _stage(x, 2, 128, 2)
    x = _stage(x, 3, 256, 3)
    x = _stage(x, 4, 512, 3, strides=1)
    x = _stage(x, 5, 512, 3, strides=1, hole=2)
    x = ave_pool(x, 3, 1, "pool5a", pad=1)
    x = dropout(conv(x, 1024, 3, "fc6", pad=12, dilation=12), "drop6")
    x = dropout(conv(x, 1024, 1, "fc7"), "drop7")
    x = conv(x, design.classes, 1, "fc8_voc12", activation=None)
    return CaffeInterp(zoom_factor=8, name="fc8_interp")(x)


def _stage(x, number: int, filters: int, convolutions: int, strides=2, hole=1):
    """Apply 3x3 convolutions and a pooling of overlapping windows.

    Args:
        x: The image, or the last stage's output.
        number: The stage's number, from 1.
        filters: Channels of each convolution.
        convolutions: How many.
        strides: Of the pooling.
        hole: The convolutions' dilation, as DeepLab calls it.
    """
    for i in range(1, convolutions + 1):
        x = conv(x, filters, 3, f"conv{number}_{i}", pad=hole, dilation=hole)
    return max_pool(x, 3, strides, f"pool{number}", pad=1)
