"""`load`: by name, from Caffe's files, from Keras'; and what is public."""

import keras
import numpy as np
import pytest
from support import GOLDENS

import keras_caffe_zoo as kcz
from keras_caffe_zoo import demo

NET = GOLDENS / "net_alexnet_eighth.prototxt"
WEIGHTS = NET.with_suffix(".caffemodel")


def test_a_net_is_opened_whatever_it_is(tmp_path):
    model = kcz.load(NET, WEIGHTS)
    again = tmp_path / "net.keras"
    model.save(again)
    x = np.random.default_rng(0).normal(size=(1, 227, 227, 3)).astype("float32")
    expected = model(x)
    for found in (kcz.load(str(again)), kcz.load(str(NET), str(WEIGHTS))):
        np.testing.assert_array_equal(found(x), expected)
    assert kcz.load("mtcnn_p", weights=None).name == "mtcnn_p"
    assert kcz.load(NET, None, input_shape=(227, 227, 3)).name == model.name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mtcn_p",), "Did you mean 'mtcnn_p'"),
        ((WEIGHTS,), "definition first, and its weights"),
        ((NET,), "Expected `weights=`, the .caffemodel of"),
        (("net.keras", "x.caffemodel"), "no `weights` for net.keras"),
        (("photo.jpg",), "received: 'photo.jpg'"),
        (("net.keras",), "a Keras file; received: .*net.keras, an empty file"),
        (("zip.keras",), "a Keras file; received: .*zip.keras, a damaged one"),
        (("text.keras",), "received: .*text.keras, text that begins 'hello'"),
    ],
)
def test_what_is_none_is_told(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.keras").touch()
    (tmp_path / "zip.keras").write_bytes(b"PK\x03\x04" + bytes(99))
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(ValueError, match=said):
        kcz.load(*words)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for name in ("no.prototxt", "no.keras"):
        with pytest.raises(FileNotFoundError, match=name):
            kcz.load(tmp_path / name)


def test_a_net_of_the_zoo_knows_its_classes_and_a_finetuned_one_has_others():
    picture = np.zeros((64, 64, 3), "uint8")
    image = keras.Input((224, 224, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    for name, classes, first in (
        ("resnet50", 1000, "n0"),
        ("resnet50", 20, ""),
        ("resnet50_finetuned", 1000, ""),
        ("mine", 1000, ""),
    ):
        scores = keras.layers.Dense(classes, "softmax")(pooled)
        model = keras.Model(image, scores, name=name)
        how = {"mean": 0} if name == "mine" else {}
        identifier, *_ = kcz.classify(model, picture, top=1, **how).classes[0]
        assert identifier.startswith(first) if first else identifier.isdecimal()


def test_a_model_with_the_name_of_a_net_is_given_that_nets_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype="uint8")
    image = keras.Input((224, 224, 3))
    scores = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(image))
    model = keras.Model(image, scores, name="vgg16_finetuned")
    cut = kcz.preprocessing.cut(picture, kcz.model_info("vgg16"))
    expected = model(kcz.preprocess_input(cut[None], "vgg16"))[0]
    np.testing.assert_allclose(
        kcz.classify(model, picture).scores, expected, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    "room", ["layers", "training", "plots", "rules", "caffe", "conversion", "dense"]
)
def test_a_room_shows_its_public_names(room):
    module = getattr(kcz, room)
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in dir(module))


def test_the_package_does_too():
    assert sorted(dir(kcz)) == sorted(kcz.__all__)
    assert "load" in dir(kcz)


def test_the_demos_files_are_at_hand():
    assert (demo.FOLDER / "digits.prototxt").is_file()
