"""The dataset of a prototxt's data layer."""

import cv2
import h5py
import numpy as np
import pytest
from data_files import (
    datum,
    picture,
    png,
    rows,
    write_leveldb,
    write_list,
    write_lmdb,
    write_pictures,
)

from keras_caffe_zoo.training.data import layer_dataset
from keras_caffe_zoo.training.data.order import skip_draw

TRAIN_VAL = """
name: "net"
layer { name: "train" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 5 mean_file: "/their/mean.binaryproto" }
  data_param { source: "/their/train_lmdb" batch_size: 2 backend: LMDB } }
layer { name: "test" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 5 mean_value: 10 }
  data_param { source: "/their/test_lmdb" batch_size: 3 backend: LMDB } }
"""


@pytest.fixture
def prototxt(tmp_path):
    def written(text):
        path = tmp_path / "train_val.prototxt"
        path.write_text(text)
        return path

    return written


def one_layer(kind, params, tops='top: "data" top: "label"'):
    return f'layer {{ name: "d" type: "{kind}" {tops} {params} }}'


def test_data_layer_of_each_phase(prototxt, tmp_path):
    images = [picture(i, (8, 9)) for i in range(4)]
    path = write_lmdb(tmp_path / "db", [datum(x, i) for i, x in enumerate(images)])
    test = layer_dataset(prototxt(TRAIN_VAL), path, phase="TEST")
    found, labels = rows(test)
    wanted = np.stack(images)[:, 1:6, 2:7].astype("float32") - 10
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3])
    assert int(test.cardinality()) == 2
    mean = np.full((8, 9, 3), 5.0)
    train = layer_dataset(prototxt(TRAIN_VAL), path, mean=mean)
    assert int(train.cardinality()) == 2
    assert rows(train)[0].shape == (4, 5, 5, 3)


def test_what_is_missing_is_named(prototxt, tmp_path):
    with pytest.raises(ValueError, match="'train'.*'/their/train_lmdb'"):
        layer_dataset(prototxt(TRAIN_VAL))
    path = write_lmdb(tmp_path / "db", [datum(picture(0, (8, 9)))])
    with pytest.raises(ValueError, match="/their/mean.binaryproto"):
        layer_dataset(prototxt(TRAIN_VAL), path)


@pytest.mark.parametrize("backend", ["", "backend: LEVELDB", "backend: LMDB"])
@pytest.mark.parametrize("write", [write_lmdb, write_leveldb])
def test_a_database_is_what_its_files_are(prototxt, tmp_path, backend, write):
    image = picture(0, (8, 9))
    path = write(tmp_path / "db", [datum(image, 3)])
    text = one_layer("Data", f"data_param {{ batch_size: 1 {backend} }}")
    images, labels = rows(layer_dataset(prototxt(text), path))
    np.testing.assert_array_equal(images[0], image)
    assert list(labels) == [3]


def test_where_no_file_tells_the_backend_does(prototxt, tmp_path):
    for backend, wanted in (("", "LevelDB"), ("backend: LMDB", "LMDB")):
        text = one_layer("Data", f"data_param {{ batch_size: 1 {backend} }}")
        with pytest.raises(ValueError, match=f"Expected an? {wanted}"):
            layer_dataset(prototxt(text), tmp_path)
    assert not list(tmp_path.glob("[!t]*"))


def test_image_data_is_resized_and_listed(prototxt, tmp_path):
    images = write_pictures(tmp_path, 3)
    text = one_layer(
        "ImageData",
        'image_data_param { source: "/x" batch_size: 2 new_height: 10 new_width: 12 '
        'root_folder: "/their/root/" }',
    )
    found, labels = rows(layer_dataset(prototxt(text), write_list(tmp_path, 3)))
    wanted = [cv2.resize(image[..., ::-1], (12, 10)) for image in images]
    np.testing.assert_array_equal(found, np.stack(wanted))
    np.testing.assert_array_equal(labels, [0, 1, 0])


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp"])
def test_grey_pictures_are_resized_as_caffe_has_them_of_opencv(
    prototxt, tmp_path, suffix
):
    smooth = cv2.GaussianBlur(picture(0, (60, 80)), (0, 0), 2)
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), smooth)
    (tmp_path / "list.txt").write_text(f"a.{suffix} 4.7\n")
    text = one_layer(
        "ImageData",
        "image_data_param { batch_size: 1 new_height: 33 new_width: 21 "
        "is_color: false }",
    )
    ((found,), labels) = rows(layer_dataset(prototxt(text), tmp_path / "list.txt"))
    whole = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(found[..., 0], cv2.resize(whole, (21, 33)))
    assert list(labels) == [4]


