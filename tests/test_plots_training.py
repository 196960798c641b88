"""Pictures of trainings: each number of a history is drawn, each count of a matrix."""

import keras
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from keras_caffe_zoo.plots import confusion, history

SEEN = {
    "loss": [2.0, 1.0, 0.5, 0.05],
    "accuracy": [0.01, 0.4, 0.6, 0.9],
    "learning_rate": [0.1, 0.1, 0.001, 0.001],
    "val_loss": [2.2, 1.1, 0.7, 0.6],
    "val_accuracy": [0.1, 0.3, 0.5, 0.8],
}


def lines_of(figure):
    """Return the points of each line by its plot and name."""
    return {
        (axes.get_ylabel(), line.get_label()): line.get_xydata().tolist()
        for axes in figure.axes
        for line in axes.get_lines()
    }


def points(values, epochs=(1, 2, 3, 4)):
    return [list(pair) for pair in zip(epochs, values, strict=True)]


def test_a_history_is_drawn_with_a_plot_for_each_metric(tmp_path):
    figure = history(SEEN, output=tmp_path / "h.png", title="a net")
    assert lines_of(figure) == {
        ("loss", "training"): points(SEEN["loss"]),
        ("loss", "validation"): points(SEEN["val_loss"]),
        ("accuracy", "training"): points(SEEN["accuracy"]),
        ("accuracy", "validation"): points(SEEN["val_accuracy"]),
        ("learning_rate", "learning rate"): points(SEEN["learning_rate"]),
    }
    scales = [axes.get_yscale() for axes in figure.axes]
    assert scales == ["log", "linear", "log"]
    assert figure.axes[-1].get_xlabel() == "epoch"
    assert (tmp_path / "h.png").stat().st_size > 1000


def callback(values, epochs):
    seen = keras.callbacks.History()
    seen.history, seen.epoch = values, epochs
    return seen


def test_a_training_that_went_on_has_its_own_epochs():
    figure = history(callback({"loss": [3.0, 2.0]}, [5, 6]))
    assert lines_of(figure) == {("loss", "training"): [[6, 3], [7, 2]]}


def test_several_histories_are_drawn_together_in_colours():
    figure = history({"slow": SEEN, "fast": callback({"loss": [1.0]}, [0])})
    drawn = lines_of(figure)
    assert drawn["loss", "slow: validation"] == points(SEEN["val_loss"])
    assert drawn["loss", "fast: training"] == [[1, 1]]
    colours = {x.get_label(): x.get_color() for x in figure.axes[0].get_lines()}
    assert colours["slow: training"] == colours["slow: validation"]
    assert colours["slow: training"] != colours["fast: training"]


@pytest.mark.parametrize(("freq", "epochs"), [(2, (2, 4)), ([1, 4], (1, 4))])
def test_validation_of_some_epochs_stands_at_those(freq, epochs):
    seen = {"loss": [4, 3, 2, 1], "val_loss": [8, 7]}
    drawn = lines_of(history(seen, validation_freq=freq))
    assert drawn["loss", "validation"] == points([8, 7], epochs)
    with pytest.raises(
        ValueError, match="'val_loss' for each of 4 .* received: 2. Giv"
    ):
        history(seen)


def test_what_is_not_finite_is_a_gap_that_is_told():
    seen = {"loss": [1.0, float("nan"), 0.5, float("inf")], "_$x$": [0, 1, 2, 3]}
    figure = history(seen)
    figure.draw_without_rendering()
    drawn = lines_of(figure)
    line = drawn["loss", "training (2 not finite)"]
    np.testing.assert_equal(line, points([1, np.nan, 0.5, np.nan]))
    assert len(figure.axes[1].get_legend().get_texts()) == 1


def test_many_metrics_stand_in_two_columns():
    figure = history({f"m{i}": [1, 2] for i in range(5)})
    assert len(figure.axes) == 5
    assert [bool(axes.get_xlabel()) for axes in figure.axes] == [False] * 3 + [True] * 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "at least one epoch; received: none"),
        ({"loss": []}, "at least one epoch; received: none"),
        (callback({}, []), "at least one epoch; received: none"),
        ([1.0, 0.5], "what fit returned, .* received: list"),
        ({"a": SEEN, "loss": [1.0]}, "what fit returned"),
        ({"loss": [1.0], "accuracy": [0.1, 0.2]}, "'loss' for each of 2 epochs"),
        ({"loss": [1.0], "f1": [[0.1, 0.2]]}, "a list of numbers, .* for 'f1'"),
        ({"loss": ["a"]}, "a list of numbers, .* for 'loss'"),
    ],
)
def test_what_is_no_history_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        history(wrong)


def texts_of(figure):
    """Return what stands in the cells, by row and column."""
    texts = figure.axes[0].texts
    return {
        tuple(map(int, text.get_position()[::-1])): text.get_text() for text in texts
    }


