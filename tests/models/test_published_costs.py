"""Nets are as large, and as much work, as Open Model Zoo measured."""

from math import prod

import other_nets
import pytest
from definition import Definition
from definitions import NETS, define
from other_nets import OTHERS

from keras_caffe_zoo.weights.manifest import load_manifest

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
SUMS = ("Convolution", "Deconvolution", "InnerProduct")
# Without the boxes and what is done with them.
DETECTORS = {
    "face_detection_retail_0044": (1.067, 0.588),
    "mobilenet_ssd": (2.316, 5.783),
    "ssd300": (62.815, 26.285),
    "ssd512": (180.611, 27.189),
}


def products(definition, of_training=()):
    """Return the products of a net's sums, without those of heads of training."""
    count = 0
    for layer, (weights, *_) in definition.params.items():
        (bottom, *_), top = definition.ends[layer]
        kind = definition.kinds[layer]
        if kind in SUMS and not layer.startswith(of_training):
            # A cell of a deconvolution's input meets the whole kernel.
            shape = definition.blobs[bottom if kind == "Deconvolution" else top]
            count += prod(weights) * prod(shape[1:])
    return count


def operations(definition):
    """Return the multiplications and additions of a net's sums of products."""
    return 2 * products(definition)


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


def in_full(entry):
    """Return a net's definition with pictures of its own size."""
    if entry.name in NETS:
        return define(entry.name)
    net = OTHERS[entry.name]
    definition = Definition(
        entry.name,
        entry.input_size,
        classes=net.classes,
        data=net.data,
        channels=net.channels,
    )
    net.layers(definition)
    return definition


@pytest.mark.parametrize("entry", load_manifest().values(), ids=lambda x: x.name)
def test_multiply_adds_of_the_manifest_are_those_of_the_definition(entry):
    if entry.input_size is None:
        assert entry.multiply_adds is None
    else:
        heads = ("loss1/", "loss2/")  # GoogLeNet's, which are for training
        assert entry.multiply_adds == products(in_full(entry), heads)


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
