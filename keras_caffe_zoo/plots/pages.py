"""The demo's pictures: its two pages, and what its nets find on them."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from keras_caffe_zoo.dense import Grid
from keras_caffe_zoo.digits import STRIDE, WINDOW
from keras_caffe_zoo.plots._colours import colour_of, text_on
from keras_caffe_zoo.plots._figure import extent_of, framed, saved
from keras_caffe_zoo.plots.boxes import draw_boxes

_ACROSS = 1408  # pixels, about as wide as a page is drawn


def show_digits(page, probabilities, found, output=None) -> Figure:
    """Draw the demo's page, what the net sees where, and the digits it found.

    Args:
        page: The canvas, (H, W, 1) in 0-255.
        probabilities: The net's map, its last class being "nothing". If `predict_dense`
            made it, its cells may be closer than the net's stride.
        found: `(label, row, column)` of each digit found, in pixels.
        output: Where to save the picture, if anywhere.

    Example:
        >>> from keras_caffe_zoo import demo
        >>> page, chances = np.zeros((64, 96, 1)), np.full((5, 9, 11), 1 / 11)
        >>> figure = kcz.plots.show_digits(page, chances, [(7, 32.0, 48.0)])
        >>> len(figure.axes)
        1
    """
    grid = _windows_of(probabilities)
    chances = np.asarray(probabilities)
    height, width = page.shape[:2]
    scale = _scale(width)
    figure, axes = framed(
        (width * scale, height * scale),
        "Which digit, and where",
        "A Caffe net that reads one digit, made fully convolutional: it looks at the "
        f"whole page, every {grid.stride[0]} pixels. It was trained on none of these.",
    )
    # A pixel is the square from its number to the next, as cells' places are meant.
    axes.imshow(
        255 - page[..., 0],
        cmap="gray",
        vmin=0,
        vmax=255,
        extent=(0, width, height, 0),
        interpolation="bicubic",
    )
    colours = np.array([colour_of(digit) for digit in range(10)]) / 255
    tint = colours[chances[..., :-1].argmax(-1)]
    cells = np.concatenate([tint, 0.65 * (1 - chances[..., -1:])], -1)
    axes.imshow(cells, extent=extent_of(cells.shape, grid), interpolation="nearest")
    axes.set(xlim=(0, width), ylim=(height, 0))
    for label, row, column in found:
        _draw_label(axes, label, row, column, scale)
    _write_below(
        axes,
        "A cell of {1} x {0} pixels is drawn at the middle of the {3} x {2} that it "
        "answers for, the stronger the surer it is of a digit. At the very edge there "
        "are none: no whole window fits.".format(*grid.stride, *grid.window),
    )
    legend = [Patch(color=c, label=str(i)) for i, c in enumerate(colours)]
    figure.legend(
        handles=legend,
        loc="lower center",
        ncols=10,
        frameon=False,
        borderaxespad=0.1,
    )
    return saved(figure, output)


def show_digit_boxes(page, found, output=None) -> Figure:
    """Draw the demo's second page with the boxes of the digits that the SSD found.

    Args:
        page: The page, uint8 (H, W).
        found: `(label, score, box)` of each digit, the box (left, top, right, bottom)
            in pixels.
        output: Where to save the picture, if anywhere.

    Example:
        >>> page, found = np.full((64, 96), 225, "uint8"), [(7, 0.9, (10, 10, 30, 50))]
        >>> figure = kcz.plots.show_digit_boxes(page, found)
        >>> len(figure.axes)
        1
    """
    height, width = page.shape
    scale = _scale(width)
    size = (width * scale, height * scale)
    figure, axes = framed(
        size,
        "Boxes around digits of any size",
        "An SSD of Caffe's fork, as a Keras model, in one step from the page to boxes, "
        "labels and scores. It was trained on none of these.",
    )
    labels, scores, boxes = zip(*found, strict=True) if found else ((), (), ())
    drawn = draw_boxes(
        Image.fromarray(page).resize(size, Image.BICUBIC),
        np.array(boxes) * scale,
        labels,
        scores,
        classes=range(10),
    )
    axes.imshow(drawn, extent=(0, width, height, 0), interpolation="nearest")
    count = len(found)
    figure.text(0.5, 0.04, f"{count} digits found, with their scores", ha="center")
    return saved(figure, output)


def _scale(width: int) -> int:
    """Return how many pixels of a picture one of a page becomes, across and down."""
    return max(1, round(_ACROSS / width))


def _windows_of(probabilities) -> Grid:
    """Return where the cells of the demo's map look: each at the middle of a window.

    What `output_grid` calls a cell's box is 3 pixels larger, since poolings reach over
    the window's end. But the net learned digits in the middle of windows: it is surest
    where one is 16.0 pixels, to a tenth, behind the cell's first, and not 17.5.
    """
    grid = getattr(probabilities, "grid", None)
    stride = grid.stride if grid else (STRIDE, STRIDE)
    window = (WINDOW, WINDOW)
    return Grid(probabilities.shape[:2], window, stride, (0, 0), window, (0, 0))


def _write_below(axes, text: str) -> None:
    """Write a line right below a framed picture."""
    axes.annotate(
        text,
        (0, 0),
        (0, -5),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        fontsize=9,
        color="#555555",
    )


def _draw_label(axes, label: int, row: float, column: float, scale: int) -> None:
    """Draw a digit that was found, up and to the right of where it is."""
    colour = colour_of(label)
    axes.text(
        min(column + 13, axes.get_xlim()[1] - 7),
        max(row - 10, 7),
        str(label),
        ha="center",
        va="center_baseline",
        fontsize=4.5 * scale,
        weight="bold",
        color=text_on(colour),
        bbox={
            "boxstyle": "circle,pad=0.2",
            "fc": tuple(part / 255 for part in colour),
            "ec": "white",
            "lw": 1,
        },
    )
