"""`classify`: each net's own rule for pictures, and its own names of classes."""

import keras
import numpy as np
import pytest
from PIL import Image

import keras_caffe_zoo as kcz
from keras_caffe_zoo.labels import class_names
from keras_caffe_zoo.models._classifier import ClassifierDesign
from keras_caffe_zoo.preprocessing import cut

PIXELS = np.random.default_rng(0).integers(0, 256, (290, 310, 3), "uint8")


@pytest.fixture(autouse=True)
def narrow(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 8)


@pytest.fixture(scope="module")
def small():
    """A classifier of one's own: mean and largest of each channel of 24 x 32 pixels."""
    image = keras.Input((24, 32, 3))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, keras.layers.Softmax()(mean), name="channels")


def of_zoo(name, **options):
    """A net of the zoo with its random weights, and what `classify` says with them."""
    keras.utils.set_random_seed(0)
    model = getattr(kcz, name)(weights=None)
    keras.utils.set_random_seed(0)
    return model, kcz.classify(name, PIXELS, weights=None, **options)


@pytest.mark.parametrize(
    "name",
    [
        "age_net",
        pytest.param("gender_net", marks=pytest.mark.slow),
        pytest.param("open_nsfw", marks=pytest.mark.slow),
        pytest.param("places365_alexnet", marks=pytest.mark.slow),
        pytest.param("densenet121", marks=pytest.mark.slow),
        pytest.param("shufflenet_v2_x05", marks=pytest.mark.slow),
    ],
)
def test_a_net_of_the_zoo_is_given_pictures_by_its_own_rule(name):
    model, found = of_zoo(name)
    x = kcz.preprocess_input(cut(PIXELS, kcz.model_info(name))[None], name)
    y = model.predict(x, verbose=0)
    np.testing.assert_allclose(found.scores, y[0], atol=1e-5)
    (named,) = kcz.decode_predictions(found.scores[None], model=name)
    assert found.classes == named
    assert len(found.classes) == min(5, y.shape[1])
    assert found.has_probabilities


@pytest.mark.slow
def test_raw_scores_are_not_called_probabilities():
    _, found = of_zoo("rcnn_ilsvrc13", top=2)
    assert not found.has_probabilities
    first, second = found.as_dict()["classes"]
    assert first.keys() == {"id", "name", "score"}
    assert first["score"] >= second["score"]
    assert (first["id"], first["name"]) in class_names("ilsvrc13_det")


def test_a_model_of_ones_own_is_told_of_its_pictures_and_names(small):
    picture = np.full((24, 32, 3), (1, 2, 4), "uint8")  # RGB
    found = kcz.classify(small, picture, mean=0, labels=["blue", "green", "red"])
    blue, green, red = np.exp([4, 2, 1]) / np.exp([4, 2, 1]).sum()
    assert [name for _, name, _ in found.classes] == ["blue", "green", "red"]
    np.testing.assert_allclose(found.scores, [blue, green, red], rtol=1e-5)
    assert found.as_dict() == {
        "classes": [
            {"id": name, "name": name, "probability": value}
            for name, _, value in found.classes
        ]
    }
    numbered = kcz.classify(small, picture, top=1, mean=0)
    assert numbered.classes == [("0", "0", found.classes[0][2])]
    pairs = [("b", "blue"), ("g", "green"), ("r", "red")]
    paired = kcz.classify(small, picture, top=1, mean=0, labels=pairs)
    assert paired.classes[0][:2] == ("b", "blue")
    scaled = kcz.classify(small, picture, mean=[4, 2, 1], scale=0.5)
    np.testing.assert_allclose(scaled.scores, 1 / 3, rtol=1e-5)


def test_a_model_of_ones_own_that_is_like_a_net_of_the_zoo_is_given_the_same():
    image = keras.Input((227, 227, 3))
    y = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, {"pool": y[:, None, None]})
    found = kcz.classify(model, PIXELS, preprocessing="caffenet")
    x = kcz.preprocess_input(cut(PIXELS, kcz.model_info("caffenet")), "caffenet")
    np.testing.assert_allclose(found.scores, x.mean((0, 1)), rtol=1e-4)
    other = kcz.classify(model, PIXELS, preprocessing="caffenet", mean=0)
    assert other.scores.max() - found.scores.max() == pytest.approx(110, abs=20)


def test_pictures_of_a_folder_have_answers_by_name(small, tmp_path, capsys):
    for value in (10, 20):
        Image.new("RGB", (40, 30), (value, 0, 0)).save(tmp_path / f"{value}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    found = kcz.classify(small, tmp_path, mean=0, labels=["b", "g", "r"])
    assert list(found) == ["10.png", "20.png"]
    assert {one.classes[0][1] for one in found.values()} == {"r"}
    assert (
        "bad.png (no picture, but text that begins 'no picture')"
        in capsys.readouterr().out
    )
    alike = kcz.classify(small, [PIXELS, PIXELS], mean=0, batch_size=1)
    assert alike[0] == alike[1]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("fcn8s", {}, "for classification; received: 'fcn8s', which is for segm"),
        ("places205_alexnet", {}, "received: places205_alexnet, with those of"),
        ("caffenet", {"top": 0}, "Expected `top` from 1; received: top=0"),
        ("caffenet", {"labels": "coco", "weights": None}, "for the 1000 .*: 81 names"),
        ("caffenet", {"labels": "imagenet"}, "No list of classes has the name"),
        (None, {}, "Expected `mean=…` for a model of one's own"),
        (None, {"mean": 0, "labels": ["a"]}, "for the 3 classes of the net; .*: 1"),
    ],
)
def test_what_does_not_go_together_is_refused(small, model, options, message):
    with pytest.raises(ValueError, match=message):
        kcz.classify(model or small, PIXELS, **options)


def test_a_map_of_answers_is_none():
    image = keras.Input((24, 32, 3))
    model = keras.Model(image, image)
    with pytest.raises(ValueError, match=r"one output \(N, classes\); received"):
        kcz.classify(model, PIXELS, mean=0)
