"""The demo's nets and their pictures; transfer learning on its digits."""

import contextlib
import io
import socket
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from keras_caffe_zoo import (
    cli,
    demo,
    feature_extractor,
    plots,
    predict_dense,
    read_caffemodel,
)
from keras_caffe_zoo.caffe import read_prototxt
from keras_caffe_zoo.digits import PAPER

DATA = Path(demo.__file__).parent / "data" / "demo"
SUFFIXES = ("prototxt", "caffemodel")


@pytest.fixture(scope="module")
def model():
    return demo.load()


@pytest.fixture(scope="module")
def dense():
    return demo.load(fully_convolutional=True)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return what the demo prints, and the folder of its pictures."""

    def refuse(*_):
        raise AssertionError("The demo must need no network.")

    folder, said = tmp_path_factory.mktemp("demo") / "new", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        assert cli.main(["demo", "-o", str(folder)]) == 0
    return said.getvalue(), folder


def test_held_out_digits_are_scikit_learns():
    images, labels = demo.held_out_digits()
    digits = load_digits()
    known = {
        np.rint(image * (255 / 16)).astype("uint8").tobytes(): label
        for image, label in zip(digits.images, digits.target, strict=True)
    }
    assert [known[image.tobytes()] for image in images] == labels.tolist()


def test_net_knows_digits_it_was_not_trained_on(model):
    images, labels = demo.held_out_digits()
    guesses = model.predict(demo.windows(images), verbose=0)[:, : demo.NOTHING]
    assert np.mean(guesses.argmax(-1) == labels) >= 0.99


def test_dense_map_equals_the_windows_it_slides_over(model, dense):
    images, labels = demo.held_out_digits()
    page, _ = demo.canvas(images[:9], labels[:9], 96, 128, seed=1)
    found = dense.predict(page[None], verbose=0)[0]
    cells = [(r, c) for r in range(1, 7) for c in range(1, 11)]
    size, stride = demo.WINDOW, demo.STRIDE
    boxes = [
        page[r * stride : r * stride + size, c * stride : c * stride + size]
        for r, c in cells
    ]
    slid = model.predict(np.stack(boxes), verbose=0)
    # conv2 and conv3 are padded, so the windows' own borders differ; argmax need not.
    agree = [
        found[cell].argmax() == row.argmax()
        for cell, row in zip(cells, slid, strict=True)
    ]
    assert np.mean(agree) >= 0.9


def test_cells_are_drawn_where_they_look(dense):
    """Measured in the picture: the middle of what is coloured is that of the digit."""
    images, _ = demo.held_out_digits()
    page, size = np.zeros((128, 192, 1), "float32"), 26
    corners = [(10, 11), (12, 60), (9, 108), (14, 157), (88, 9), (91, 61), (85, 112)]
    for window, (row, column) in zip(demo.windows(images[14:]), corners, strict=False):
        page[row : row + size, column : column + size] = window[3:29, 3:29]
    probabilities = predict_dense(dense, page, stitch=2, progress=False)
    found = demo.find_digits(probabilities)
    assert len(found) == len(corners)
    drawn = pixels_of(plots.show_digits(page, probabilities, []))
    colour = drawn.max(-1) - drawn.min(-1)
    scale = len(drawn) // len(page)
    off = []
    for row, column in corners:
        middle = row + size / 2, column + size / 2
        assert any(digit[1:] == pytest.approx(middle, abs=2) for digit in found)
        rows, columns = (slice(i * scale, (i + size) * scale) for i in (row, column))
        seen = np.argwhere(colour[rows, columns] > 60).mean(0) + 0.5
        off.append(seen / scale - size / 2)
    assert np.abs(off).max() < 2  # pixels of the page
    assert np.abs(np.mean(off, 0)).max() < 0.5


def test_a_page_says_what_its_cells_are():
    page, chances = np.zeros((128, 192, 1)), np.zeros((13, 21, 11))
    figure = plots.show_digits(page, chances, [])
    (said,) = (text for text in figure.axes[0].texts if "cell" in text.get_text())
    assert "8 x 8 pixels is drawn at the middle of the 32 x 32" in said.get_text()
    assert "edge there are none: no whole window fits" in said.get_text()
    figure.draw_without_rendering()
    written, legend = said.get_window_extent(), figure.legends[0].get_window_extent()
    assert 0 < legend.y1 <= written.y0
    assert written.y1 <= figure.axes[0].get_window_extent().y0
    assert written.x1 < figure.bbox.x1


def pixels_of(figure):
    """Return what is drawn in a figure's axes, (H, W, 3)."""
    file = io.BytesIO()
    figure.savefig(file, format="raw", dpi=figure.dpi)
    width, height = figure.canvas.get_width_height()
    pixels = np.frombuffer(file.getvalue(), "uint8").reshape(height, width, 4)
    box = figure.axes[0].get_window_extent()
    rows = slice(round(height - box.y1), round(height - box.y0))
    return pixels[rows, round(box.x0) : round(box.x1), :3].astype(float)


def test_demo_says_what_it_did(ran):
    said, folder = ran
    assert "400 of 400 right: 100.0%" in said
    assert "72 of 72 digits found, 0 false" in said
    assert "50 of 50 digits found, 0 false" in said
    said = said.replace(str(folder), "folder")
    assert max(map(len, said.splitlines())) <= 80


