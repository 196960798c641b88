"""SphereFace, which describes a face by the direction of a vector."""

from keras_caffe_zoo.models._blocks import add, conv, prelu
from keras_caffe_zoo.models._builder import classifier


@classifier(smallest=1, features="res4_3", activation=None)
def sphereface(design):
    """Build SphereFace-20 (`sphereface_model`): 512 numbers for a face.

    Two faces are as alike as the cosine of the angle between their `fc5`, which is what
    the net ends with; `classes` is how many numbers that has. It takes aligned faces,
    112 pixels high and 96 wide. Caffe took PReLU in place, so that its blob `conv1_1`
    is the output of the layer `relu1_1`; `feature_extractor` takes the blobs' names.

    Fully convolutional, its windows have a stride of 16 pixels.
    """
    x = stage(design, design.image(), 1, 64, pairs=1)
    x = stage(design, x, 2, 128, pairs=2)
    x = stage(design, x, 3, 256, pairs=4)
    x = stage(design, x, 4, 512, pairs=1)
    if not design.include_top:
        return x
    x = design.inner_product(x, design.classes, "fc5", window=(7, 6))
    return design.activation(x)


def stage(design, x, number: int, filters: int, pairs: int):
    """Apply a convolution that halves the map, and pairs of them with a short cut.

    Args:
        design: What the builder's call asks for.
        x: The image, or the last stage's output.
        number: The stage's number, from 1.
        filters: Channels of each convolution.
        pairs: How many pairs.
    """
    x = _active(design, x, f"{number}_1", filters, strides=2)
    for i in range(2, 2 * pairs + 1, 2):
        y = _active(design, x, f"{number}_{i}", filters)
        y = _active(design, y, f"{number}_{i + 1}", filters)
        x = add([x, y], f"res{number}_{i + 1}")
    return x


def _active(design, x, name, filters, strides=1):
    blob = f"conv{name}"
    x = conv(x, filters, 3, blob, strides=strides, pad=1, activation=None)
    return design.wrote(blob, prelu(x, f"relu{name}"))