def test_image_data_may_be_grey_and_shuffled(prototxt, tmp_path):
    write_pictures(tmp_path, 9, classes=9)
    text = one_layer("ImageData", "image_data_param { is_color: false shuffle: true }")
    data = layer_dataset(prototxt(text), write_list(tmp_path, 9, classes=9))
    images, labels = rows(data)
    assert images.shape == (9, 40, 48, 1)
    assert sorted(labels) == list(range(9)) and list(labels) != list(range(9))


def test_encoded_datums_follow_the_layers_colour(prototxt, tmp_path):
    value = datum(picture(0), data=png(picture(0)), encoded=True)
    path = write_lmdb(tmp_path / "db", [value])
    data = "data_param { batch_size: 1 backend: LMDB }"
    for asked, channels in (("", 3), ("force_gray: true", 1), ("force_color: true", 3)):
        text = one_layer("Data", f"transform_param {{ {asked} }} {data}", 'top: "data"')
        (images,) = list(layer_dataset(prototxt(text), path))
        assert images.shape == (1, 40, 48, channels)


def test_hdf5_data_gives_its_tops(prototxt, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"] = np.ones((3, 2, 4, 4)), np.arange(3)
    (tmp_path / "list.txt").write_text("a.h5")
    param = 'hdf5_data_param { source: "s" batch_size: 2 }'
    text = one_layer("HDF5Data", param, 'top: "x" top: "y"')
    images, labels = rows(layer_dataset(prototxt(text), tmp_path / "list.txt"))
    assert images.shape == (3, 4, 4, 2) and list(labels) == [0, 1, 2]
    text = one_layer("HDF5Data", f"{param} transform_param {{ scale: 2 }}")
    with pytest.raises(ValueError, match="no transform"):
        layer_dataset(prototxt(text), tmp_path / "list.txt")


def test_image_data_skips_some_at_the_start(prototxt, tmp_path):
    write_pictures(tmp_path, 8, classes=8)
    source = write_list(tmp_path, 8, classes=8)
    text = one_layer("ImageData", "image_data_param { batch_size: 3 rand_skip: 8 }")
    assert {skip_draw(seed, 8) for seed in range(50)} == set(range(8))
    seed = next(seed for seed in range(50) if skip_draw(seed, 8) == 5)
    data = layer_dataset(prototxt(text), source, seed=seed, repeat=True)
    labels = np.concatenate([y for _, y in data.take(4).as_numpy_iterator()])
    np.testing.assert_array_equal(labels, (5 + np.arange(12)) % 8)
    one_pass = layer_dataset(prototxt(text), source, seed=seed)
    assert sorted(rows(one_pass)[1]) == list(range(8))
    assert rows(one_pass)[1][0] == 5


def test_more_cannot_be_skipped_than_there_is(prototxt, tmp_path):
    write_pictures(tmp_path, 1)
    text = one_layer("ImageData", "image_data_param { rand_skip: 1000000 }")
    with pytest.raises(ValueError, match="more records than are skipped"):
        layer_dataset(prototxt(text), write_list(tmp_path, 1))


def test_what_caffe_does_not_follow_is_told(prototxt, tmp_path):
    grey = png(picture(0)[..., :1])
    value = datum(picture(0), data=grey, encoded=True)
    path = write_lmdb(tmp_path / "db", [value])
    text = one_layer("Data", "data_param { batch_size: 1 rand_skip: 5 }")
    with pytest.warns(UserWarning, match="rand_skip is not followed"):
        layer_dataset(prototxt(text), path)
    text = one_layer("Data", "data_param { batch_size: 1 force_encoded_color: true }")
    with pytest.warns(UserWarning, match="1 channels; write .*force_color: true"):
        data = layer_dataset(prototxt(text), path)
    assert rows(data)[0].shape == (1, 40, 48, 1)
    coloured = write_lmdb(
        tmp_path / "colour", [datum(picture(0), data=png(picture(0)), encoded=True)]
    )
    assert rows(layer_dataset(prototxt(text), coloured))[0].shape == (1, 40, 48, 3)


def test_the_layer_must_be_one_that_is_read(prototxt, tmp_path):
    two = one_layer("Data", "") + one_layer("ImageData", "").replace('"d"', '"e"')
    with pytest.raises(ValueError, match="'d', 'e'.*name="):
        layer_dataset(prototxt(two), tmp_path)
    with pytest.raises(ValueError, match="batch_size"):
        layer_dataset(prototxt(two), tmp_path, name="d")
    for kind in ("MemoryData", "VideoData"):
        with pytest.raises(ValueError, match=rf"'d' \({kind}\)"):
            layer_dataset(prototxt(one_layer(kind, "")), tmp_path)
