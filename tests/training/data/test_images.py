"""`image_dataset`: the pictures of a directory or a list, as a net trains on them."""

import gc
import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest
from data_files import batches, picture, png, rows, write_list, write_pictures

from keras_caffe_zoo import load_image, preprocess_input
from keras_caffe_zoo.caffe import write_mean
from keras_caffe_zoo.preprocessing import resize
from keras_caffe_zoo.training.data import Transform, dataset_classes, image_dataset
from keras_caffe_zoo.training.data.pipeline import weakly
from keras_caffe_zoo.weights import install


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    write_pictures(tmp_path / "set", 7)
    return tmp_path / "set"


def tiny(name="tiny", shape=(16, 16, 3)):
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten()], name=name)


@pytest.mark.parametrize(
    "model",
    ["vgg16", "googlenet", "caffenet", "vgg_cnn_s"]
    + ["mobilenet_v2", "shufflenet_v2_x05", "sphereface"],
)
def test_without_training_pictures_are_those_of_load_image(folder, model):
    images, labels = rows(image_dataset(folder, model, training=False))
    paths = sorted(folder.rglob("*.png"))
    wanted = np.stack([load_image(path, model) for path in paths])
    np.testing.assert_array_equal(images, preprocess_input(wanted, model))
    np.testing.assert_array_equal(labels, [0, 0, 0, 0, 1, 1, 1])
    assert labels.dtype == np.int32 and images.dtype == np.float32


def test_mean_image_is_cut_where_the_crop_is(folder, tmp_path):
    # CaffeNet's mean is a picture of 256 x 256; an image equal to it becomes 0.
    mean = np.random.default_rng(0).uniform(100, 120, (3, 256, 256)).astype("float32")
    shift = np.array([104.00698793, 116.66876762, 122.67891434]) - mean.mean((1, 2))
    mean += shift[:, None, None].astype("float32")
    write_mean(tmp_path / "imagenet_mean.binaryproto", mean)
    install("caffenet", tmp_path / "imagenet_mean.binaryproto")
    images, _ = rows(image_dataset(folder, "caffenet", shuffle=False, seed=3))
    transform = Transform(227, mirror=True)
    for position, path in enumerate(sorted(folder.rglob("*.png"))):
        whole = preprocess_input(load_whole(path), "caffenet")
        top, left, mirrored = transform.draw((256, 256), position, seed=3)
        wanted = whole[top : top + 227, left : left + 227]
        wanted = wanted[:, ::-1] if mirrored else wanted
        np.testing.assert_array_equal(images[position], wanted)


def load_whole(path):
    return resize(picture(int(path.stem)), (256, 256))


def test_pixel_mean_is_subtracted_after_the_crop(folder, tmp_path):
    mean = np.random.default_rng(0).uniform(90, 130, (3, 224, 224)).astype("float32")
    write_mean(tmp_path / "VGG_mean.binaryproto", mean)
    install("vgg_cnn_s", tmp_path / "VGG_mean.binaryproto")
    images, _ = rows(image_dataset(folder, "vgg_cnn_s", training=False))
    path = min(folder.rglob("*.png"))
    wanted = preprocess_input(load_image(path, "vgg_cnn_s"), "vgg_cnn_s")
    np.testing.assert_array_equal(images[0], wanted)


def test_a_model_of_a_nets_name_and_size_takes_pictures_as_that_net(folder):
    model = tiny("sphereface", (112, 96, 3))
    images, _ = rows(image_dataset(folder, model, shuffle=False, mirror=False))
    wanted, _ = rows(image_dataset(folder, "sphereface", training=False))
    assert images.shape[1:] == (112, 96, 3)
    np.testing.assert_array_equal(images, wanted)


def test_given_mean_and_scale_replace_the_nets(folder):
    options = {"training": False, "mean": (1, 2, 3), "scale": 0.5}
    images, _ = rows(image_dataset(folder, "vgg16", **options))
    rgb = load_image(min(folder.rglob("*.png")), "vgg16").astype("float32")
    np.testing.assert_array_equal(images[0], (rgb[..., ::-1] - [1, 2, 3]) * 0.5)


