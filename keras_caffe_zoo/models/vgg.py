"""VGG-16 and VGG-19, configurations D and E of "Very Deep Convolutional Networks".

VGG-16 was trained on scenes and on faces too.
"""

from keras_caffe_zoo.models._blocks import conv, max_pool
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=1)
def vgg16(design):
    """Build VGG-16 (`VGG_ILSVRC_16_layers`).

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    return design.classifier(vgg16_features(design.image()), window=7)


@classifier(smallest=1)
def places365_vgg16(design):
    """Build VGG-16 for the 365 scenes of Places365 (`vgg16_places365`).

    Its last layer is `fc8a`. Fully convolutional, its windows have a stride of 32
    pixels: a map of 8 x 8 for an image of 448 x 448.
    """
    x = vgg16_features(design.image())
    return design.classifier(x, window=7, head="fc8a")


@classifier(smallest=1)
def vgg_face(design):
    """Build VGG-16 for the faces of 2622 people (`VGG_FACE`).

    `fc7` describes a face, whoever's it is.

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    return design.classifier(vgg16_features(design.image()), window=7)


@classifier(smallest=1)
def vgg19(design):
    """Build VGG-19 (`VGG_ILSVRC_19_layers`).

    Fully convolutional, its windows have a stride of 32 pixels: a map of 8 x 8 for an
    image of 448 x 448.
    """
    x = stage(design.image(), 1, 64, 2)
    x = stage(x, 2, 128, 2)
    x = stage(x, 3, 256, 4)
    x = stage(x, 4, 512, 4)
    x = stage(x, 5, 512, 4)
    return design.classifier(x, window=7)


def vgg16_features(image):
    """Return the pool5 of VGG-16."""
    x = stage(image, 1, 64, 2)
    x = stage(x, 2, 128, 2)
    x = stage(x, 3, 256, 3)
    x = stage(x, 4, 512, 3)
    return stage(x, 5, 512, 3)


def stage(x, number: int, filters: int, count: int, pad=1):
    """Apply `convolutions` and a pooling that halves the map, `pool{number}`."""
    x = convolutions(x, number, filters, count, pad)
    return max_pool(x, 2, 2, f"pool{number}")


def convolutions(x, number: int, filters: int, count: int, pad=1):
    """Apply 3x3 convolutions, `conv{number}_1` and on.

    Args:
        x: The image, or the last stage's output.
        number: The stage's number, from 1.
        filters: Channels of each convolution.
        count: How many convolutions.
        pad: Zeros around the input of the first.
    """
    for i in range(1, count + 1):
        x = conv(x, filters, 3, f"conv{number}_{i}", pad=pad if i == 1 else 1)
    return x