def matrix_of(classes, seed=0):
    counts = np.random.default_rng(seed).poisson(0.5, (classes, classes))
    return counts + np.diag(np.full(classes, 40))


def test_rows_are_what_is_true(tmp_path):
    path = tmp_path / "c.png"
    counts = np.array([[8, 2, 0], [0, 399, 1], [0, 0, 0]])
    figure = confusion(counts, labels=["cat", "dog", "$a$"], output=path)
    cells = {(0, 0): "8", (0, 1): "2", (1, 1): "399", (1, 2): "1"}
    assert texts_of(figure) == cells
    axes = figure.axes[0]
    assert axes.get_ylabel() == "what is true"
    assert [x.get_text() for x in axes.get_yticklabels()] == ["cat", "dog", r"\$a\$"]
    assert figure.texts[0].get_text() == "407 of 410 right: 99.3%"
    assert path.stat().st_size > 1000
    shares = {(0, 0): "80%", (0, 1): "20%", (1, 1): "99%", (1, 2): "<1%"}
    assert texts_of(confusion(counts, normalize=True)) == shares


def test_a_model_and_its_data_are_drawn_with_the_datasets_names():
    image = keras.Input((1, 1, 2))
    data = [(np.float32([[[[1, 0]]], [[[0, 1]]], [[[0, 1]]]]), np.array([0, 0, 1]))]

    class Named(list):
        class_names = ("cat", "dog")

    figure = confusion(keras.Model(image, image), Named(data))
    assert texts_of(figure) == {(0, 0): "1", (0, 1): "1", (1, 1): "1"}
    assert figure.axes[0].get_xticklabels()[1].get_text() == "dog"


@pytest.mark.parametrize(
    "classes",
    [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (30, 100, 101, 1000))],
)
def test_every_cell_has_its_pixels_and_every_error_is_seen(classes):
    """Measured in the picture: a cell is white where nothing is, else a colour."""
    counts = matrix_of(classes)
    figure = confusion(counts, labels=[f"{'long ' * 9}{i}" for i in range(classes)])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    box = figure.axes[0].get_window_extent()
    side = round(box.width) / classes
    assert side == int(side) >= 1
    corner = len(pixels) - round(box.y1), round(box.x0)
    steps = (np.arange(classes) * side + side // 5).astype(int)
    cells = pixels[np.ix_(corner[0] + steps, corner[1] + steps)]
    inner = np.s_[1:-1, 1:-1] if side == 1 else np.s_[:]  # but for the frame
    seen = (255 - cells.min(-1) > 30)[inner]
    np.testing.assert_array_equal(seen, counts[inner] > 0)
    red, blue = cells[..., 0], cells[..., 2]
    assert (np.diag(blue) > np.diag(red))[1:-1].all()
    wrong = (counts > 0) & ~np.eye(classes, dtype=bool)
    assert (red > blue)[inner][wrong[inner]].all()


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 12, 30, 60, 100, 300])
def test_names_and_errors_stay_in_the_picture(classes):
    names = [f"{'W' * 40} {i}" for i in range(classes)]
    figure = confusion(matrix_of(classes), labels=names)
    figure.draw_without_rendering()
    written = [*figure.texts]
    for axes in figure.axes:
        written += [*axes.get_xticklabels(), *axes.get_yticklabels(), *axes.texts]
        written += [axes.xaxis.label, axes.yaxis.label]
    boxes = [text.get_window_extent() for text in written if text.get_text()]
    assert min(min(box.x0, box.y0) for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= figure.bbox.width
    listed = [text.get_text() for text in figure.texts[2:]]
    assert bool(listed) == (classes > 40)
    below = figure.axes[0].xaxis.label.get_window_extent().y0
    assert all(text.get_window_extent().y1 < below for text in figure.texts[2:])


def test_errors_are_listed_where_numbers_cannot_be_read():
    counts = np.diag(np.full(120, 10))
    counts[3, 90], counts[7, 1] = 5, 6
    figure = confusion(counts)
    assert [text.get_text() for text in figure.texts[3:]] == [
        "7 taken for 1: 6 of 16",
        "3 taken for 90: 5 of 15",
    ]


@pytest.mark.parametrize(
    ("wrong", "options", "said"),
    [
        (np.ones((2, 3)), {}, r"counts \(classes, classes\).*shape \(2, 3\)"),
        (np.zeros((2, 2)), {}, "at least one picture"),
        (-np.ones((2, 2)), {}, "none negative"),
        (np.eye(2) * np.nan, {}, "none negative"),
        (np.eye(2), {"labels": ["a"]}, "Expected 2 `labels`; received: 1"),
        (
            keras.Model(x := keras.Input((2,)), x),
            {},
            "Expected data to try the model on",
        ),
    ],
)
def test_what_is_no_matrix_is_refused(wrong, options, said):
    with pytest.raises(ValueError, match=said):
        confusion(wrong, **options)
