"""The demo's net and its picture; transfer learning on its digits."""

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from keras_caffe_zoo import cli, demo, feature_extractor


@pytest.fixture(scope="module")
def model():
    return demo.load()


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


def test_dense_map_equals_the_windows_it_slides_over(model):
    images, labels = demo.held_out_digits()
    page, _ = demo.canvas(images[:9], labels[:9], 96, 128, seed=1)
    dense = demo.load(fully_convolutional=True).predict(page[None], verbose=0)[0]
    cells = [(r, c) for r in range(1, 7) for c in range(1, 11)]
    size, stride = demo.WINDOW, demo.STRIDE
    boxes = [
        page[r * stride : r * stride + size, c * stride : c * stride + size]
        for r, c in cells
    ]
    slid = model.predict(np.stack(boxes), verbose=0)
    # conv2 and conv3 are padded, so the windows' own borders differ; argmax need not.
    agree = [
        dense[cell].argmax() == row.argmax()
        for cell, row in zip(cells, slid, strict=True)
    ]
    assert np.mean(agree) >= 0.9


def test_demo_prints_its_accuracy_and_draws_the_page(tmp_path, capsys):
    assert cli.main(["demo", "-o", str(tmp_path / "map.png")]) == 0
    said = capsys.readouterr().out
    assert "400 of 400 right: 100.0%" in said
    assert "72 of 72 digits found, 0 false" in said
    picture = np.asarray(Image.open(tmp_path / "map.png").convert("RGB"))
    assert picture.shape[0] > 800
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500  # not a blank page


@pytest.mark.slow
def test_demo_reports_a_folder_it_cannot_write_to(tmp_path, capsys):
    assert cli.main(["demo", "-o", str(tmp_path / "no" / "map.png")]) == 2
    assert "map.png" in capsys.readouterr().err


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
