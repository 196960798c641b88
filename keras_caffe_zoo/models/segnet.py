"""SegNet: VGG-16 there and back, each pooling undone where it found its maxima."""

from keras_caffe_zoo.layers import CaffeArgMax, CaffeSegNetBN, CaffeUnpool
from keras_caffe_zoo.models._blocks import conv, dropout, masked_pool, relu, softmax
from keras_caffe_zoo.models._builder import builder

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters, convolutions
_DROPPED = 0.5


@builder(smallest=None)
def segnet(design):
    """Build SegNet for the 12 classes of road scenes (the authors' `driving` demo).

    The output `argmax` is the map of the classes, of the image's size; `conv1_1_D` has
    their scores. `segment` gives both at a picture's own size.

    Caffe took BN and ReLU in place, so that its blob `conv1_1` is the output of the
    layer `relu1_1`; `feature_extractor` takes the blobs' names.

    Example:
        >>> model = kcz.segnet(weights=None)
        >>> model.output_shape, model.get_layer("conv1_1_D").output.shape
        ((None, 360, 480, 1), (None, 360, 480, 12))
    """
    x = _there_and_back(design, dropped=())
    return CaffeArgMax(axis=1, name="argmax")(x)


@builder(smallest=None)
def segnet_pascal(design):
    """Build SegNet for the 21 classes of PASCAL VOC (`segnet_pascal`).

    The output `prob` has a map of probabilities for each class, of the image's size.
    Class 0 is the background. Channels are dropped in training around the poolings.

    Caffe took BN, ReLU and dropout in place, so that its blob `conv1_1` is the output
    of the layer `relu1_1`; `feature_extractor` takes the blobs' names.

    Example:
        >>> model = kcz.segnet_pascal(weights=None)
        >>> model.input_shape, model.output_shape
        ((None, 224, 224, 3), (None, 224, 224, 21))
    """
    return softmax(_there_and_back(design, dropped=(1, 2, 3, 4, 5)))


def _there_and_back(design, dropped: tuple):
    """Return the scores of the classes.

    Args:
        design: What the builder's call asks for.
        dropped: Numbers of the stages with dropout.
    """
    x, masks = design.image(), []
    for number, (filters, convolutions) in enumerate(_STAGES, 1):
        for i in range(1, convolutions + 1):
            x = _normalized(design, x, filters, f"{number}_{i}")
        if number in dropped:
            name = f"conv{number}_{convolutions}"
            x = design.wrote(name, dropout(x, f"pool{number}_drop", _DROPPED))
        before = x.shape[1:3]
        x, mask = masked_pool(design, x, f"pool{number}")
        masks.append((mask, before))
    for number in range(len(_STAGES), 0, -1):
        x = _undone(design, x, number, *masks.pop(), number in dropped)
    return x


def _undone(design, x, number: int, mask, size: tuple, drops: bool):
    """Undo a stage: its pooling, then its convolutions."""
    if drops:
        blob = "pool5" if number == len(_STAGES) else f"conv{number + 1}_1_D"
        x = design.wrote(blob, dropout(x, f"upsample{number}_drop", _DROPPED))
    # Poolings round up: 45 rows became 23, and are 45 again.
    size = None if size == tuple(2 * n for n in x.shape[1:3]) else size
    x = CaffeUnpool(2, size, distinct=True, name=f"upsample{number}")([x, mask])
    design.wrote(f"pool{number}_D", x)
    filters, convolutions = _STAGES[number - 1]
    for i in range(convolutions, 1, -1):
        x = _normalized(design, x, filters, f"{number}_{i}_D")
    if number == 1:
        return conv(x, design.classes, 3, "conv1_1_D", pad=1, activation=None)
    return _normalized(design, x, _STAGES[number - 2][0], f"{number}_1_D")


def _normalized(design, x, filters: int, number: str):
    """Apply a convolution, BN and ReLU, all of which wrote one blob."""
    name = f"conv{number}"
    x = conv(x, filters, 3, name, pad=1, activation=None)
    x = CaffeSegNetBN("inference", name=f"{name}_bn")(x)
    return design.wrote(name, relu(x, f"relu{number}"))