def test_list_and_directory_give_the_same(folder):
    write_list(folder, 7)
    by_list = rows(image_dataset(folder / "train.txt", "vgg16", shuffle=False))
    (folder / "train.txt").unlink()
    by_folder = rows(image_dataset(folder, "vgg16", training=False))
    np.testing.assert_array_equal(by_list[1], [0, 1, 0, 1, 0, 1, 0])
    assert sorted(by_list[1]) == list(by_folder[1])


def test_list_paths_may_hold_spaces_and_lines_may_end_as_on_windows(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "ü 1.png").write_bytes(png(picture(1)))
    (tmp_path / "list.txt").write_bytes("a b/ü 1.png -1\r\n\r\na b/ü 1.png 7".encode())
    _, labels = rows(image_dataset(tmp_path / "list.txt", "vgg16", shuffle=False))
    np.testing.assert_array_equal(labels, [-1, 7])


def test_root_stands_before_every_path_and_nothing_lies_outside(folder, tmp_path):
    (tmp_path / "list.txt").write_text("/c0/000.png 3\n../secret.png 1\n")
    (tmp_path / "secret.png").write_bytes(png(picture(0)))
    data = image_dataset(tmp_path / "list.txt", "vgg16", root=folder, shuffle=False)
    with pytest.raises(Exception, match=r"list.txt, line 2.*path inside"):
        batches(data)


def test_absolute_paths_work_without_root(folder, tmp_path):
    (tmp_path / "list.txt").write_text(f"{folder}/c0/000.png 3\n")
    images, labels = rows(image_dataset(tmp_path / "list.txt", "vgg16"))
    assert list(labels) == [3] and images.shape == (1, 224, 224, 3)


def test_classes_are_the_sorted_folders_and_may_be_given(folder):
    (folder / ".hidden").mkdir()
    (folder / "c0" / ".DS_Store").write_bytes(b"no picture")
    assert dataset_classes(folder) == ["c0", "c1"]
    labels = ["new", "c1", "c0"]
    _, found = rows(image_dataset(folder, "vgg16", labels=labels, training=False))
    np.testing.assert_array_equal(found, [1, 1, 1, 2, 2, 2, 2])
    with pytest.raises(ValueError, match=r"\['c1'\]"):
        image_dataset(folder, "vgg16", labels=["c0"])


def test_same_seed_same_batches_and_each_epoch_is_shuffled_anew(folder):
    def epochs(seed):
        data = image_dataset(folder, tiny(), mean=0, batch_size=3, seed=seed)
        return [rows(data)[0] for _ in range(2)]

    first, second = epochs(1), epochs(1)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], epochs(2)[0])
    order = [np.sort(epoch.sum((1, 2, 3))) for epoch in first]  # whole pictures
    np.testing.assert_allclose(order[0], order[1], rtol=1e-5)


def test_keras_knows_how_many_batches_there_are(folder):
    assert int(image_dataset(folder, "vgg16", batch_size=3).cardinality()) == 3
    assert int(image_dataset(folder, "vgg16", repeat=True).cardinality()) == -1


def test_endless_batches_are_always_full(folder):
    data = image_dataset(folder, tiny(), mean=0, batch_size=3, repeat=True)
    assert [len(y) for _, y in data.take(5)] == [3] * 5


LEFT = """
import sys
from keras_caffe_zoo.training import image_dataset
iterator = iter(image_dataset(sys.argv[1], "caffenet", batch_size=2, repeat=True))
next(iterator)
print("at its end", file=sys.stderr)
"""


