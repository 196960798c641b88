"""Heat maps: what is written in them can be read, and says what is drawn."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from keras_caffe_zoo.dense import Grid
from keras_caffe_zoo.plots import heatmap

LONG = "great white shark, man-eating shark, Carcharodon carcharias, " * 4
EDGE = "no colours at the edge: a cell is only where a whole such window fits"
NOISE = np.random.default_rng(0).integers(0, 256, (80, 120, 3), "uint8")


def mapped(image, window, stride, surest=(0, 0), classes=3):
    """Return a map, its class 1 at 97% in one cell, and its grid."""
    shape = tuple((side - window) // stride + 1 for side in image.shape[:2])
    pairs = shape, (window,) * 2, (stride,) * 2
    chances = np.full((*shape, classes), 0.01)
    chances[(*surest, 1)] = 0.97
    return chances, Grid(*pairs, (0, 0), (window,) * 2, (0, 0))


def drawn(image, window=32, stride=8, surest=(0, 0), **options):
    chances, grid = mapped(image, window, stride, surest)
    return heatmap(image, chances, grid=grid, **options)


def pixels_of(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float)


def label_of(figure):
    """Return the text in the picture, and its place, left, right, bottom and top."""
    figure.draw_without_rendering()
    (label,) = figure.axes[0].texts
    box = label.get_bbox_patch().get_window_extent()
    return label.get_text(), (box.x0, box.x1, box.y0, box.y1)


def caption_of(figure):
    return " ".join(figure.legends[0].get_title().get_text().split())


def test_a_caption_says_what_the_percentages_and_the_box_are():
    figure = drawn(NOISE, window=8)
    said = caption_of(figure)
    assert "the middle of the 8 x 8 pixels that it looks at" in said
    assert "for each class, the maximum over the map" in said
    assert "the box is what the surest looks at" in said

    assert EDGE not in said


def test_edges_without_colours_are_explained():
    assert EDGE in caption_of(drawn(NOISE))


@pytest.mark.slow
def test_cells_that_are_spread_evenly_are_not_said_to_look_anywhere():
    said = caption_of(heatmap(NOISE, np.full((3, 4, 2), 0.1)))
    assert "spread evenly" in said
    assert "middle of" not in said and EDGE not in said


@pytest.mark.parametrize(
    ("size", "window", "surest"),
    [
        ((80, 120), 32, (6, 11)),
        pytest.param((40, 600), 20, (0, 72), marks=pytest.mark.slow),
        pytest.param((80, 120), 32, (0, 0), marks=pytest.mark.slow),
        pytest.param((12, 12), 12, (0, 0), marks=pytest.mark.slow),
        pytest.param((300, 40), 40, (32, 0), marks=pytest.mark.slow),
        pytest.param((33, 41), 35, (0, 0), marks=pytest.mark.slow),
    ],
)
def test_a_label_stands_inside_the_picture(size, window, surest):
    image = np.resize(NOISE, (*size, 3))
    shape = tuple(max(1, (side - window) // 8 + 1) for side in size)
    grid = Grid(shape, (window,) * 2, (8, 8), (0, 0), (window,) * 2, (0, 0))
    chances = np.full((*shape, 2), 0.01)
    chances[(*surest, 1)] = 0.97
    figure = heatmap(image, chances, grid=grid)
    text, (left, right, bottom, top) = label_of(figure)
    room = figure.axes[0].get_window_extent()
    assert text == "97.0%"
    assert room.x0 - 1 <= left < right <= room.x1 + 1
    assert room.y0 - 1 <= bottom < top <= room.y1 + 1


@pytest.mark.parametrize(
    "ground",
    ["white", *(pytest.param(x, marks=pytest.mark.slow) for x in ("black", "noise"))],
)
def test_a_label_is_legible_and_a_box_is_seen_on_any_ground(ground):
    image = {"white": NOISE * 0 + 255, "black": NOISE * 0, "noise": NOISE}[ground]
    figure = drawn(image, surest=(3, 5))
    pixels = pixels_of(figure).mean(-1)
    _, (left, right, bottom, top) = label_of(figure)
    high = len(pixels)
    inside = pixels[
        round(high - top) + 3 : round(high - bottom) - 3,
        round(left) + 3 : round(right) - 3,
    ]
    assert inside.max() > 240  # the letters
    assert np.median(inside) < 100  # what they stand on, though the image be white
    (box,) = figure.axes[0].patches
    edge = box.get_window_extent()
    row = pixels[round(high - (edge.y0 + edge.y1) / 2)]
    across = row[round(edge.x0) - 4 : round(edge.x0) + 5]
    assert across.max() > 230 and across.min() < 30  # white, with black around it


@pytest.mark.slow
def test_a_box_that_hangs_over_the_end_is_seen_whole():
    chances = np.array([[[0.9]]])
    grid = Grid((1, 1), (100, 150), (8, 8), (-5, -5), (100, 150), (0, 0))
    (box,) = heatmap(NOISE, chances, grid=grid).axes[0].patches
    assert box.get_bbox().extents.tolist() == [0, 0, 120, 80]


def test_long_names_and_formulas_stay_in_the_picture(tmp_path):
    names = [LONG, "$x^$ and $\\alpha$", "two\nlines"]
    path = tmp_path / "map.png"
    figure = drawn(NOISE, class_names=names, class_index=0, output=path)
    legend = figure.legends[0]
    assert path.exists()
    for text in (figure.axes[0].title, *legend.get_texts(), legend.get_title()):
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    listed = [text.get_text() for text in legend.get_texts()]
    assert listed[0].endswith("…") and listed[2].endswith("two lines")
    assert "\\$x^\\$" in listed[1]  # drawn as it is written


@pytest.mark.slow
def test_many_classes_do_not_take_the_pictures_room():
    few, many = (drawn(NOISE, top=top) for top in (1, 3))
    few.draw_without_rendering()
    many.draw_without_rendering()
    sizes = [figure.axes[0].get_window_extent().width for figure in (few, many)]
    assert sizes[1] > 0.97 * sizes[0]


@pytest.mark.slow
@pytest.mark.parametrize("light", [255, 128])
def test_a_grey_page_keeps_its_light(light):
    for page in (np.full((80, 120), light, "uint8"), np.full((80, 120, 1), light)):
        layer = heatmap(page, np.full((2, 3, 2), 0.1)).axes[0].images[0]
        assert layer.norm(light) == pytest.approx(light / 255)


@pytest.mark.parametrize(
    ("image", "chances", "said"),
    [
        (NOISE, np.full((2, 2, 3), 4.5), "probabilities, from 0 to 1.*softmax"),
        (NOISE, np.full((2, 2, 3), -0.5), "probabilities, from 0 to 1"),
        (NOISE, np.full((2, 2, 3), np.nan), "probabilities, from 0 to 1"),
        (NOISE, np.zeros((0, 2, 3)), "a map .rows, columns, classes."),
        (NOISE[None], np.full((2, 2, 3), 0.1), r"an image \(H, W, 3\).*\(1, 80"),
    ],
)
def test_what_is_no_map_or_image_is_refused(image, chances, said):
    with pytest.raises(ValueError, match=said):
        heatmap(image, chances)