def test_demo_draws_its_pages(ran):
    _, folder = ran
    sizes = {}
    for path in folder.iterdir():
        with Image.open(path) as picture:
            sizes[path.name] = picture.size
            assert len(picture.getcolors(2**24)) > 500  # not a blank page
    assert sizes == {"digits_heatmap.png": (1488, 808), "digits_boxes.png": (1488, 936)}


def test_demo_reports_a_folder_it_cannot_write_to(tmp_path, capsys):
    (tmp_path / "map.png").touch()
    assert cli.main(["demo", "-o", str(tmp_path / "map.png")]) == 2
    assert "Expected a folder for the demo's pictures" in capsys.readouterr().err


def test_nets_are_genuine_caffe_files():
    net = read_prototxt(DATA / "digits_ssd.prototxt")
    types = {layer.type for layer in net.layers}
    assert types >= {"PriorBox", "Permute", "Flatten", "Concat", "Softmax"}
    assert net.layers[-1].type == "DetectionOutput"
    blobs = read_caffemodel(DATA / "digits_ssd.caffemodel")
    learn = [layer.name for layer in net.layers if layer.type == "Convolution"]
    assert list(blobs) == learn
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 500_000


def test_ssd_finds_the_digits_of_a_page():
    images, labels = demo.held_out_digits()
    model = demo.load_ssd()
    page, placed = demo.written_page(images[200:250], labels[200:250], 384, 704, 48)
    found = demo.find_boxes(model, page)
    assert len(placed) == len(found) == len(demo.matched(found, placed)) == 50
    # What `matched` says, by hand: each digit has a detection with most in common.
    for label, *box in placed:
        assert any(label == other and common(box, b) > 0.5 for other, _, b in found)


@pytest.mark.slow
def test_opencv_finds_the_same():
    """OpenCV 4 reads Caffe's files by itself."""
    cv2 = pytest.importorskip("cv2")
    net = cv2.dnn.readNetFromCaffe(*(str(DATA / f"digits_ssd.{s}") for s in SUFFIXES))
    images, labels = demo.held_out_digits()
    page, _ = demo.written_page(images[200:250], labels[200:250], 384, 704, 48)
    net.setInput(cv2.dnn.blobFromImage(page, mean=PAPER))
    rows = net.forward()[0, 0]
    theirs = rows[rows[:, 2] > 0.5, 1:] - [1, 0, 0, 0, 0, 0]
    theirs[:, 2:] *= [704, 384, 704, 384]
    found = demo.find_boxes(demo.load_ssd(), page)
    ours = np.array([(label, score, *box) for label, score, box in found])
    theirs, ours = (x[np.argsort(x[:, 2])] for x in (theirs, ours))  # by left sides
    np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])
    np.testing.assert_allclose(ours[:, 1], theirs[:, 1], atol=1e-5)
    np.testing.assert_allclose(ours[:, 2:], theirs[:, 2:], atol=0.01)


def common(one, other):
    """Return the intersection over union, counted in quarters of pixels."""
    masks = np.zeros((2, 384 * 4, 704 * 4), bool)
    for mask, box in zip(masks, (one, other), strict=True):
        left, top, right, bottom = (round(4 * side) for side in box)
        mask[max(top, 0) : bottom, max(left, 0) : right] = True
    return (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()


def test_feature_extractor_takes_blobs_after_their_relu(model):
    x = demo.windows(demo.held_out_digits()[0][:3])
    one = feature_extractor(model, "fc4").predict(x, verbose=0)
    assert one.shape == (3, 64)
    assert one.min() == 0 < one.max()
    several = feature_extractor(model, ["pool3", "fc4", "fc5"]).predict(x, verbose=0)
    np.testing.assert_array_equal(several["fc4"], one)
    assert several["pool3"].shape == (3, 3, 3, 48)
    fc5 = model.get_layer("fc5")
    by_hand = one @ keras.ops.convert_to_numpy(fc5.kernel)
    by_hand += keras.ops.convert_to_numpy(fc5.bias)
    np.testing.assert_allclose(several["fc5"], by_hand, rtol=1e-4, atol=1e-3)


def test_feature_extractor_names_what_there_is(model):
    with pytest.raises(
        ValueError, match="no blob or layer 'fc9'. Did you mean .*'fc4'"
    ):
        feature_extractor(model, "fc9")


@pytest.mark.slow
def test_fine_tuning_raises_the_accuracy(model):
    """Two classes the net never had: is the digit even, or odd?"""
    keras.utils.set_random_seed(1)
    features = feature_extractor(demo.load(), "fc4")
    head = keras.layers.Dense(2, activation="softmax", name="parity")
    tuned = keras.Model(features.inputs, head(features.output))
    tuned.get_layer("conv1").trainable = False  # as in the sliding-window example
    tuned.compile(
        keras.optimizers.Adam(1e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    images, labels = demo.held_out_digits()
    x, y = demo.windows(images), labels % 2
    before = tuned.evaluate(x[300:], y[300:], verbose=0)[1]
    tuned.fit(x[:300], y[:300], epochs=15, verbose=0)
    after = tuned.evaluate(x[300:], y[300:], verbose=0)[1]
    assert before < 0.8 < 0.9 <= after
