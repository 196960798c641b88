"""Nets are as large, and as much work, as Open Model Zoo measured."""

from math import prod

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
    billions, millions = PUBLISHED[name]
    definition = define(name)
    assert abs(parameters(definition) / 1e6 - millions) <= 0.0005
    work = operations(definition) / 1e9  # without poolings and other small things
    assert work == pytest.approx(billions, rel=0.05)
