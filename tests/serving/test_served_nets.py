"""What the page shows is what the nets compute, without the page."""

import numpy as np
import pytest

from keras_caffe_zoo import demo, predict_dense
from keras_caffe_zoo.digits import held_out_digits, written_page
from keras_caffe_zoo.serving.errors import ViewError
from keras_caffe_zoo.serving.kinds import Row
from keras_caffe_zoo.serving.nets import shown
from keras_caffe_zoo.serving.offers import DIGITS, DIGITS_SSD, offers
from keras_caffe_zoo.serving.page import example_pictures
from keras_caffe_zoo.serving.shelf import Shelf


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path_factory.mktemp("cache")))
        yield Shelf(offers())


@pytest.fixture(scope="module")
def pictures():
    return {
        name: np.repeat(pixels[..., None], 3, 2)
        for name, (pixels, _) in example_pictures().items()
    }


def test_the_right_digits_are_found_on_the_page_that_ships(shelf, pictures):
    images, labels = held_out_digits()
    size = pictures["page.png"].shape[:2]
    page, placed = written_page(images[300:350], labels[300:350], *size, demo.SECOND)
    np.testing.assert_array_equal(page, pictures["page.png"][..., 0])
    with shelf.using(DIGITS_SSD) as net:
        answer = net.answer(pictures["page.png"])
    found = answer.result
    boxes = zip(found.names, found.scores, found.boxes, strict=True)
    rows = [(int(name), score, box.tolist()) for name, score, box in boxes]
    assert len(demo.matched(rows, placed)) == len(rows) == len(placed)
    assert [row.name for row in answer.rows] == found.names
    assert answer.picture.shape == pictures["page.png"].shape
    assert (answer.picture != pictures["page.png"]).any()


def test_a_digit_is_read(shelf, pictures):
    with shelf.using(DIGITS) as net:
        answer = net.answer(pictures["digit.png"])
        assert net.classes[0] == "0" and net.has_map
    _, labels = held_out_digits()
    assert answer.rows[0] == Row(str(labels[7]), pytest.approx(1, abs=1e-4), "100.0%")
    assert answer.picture is None


@pytest.mark.slow
def test_the_heat_map_is_of_the_fully_convolutional_net(shelf, pictures):
    with shelf.using(DIGITS) as net:
        picture, chances = net.map(pictures["scattered.png"])
        drawn = net.heat(pictures["scattered.png"], 7)
    np.testing.assert_array_equal(picture, pictures["scattered.png"])
    dense = demo.load(fully_convolutional=True)
    grey = pictures["scattered.png"][..., :1].astype("float32")
    expected = predict_dense(dense, grey, progress=False)
    np.testing.assert_allclose(chances, expected, atol=1e-5)
    assert drawn.dtype == "uint8" and drawn.shape[2] == 3


def test_activations_are_the_nets_own(shelf, pictures):
    with shelf.using(DIGITS) as net:
        assert net.blobs[0] == "data" and net.blobs[-1] == "prob"
        values = net.activations(pictures["digit.png"], "prob")
        data = net.activations(pictures["digit.png"], "data")
        drawn = net.inside(pictures["digit.png"], "conv1", 256)
        expected = net.model.predict(data[None], verbose=0)[0]
    np.testing.assert_array_equal(data[..., 0], pictures["digit.png"][..., 0])
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert drawn.dtype == "uint8" and max(drawn.shape) < 2000


def test_what_a_net_has_not_is_told(shelf, pictures):
    picture = pictures["digit.png"]
    with shelf.using(DIGITS) as net:
        with pytest.raises(ViewError, match="no blob '<conv9>' .* mean"):
            net.activations(picture, "<conv9>")
        for index in (11, -1, "7", [7]):
            with pytest.raises(ViewError, match="no class .*, but 11"):
                net.heat(picture, index)
        for channels in (0, 257, "64", None):
            with pytest.raises(ViewError, match="Expected 1 to 256 channels"):
                net.inside(picture, "conv1", channels)
    with shelf.using(DIGITS_SSD) as net, pytest.raises(ViewError, match="no classes"):
        net.heat(picture)
    with pytest.raises(ViewError, match="no net '../etc' here. There are: 'digits'"):
        shelf.using("../etc").__enter__()


def test_large_pictures_are_shown_smaller():
    large = np.zeros((3000, 4000, 3), "uint8")
    assert shown(large, 120_000).shape == (300, 400, 3)
    assert shown(large, 12_000_000) is large
