"""Nets are as large, and as much work, as Open Model Zoo measured."""

from math import prod

import other_nets
import pytest
from definitions import define

# net: billions of operations, millions of parameters
PUBLISHED = {
    "densenet121": (5.724, 7.971),
    "densenet161": (15.561, 28.666),
    "densenet169": (6.788, 14.139),
    "densenet201": (8.673, 20.001),
    "googlenet_bn": (4.058, 11.185),
    "mobilenet_v1": (1.148, 4.221),
    "mobilenet_v2": (0.876, 3.489),
    "se_bn_inception": (4.091, 11.922),
    "se_resnet50": (7.775, 28.061),
    "se_resnet101": (15.239, 49.274),
    "se_resnet152": (22.709, 66.746),
    "se_resnext50": (8.533, 27.526),
    "se_resnext101": (16.054, 48.886),
    "shufflenet_v2_x05": (0.08465, 1.363),
    "sphereface": (3.504, 22.671),
}
# Without the boxes and what is done with them.
DETECTORS = {
    "face_detection_retail_0044": (1.067, 0.588),
    "mobilenet_ssd": (2.316, 5.783),
    "ssd300": (62.815, 26.285),
    "ssd512": (180.611, 27.189),
}


def operations(definition):
    """Return the multiplications and additions of a net's sums of products."""
    count = 0
    for layer, (weights, *_) in definition.params.items():
        if definition.kinds[layer] in ("Convolution", "InnerProduct"):
            shape = definition.blobs[definition.ends[layer][1]]
            count += 2 * prod(weights) * prod(shape[1:])
    return count


def parameters(definition):
    """Return how many are left where a normalization is part of the sum before it."""
    count, makers = 0, {}
    for layer, ([bottom, *_], top) in definition.ends.items():
        kind, shapes = definition.kinds[layer], definition.params.get(layer, ())
        if kind == "BatchNorm":
            maker = makers.get(bottom)
            of_sums = definition.kinds.get(maker) == "Convolution"
            with_bias = of_sums and len(definition.params[maker]) == 2
            vectors = 0 if with_bias else 1 if of_sums else 2  # an offset, a factor
            count += vectors * shapes[0][0]
        elif kind != "Scale":
            count += sum(map(prod, shapes))
        makers[top] = layer
    return count


@pytest.mark.parametrize("name", PUBLISHED)
def test_size_and_work_are_the_published_ones(name):
    check(define(name), *PUBLISHED[name])


@pytest.mark.parametrize("name", DETECTORS)
def test_size_and_work_of_detectors_are_the_published_ones(name):
    check(other_nets.define(name), *DETECTORS[name])


def test_pelee_is_as_large_as_its_authors_say():
    """They count products alone, and each normalization's factors and offsets."""
    definition = other_nets.define("pelee")
    statistics = [x for x, kind in definition.kinds.items() if kind == "BatchNorm"]
    learned = [definition.params[x] for x in definition.params.keys() - statistics]
    count = sum(prod(shape) for shapes in learned for shape in shapes)
    assert round(count / 1e6, 2) == 5.98
    assert operations(definition) / 2e6 == pytest.approx(1290, rel=0.005)


def check(definition, billions, millions):
    assert abs(parameters(definition) / 1e6 - millions) <= 0.0005
    work = operations(definition) / 1e9  # without poolings and other small things
    assert work == pytest.approx(billions, rel=0.05)
