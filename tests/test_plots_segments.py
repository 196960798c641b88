"""Pictures of segmentations: colours over the photograph, outlines, a legend."""

import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo.plots import draw_segments
from keras_caffe_zoo.tasks.palettes import palette
from keras_caffe_zoo.tasks.segments import Segments

COLOURS = palette(21, "voc")
NAMES = [f"class {i}" for i in range(21)]


def halves(height=500, width=700):
    """A grey picture of which the left half is class 0 and the right half class 2."""
    labels = np.zeros((height, width), "uint8")
    labels[:, width // 2 :] = 2
    return np.full((height, width, 3), 100, "uint8"), labels


def drawn(picture, labels, background=None, **how):
    found = Segments(labels, NAMES, COLOURS, background)
    return np.asarray(draw_segments(picture, found, **how))


def test_the_photograph_is_seen_through_the_colours():
    found = drawn(*halves(), legend=False)
    assert found.shape == (500, 700, 3)
    assert found[10, 10].tolist() == [50, 50, 50]  # half of it, half of black
    assert found[10, 690].tolist() == [50, 114, 50]  # and of green, 0 128 0


def test_the_background_is_dimmed_and_has_no_colour():
    found = drawn(*halves(), background=0, legend=False)
    assert found[10, 10].tolist() == [60, 60, 60]
    assert found[10, 349].tolist() == [255, 255, 255]  # its outline


def test_regions_have_outlines():
    found = drawn(*halves(), legend=False).astype(int)
    (edges,) = np.nonzero(np.abs(found[10] - found[10, 10]).sum(-1) > 0)
    assert edges[0] == 349  # a pixel on each side of the border
    assert found[10, 350].tolist() != found[10, 351].tolist() == found[10, 690].tolist()


@pytest.mark.parametrize("size", [(500, 700), (700, 240), (40, 60), (61, 9)])
def test_a_legend_stands_below_at_any_size(size):
    picture, labels = halves(*size)
    found = drawn(picture, labels)
    times = max(1, -(-480 // max(size)))
    assert found.shape[1] >= size[1] * times
    legend = found[size[0] * times :]
    assert len(legend) > 20
    assert (legend[0] == 255).all()
    colours = {tuple(pixel) for pixel in legend.reshape(-1, 3).tolist()}
    assert {(0, 0, 0), (0, 128, 0)} <= colours  # the classes that are there
    assert (128, 0, 0) not in colours  # and no other


def test_many_classes_are_cut_short():
    labels = np.arange(400 * 600).reshape(400, 600) // 8000 * 5 % 150
    names, colours = [f"class {i}" for i in range(150)], palette(150)
    picture = np.zeros((400, 600, 3), "uint8")
    image = draw_segments(picture, Segments(labels, names, colours))
    assert image.height < 800


def test_it_is_saved_and_sizes_must_agree(tmp_path):
    picture, labels = halves(40, 60)
    drawn(picture, labels, output=tmp_path / "it.png")
    with Image.open(tmp_path / "it.png") as image:
        assert image.width == 60 * 8
    with pytest.raises(ValueError, match=r"labels \(H, W\) of its size"):
        drawn(picture, labels[:10])
