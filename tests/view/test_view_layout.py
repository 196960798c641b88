"""Boxes stand apart, edges go down and around them; long chains are no worse."""

import subprocess
import sys

import numpy as np
import pytest
from support import GOLDENS
from viewed_nets import alexnet, inception, resnet

from keras_caffe_zoo.caffe import parse_prototxt, read_prototxt
from keras_caffe_zoo.view.folding import folded
from keras_caffe_zoo.view.layout import WIDTH, can_lay_out, lay_out

NETS = {
    "a chain": lambda: parse_prototxt(alexnet()),
    "ResNet": lambda: parse_prototxt(resnet((2, 2, 1))),
    "Inception": lambda: parse_prototxt(inception()),
    "SSD": lambda: read_prototxt(GOLDENS / "forks" / "net_ssd_mini.prototxt"),
    "Faster R-CNN": lambda: read_prototxt(
        GOLDENS / "forks" / "net_faster_rcnn_mini.prototxt"
    ),
}


def laid_out(net):
    graph = folded(net.layers)
    heights = [56 + 17 * (len(node) - 1) for node in graph.nodes]
    return graph, lay_out(heights, list(graph.edges))


def boxes(layout):
    return np.array([(p.x, p.y, p.x + WIDTH, p.y + p.height) for p in layout.places])


def points(leg):
    """Points of the curve that a leg is: upright at both its ends."""
    t = np.linspace(0, 1, 21)
    weights = 3 * t**2 - 2 * t**3  # of a cubic curve whose ends are upright
    middle = (leg.y0 + leg.y1) / 2
    y = leg.y0 * (1 - t) ** 3 + 3 * middle * t * (1 - t) + leg.y1 * t**3
    return leg.x0 + (leg.x1 - leg.x0) * weights, y


@pytest.mark.parametrize("name", NETS)
def test_no_boxes_overlap(name):
    found = boxes(laid_out(NETS[name]())[1])
    low, high = found[:, None, :2], found[:, None, 2:]
    overlap = ((low < found[None, :, 2:]) & (found[None, :, :2] < high)).all(-1)
    assert overlap.sum() == len(found)  # each with itself


@pytest.mark.parametrize("name", NETS)
def test_edges_go_down_from_box_to_box_and_around_all_others(name):
    graph, layout = laid_out(NETS[name]())
    found = boxes(layout)
    assert layout.edges.keys() == graph.edges.keys()
    for (start, end), legs in layout.edges.items():
        first, last = layout.places[start], layout.places[end]
        assert (legs[0].x0, legs[0].y0) == (first.centre, first.y + first.height)
        assert (legs[-1].x1, legs[-1].y1) == (last.centre, last.y)
        for leg, after in zip(legs, legs[1:], strict=False):
            assert (leg.x1, leg.y1) == (after.x0, after.y0)
        others = np.delete(found, [start, end], axis=0)
        for leg in legs:
            assert leg.y1 >= leg.y0
            x, y = (values[:, None] for values in points(leg))
            inside = (others[:, 0] < x) & (x < others[:, 2])
            inside &= (others[:, 1] < y) & (y < others[:, 3])
            assert not inside.any()


def test_all_is_within_the_picture_and_the_same_each_time():
    graph, layout = laid_out(NETS["SSD"]())
    found = boxes(layout)
    assert found.min() == 0
    assert found[:, 2].max() <= layout.width and found[:, 3].max() == layout.height
    assert layout == laid_out(NETS["SSD"]())[1]


def test_parts_that_nothing_connects_stand_beside_each_other():
    layout = lay_out([50.0] * 60, [(0, 1), (10, 11)])
    found = boxes(layout)
    assert len(np.unique(found[:, :2], axis=0)) == 60
    assert layout.width <= 4000 < 60 * WIDTH


def test_a_program_that_logs_is_told_nothing():
    program = (
        "import logging; logging.basicConfig(level='DEBUG');"
        "from keras_caffe_zoo.view.layout import lay_out;"
        "lay_out([50.0] * 5, [(0, 1), (1, 2), (3, 4)])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_long_chains_and_tangles_are_bounded():
    chain = [(i, i + 1) for i in range(1999)]
    assert can_lay_out(2000, chain)
    assert lay_out([50.0] * 2000, chain).height > 2000 * 50
    tangle = [(i, j) for i in range(200) for j in range(i + 1, 200)]
    assert not can_lay_out(200, tangle)
    rows = [(i, 100 + j) for i in range(100) for j in range(100)]
    assert not can_lay_out(200, rows)
