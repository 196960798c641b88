"""What a detector found, drawn on the picture."""

import numpy as np
import pytest

from keras_caffe_zoo.plots import draw_boxes
from keras_caffe_zoo.plots._colours import colour_of
from keras_caffe_zoo.tasks.boxes import Names, sorted_detections

NAMES = ["background", "cat", "dog"]


def found(boxes, labels, size):
    scores = np.linspace(0.9, 0.5, len(labels))
    names = Names(NAMES, 3)
    return sorted_detections(np.array(boxes), np.array(labels), scores, size, names)


@pytest.mark.parametrize("size", [(90, 120), (1080, 1920), (1400, 300)])
def test_boxes_stand_where_things_are_in_their_classes_colours(size):
    height, width = size
    box = [0.25 * width, 0.4 * height, 0.75 * width, 0.8 * height]
    drawn = draw_boxes(np.zeros((*size, 3), "uint8"), found([box], [2], size))
    pixels = np.asarray(drawn)
    assert pixels.shape == (*size, 3)
    rows, columns = np.nonzero((pixels == colour_of(2)).all(-1))
    line = max(2, round((height * width) ** 0.5 / 350))
    letters = 0.2 * height  # above
    assert 0 <= box[0] - columns.min() <= line
    assert 0 <= columns.max() + 1 - box[2] <= max(line, width / 4)
    assert 0 <= box[1] - rows.min() <= letters
    assert 0 <= rows.max() + 1 - box[3] <= line
    middle = pixels[round(0.6 * height), round(width / 2)]
    assert not middle.any()


def test_a_class_has_one_colour_whatever_else_there_is():
    black = np.zeros((60, 200, 3), "uint8")
    dog = draw_boxes(black, found([[100, 20, 190, 50]], [2], (60, 200)))
    both = [[100, 20, 190, 50], [5, 20, 60, 50]]
    both = draw_boxes(black, found(both, [2, 1], (60, 200)))
    np.testing.assert_array_equal(np.asarray(dog)[:, 100:], np.asarray(both)[:, 100:])


def test_boxes_at_the_pictures_edge_are_seen_whole():
    drawn = np.asarray(
        draw_boxes(
            np.zeros((50, 80, 3), "uint8"), found([[-9, -9, 99, 99]], [1], (50, 80))
        )
    )
    for edge in (drawn[-1, 40], drawn[25, 0], drawn[25, -1], drawn[0, -2]):
        assert tuple(edge) == colour_of(1)


def test_nothing_found_leaves_the_picture_and_small_ones_are_no_trouble():
    rng = np.random.default_rng(0)
    for size in ((1, 1), (3, 200), (200, 3)):
        pixels = rng.integers(0, 256, (*size, 3), "uint8")
        none = found(np.zeros((0, 4)), [], size)
        np.testing.assert_array_equal(np.asarray(draw_boxes(pixels, none)), pixels)
        drawn = draw_boxes(pixels, found([[0, 0, *size[::-1]]] * 3, [1, 2, 1], size))
        assert drawn.size == size[::-1]
    beyond = found([[90, 90, 99, 99]], [1], (20, 30))  # of no area, in the corner
    assert draw_boxes(np.zeros((20, 30, 3), "uint8"), beyond).size == (30, 20)