def test_a_process_ends_though_a_pass_does_not_and_says_nothing_of_it(folder):
    command = [sys.executable, "-c", LEFT, str(folder)]
    options = {"capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run(command, check=True, **options)
    _, _, said = done.stderr.partition("at its end\n")
    assert said == "" and "generator" not in done.stderr


def test_what_is_lent_to_tensorflow_ends_with_its_lender():
    def one(x):
        return x

    lent = weakly(one)
    assert lent(3) == 3
    del one
    gc.collect()
    # Of all errors TensorFlow keeps this one to itself until somebody reads on.
    with pytest.raises(StopIteration, match="gone"):
        lent(3)


def test_a_model_of_its_own_tells_size_and_channels(folder):
    gray = image_dataset(folder, tiny(shape=(12, 12, 1)), mean=0, training=False)
    images, _ = rows(gray)
    whole = cv2.imread(str(folder / "c0" / "000.png"), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(images[0, ..., 0], cv2.resize(whole, (12, 12)))
    data = image_dataset(folder, tiny(), mean=0, resize=20)
    assert data.element_spec[0].shape[1:] == (16, 16, 3)
    named = tiny("vgg16", (224, 224, 3))
    by_model = rows(image_dataset(folder, named, training=False))
    by_name = rows(image_dataset(folder, "vgg16", training=False))
    np.testing.assert_array_equal(by_model[0], by_name[0])


@pytest.mark.parametrize(
    "model, options, received",
    [
        (tiny(), {}, "mean=.*received: None"),
        ("fcn8s", {}, "crop_size=.*fcn8s"),
        ("vgg99", {}, "'vgg99'"),
        (tiny(shape=(16, 20, 3)), {"mean": 0}, r"\(None, 16, 20, 3\)"),
        (tiny(shape=(16, 16, 5)), {"mean": 0}, r"\(None, 16, 16, 5\)"),
        (tiny(), {"mean": 0, "crop_size": 9}, "crop_size=9"),
        ("vgg16", {"root": "."}, "root="),
        ("nin", {}, "mean"),
    ],
)
def test_what_cannot_be_known_is_asked_for(folder, model, options, received):
    with pytest.raises(ValueError, match=received):
        image_dataset(folder, model, **options)


def test_empty_sources_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no folders"):
        image_dataset(tmp_path, "vgg16")
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="no files"):
        image_dataset(tmp_path, "vgg16")
    (tmp_path / "list.txt").write_text("\n\n")
    with pytest.raises(ValueError, match="empty list"):
        image_dataset(tmp_path / "list.txt", "vgg16")


def classifier(classes, activation="softmax"):
    image = keras.Input((8, 8, 3))
    scores = keras.layers.Dense(classes, activation)(keras.layers.Flatten()(image))
    return keras.Model(image, scores, name="net")


@pytest.mark.parametrize("classes", [3, 20])
@pytest.mark.parametrize("compiled", [True, False])
def test_folders_are_compared_with_the_classes_of_the_net(folder, classes, compiled):
    model = classifier(classes, None if compiled else "softmax")
    if compiled:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss)
    said = f"Expected {classes} folders, one for each class of 'net'; received: 2"
    with pytest.raises(ValueError, match=said):
        image_dataset(folder, model, mean=0)


def test_all_classes_may_be_named_where_some_have_no_folder(folder):
    names = [f"c{number}" for number in range(20)]
    _, labels = rows(
        image_dataset(folder, classifier(20), mean=0, labels=names, training=False)
    )
    assert set(labels) == {0, 1}


def test_a_list_has_no_label_beyond_the_classes_of_the_net(folder, tmp_path):
    path = next(folder.rglob("*.png"))
    listed = tmp_path / "list.txt"
    listed.write_text(f"{path} 0\n{path} 3\n{path} 2\n")
    with pytest.raises(ValueError, match="labels from 0 to 2 .* received: 3 in"):
        image_dataset(listed, classifier(3), mean=0)
    image_dataset(listed, classifier(4), mean=0)


def test_what_is_no_classifier_takes_any_folders(folder):
    image = keras.Input((8, 8, 3))
    mapped = keras.Model(image, keras.layers.Conv2D(7, 1, activation="softmax")(image))
    others = classifier(7, None), classifier(7, "relu"), classifier(1)
    for model in (*others, mapped):
        image_dataset(folder, model, mean=0)
