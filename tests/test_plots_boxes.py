"""Boxes on pictures: where they are, their colours, and what is written beside them."""

import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo.plots import draw_boxes
from keras_caffe_zoo.plots._colours import colour_of, text_on

GREY = np.full((300, 400), 90, "uint8")


def is_of(picture, colour):
    return (np.asarray(picture) == colour).all(-1)


def test_line_stands_around_what_is_in_the_box():
    drawn = np.asarray(draw_boxes(GREY, [[50, 80, 150, 200]], ["dog"]))
    line = is_of(drawn, colour_of(0))
    assert line[79:201, 49].all() and line[79:201, 150].all()
    assert line[79, 49:151].all() and line[200, 49:151].all()
    assert (drawn[81:199, 51:149] == 90).all()


def test_input_is_not_drawn_on():
    for picture in (GREY.copy(), Image.fromarray(GREY), np.stack([GREY] * 3, -1)):
        draw_boxes(picture, [[50, 80, 150, 200]], ["dog"])
        assert (np.asarray(picture) == 90).all()


def test_class_keeps_its_colour_in_every_picture():
    names = ["cat", "cow", "dog"]
    one = draw_boxes(GREY, [[50, 80, 150, 200]], ["dog"], [0.9], classes=names)
    assert is_of(one, colour_of(2)).any() and not is_of(one, colour_of(0)).any()
    assert len({colour_of(i) for i in range(200)}) == 200


@pytest.mark.parametrize("index", range(30))
def test_names_are_legible_on_their_colours(index):
    colour = colour_of(index)
    text = 255 if text_on(colour) == "white" else 0
    # WCAG's contrast, which asks 3 of large or bold letters.
    light, dark = sorted((luminance([text] * 3), luminance(colour)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) > 3


def luminance(colour):
    parts = np.array(colour) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize(
    "box", [(0, 0, 40, 30), (390, 0, 400, 20), (0, 280, 30, 300), (-20, -9, 430, 320)]
)
def test_names_stay_inside_the_picture(box):
    name, colour = "television", colour_of(0)
    boxed = is_of(draw_boxes(GREY, [box], [name]), colour)
    away = is_of(draw_boxes(GREY, [(150, 100, 250, 200)], [name]), colour)
    frame = is_of(draw_boxes(GREY, [(150, 100, 250, 200)], [""]), colour)
    assert boxed.sum() > 0.8 * (away.sum() - frame.sum())


def test_lines_and_letters_grow_with_the_picture():
    large = np.kron(GREY, np.ones((8, 8), "uint8"))
    small = is_of(draw_boxes(GREY, [[50, 80, 150, 200]], ["dog"]), colour_of(0))
    wide = is_of(draw_boxes(large, [[400, 640, 1200, 1600]], ["dog"]), colour_of(0))
    assert small[150, :100].sum() == 2
    assert wide[1200, :800].sum() == 8
    assert wide.sum() > 20 * small.sum()


def test_names_of_crowded_boxes_do_not_cover_each_other():
    boxes = [[100 + 30 * i, 100, 124 + 30 * i, 130] for i in range(3)]
    names, scores = ["a", "b", "c"], [0.9, 0.8, 0.7]
    drawn = draw_boxes(GREY, boxes, names, scores)
    for index in range(3):
        alone = draw_boxes(GREY, boxes[:1], names[:1], scores[:1])
        tag = is_of(alone, colour_of(0)).sum()
        assert is_of(drawn, colour_of(index)).sum() > 0.85 * tag


def test_picture_is_saved(tmp_path):
    drawn = draw_boxes(GREY, [], [], [], output=tmp_path / "found.png")
    assert (np.asarray(drawn) == 90).all()
    with Image.open(tmp_path / "found.png") as saved:
        assert saved.size == (400, 300)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (([[0, 0, 9, 9]], []), "as many labels"),
        (([[0, 0, 9]], ["dog"]), "as many labels"),
        (([[0, 0, 9, 9]], ["dog"], [0.5, 0.5]), "as many labels"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        draw_boxes(GREY, *given)


def test_label_that_is_no_class_is_named():
    with pytest.raises(ValueError, match="received: 'dgo'. Did you mean .*'dog'"):
        draw_boxes(GREY, [[0, 0, 9, 9]], ["dgo"], classes=["cat", "dog"])
