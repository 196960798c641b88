"""Skeletons and edges as pictures."""

import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo.plots import draw_edges, draw_poses
from keras_caffe_zoo.tasks.poses import Poses

PAPER = np.full((120, 200, 3), 128, "uint8")


def poses(points, limbs=((0, 1), (1, 2)), size=(120, 200)):
    points = np.asarray(points, "float32")
    scores = np.linspace(0.9, 0.5, len(points)).astype("float32")
    return Poses(points, scores, ("a", "b", "c"), limbs, size)


def test_a_limb_goes_from_point_to_point_and_nowhere_else():
    drawn = np.asarray(draw_poses(PAPER, poses([[[30, 60, 1], [130, 60, 1], NONE]])))
    changed = (drawn != PAPER).any(-1)
    assert changed[60, 30:131].all()
    rows, columns = np.nonzero(changed)
    middles = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    np.testing.assert_allclose(middles, (60, 80), atol=0.5)
    assert np.ptp(rows) < 12 and np.ptp(columns) < 112
    assert (drawn[60, 60] == drawn[60, 100]).all()
    red, green, blue = drawn[60, 80].astype(int)
    assert red > 200 > 100 > green == blue  # the first limb's colour


NONE = (np.nan, np.nan, 0)


def test_lines_are_as_thick_as_people_are_large():
    def rows(length):
        drawn = draw_poses(PAPER, poses([[[5, 60, 1], [5 + length, 60, 1], NONE]]))
        column = np.asarray(drawn)[:, 5 + length // 3]
        return np.count_nonzero((column != 128).any(-1))

    assert rows(20) == rows(40) < rows(180) < 16


def test_nobody_and_what_is_outside_are_no_trouble():
    empty = poses(np.zeros((0, 3, 3)))
    np.testing.assert_array_equal(np.asarray(draw_poses(PAPER, empty)), PAPER)
    far = poses([[[-50, -50, 1], [-20, -50, 1], NONE]])
    np.testing.assert_array_equal(np.asarray(draw_poses(PAPER, far)), PAPER)
    partly = poses([[[-20, 60, 1], [20, 60, 1], [20, 300, 1]]])
    assert (np.asarray(draw_poses(PAPER, partly))[60, 0] != 128).any()
    with pytest.raises(ValueError, match="200 x 120 pixels; received: 60 x 50"):
        draw_poses(np.zeros((50, 60), "uint8"), empty)


def test_pictures_are_saved_and_the_given_one_stays(tmp_path):
    grey = Image.fromarray(PAPER[..., 0])
    found = poses([[[30, 60, 1], [130, 60, 1], [130, 90, 1]]])
    drawn = draw_poses(grey, found, output=tmp_path / "people.png")
    assert (grey.mode, grey.getextrema(), drawn.mode) == ("L", (128, 128), "RGB")
    with Image.open(tmp_path / "people.png") as saved:
        np.testing.assert_array_equal(np.asarray(saved), np.asarray(drawn))


def test_edges_are_dark_on_white(tmp_path):
    edges = np.array([[0, 0.5, 1], [-0.1, 1.2, 0]], "float32")
    drawn = draw_edges(edges, output=tmp_path / "edges.png")
    assert np.asarray(drawn).tolist() == [[255, 128, 0], [255, 0, 255]]
    assert (tmp_path / "edges.png").is_file()
    with pytest.raises(ValueError, match="Expected edges .H, W.; received: shape"):
        draw_edges(np.zeros((2, 3, 1)))
