"""LMDB databases of Datum records, written here by the lmdb package."""

import sys

import cv2
import numpy as np
import pytest
from data_files import batches, datum, picture, png, rows, write_lmdb

from keras_caffe_zoo.training.data import Transform, lmdb_dataset

BGR = [picture(i, (8, 10)) for i in range(5)]


@pytest.fixture
def database(tmp_path):
    return write_lmdb(tmp_path / "db", [datum(x, i) for i, x in enumerate(BGR)])


def test_raw_datums_come_in_the_order_of_their_keys(database):
    found = batches(lmdb_dataset(database, batch_size=2))
    assert [list(labels) for _, labels in found] == [[0, 1], [2, 3], [4]]
    images = np.concatenate([images for images, _ in found])
    np.testing.assert_array_equal(images, np.stack(BGR).astype("float32"))


def test_float_datums_keep_their_values(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 5, 2)).astype("float32")
    path = write_lmdb(tmp_path / "db", [datum(values, 7)])
    images, labels = rows(lmdb_dataset(path))
    np.testing.assert_array_equal(images[0], values)
    assert list(labels) == [7]


@pytest.mark.parametrize("gray", [False, True])
def test_encoded_datums_are_decoded_to_bgr_or_left_grey(tmp_path, gray):
    rgb = picture(3, (8, 10))
    stored = rgb[..., 0] if gray else rgb
    value = datum(rgb, 1, data=png(stored), encoded=True, channels=0)
    path = write_lmdb(tmp_path / "db", [value])
    (as_stored,), _ = rows(lmdb_dataset(path))
    np.testing.assert_array_equal(
        as_stored, stored[..., None] if gray else rgb[..., ::-1]
    )
    (colour,), _ = rows(lmdb_dataset(path, color=True))
    wanted = np.repeat(stored[..., None], 3, -1) if gray else rgb[..., ::-1]
    np.testing.assert_array_equal(colour, wanted)
    (grey,), _ = rows(lmdb_dataset(path, color=False))
    data = np.frombuffer(png(stored), "uint8")
    wanted = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(grey[..., 0], wanted)


def test_transparency_is_a_fourth_channel_unless_a_colour_is_forced(tmp_path):
    rgba = np.random.default_rng(5).integers(0, 256, (8, 10, 4), "uint8")
    value = datum(rgba, 1, data=png(rgba), encoded=True, channels=3)
    path = write_lmdb(tmp_path / "db", [value])
    (stored,), _ = rows(lmdb_dataset(path))
    np.testing.assert_array_equal(stored, rgba[..., [2, 1, 0, 3]])
    for color, channels in ((True, 3), (False, 1)):
        assert rows(lmdb_dataset(path, color=color))[0].shape == (1, 8, 10, channels)


def test_transform_is_that_of_the_place_in_the_sequence(database):
    transform = Transform(5, mirror=True, mean=(1, 2, 3), scale=0.5)
    data = lmdb_dataset(database, transform=transform, seed=4, batch_size=5)
    for epoch in range(2):
        images, _ = rows(data)
        wanted = transform.batch(BGR, range(5 * epoch, 5 * epoch + 5), seed=4)
        np.testing.assert_array_equal(images, wanted)


def test_shuffle_takes_each_record_once(database):
    _, labels = rows(lmdb_dataset(database, shuffle=True, seed=1))
    assert sorted(labels) == [0, 1, 2, 3, 4] and list(labels) != [0, 1, 2, 3, 4]


def test_two_datasets_share_a_database(database):
    first, second = lmdb_dataset(database), lmdb_dataset(database / ".")
    np.testing.assert_array_equal(rows(first)[0], rows(second)[0])


def test_sizes_may_differ_in_batches_of_one_and_with_a_crop(tmp_path):
    sizes = [(8, 10), (9, 7)]
    values = [datum(picture(i, size)) for i, size in enumerate(sizes)]
    path = write_lmdb(tmp_path / "db", values)
    shapes = [x.shape[1:3] for x, _ in batches(lmdb_dataset(path, batch_size=1))]
    assert shapes == sizes
    images, _ = rows(lmdb_dataset(path, transform=Transform(6)))
    assert images.shape == (2, 6, 6, 3)


def test_labels_may_be_left_out(database):
    (images,) = list(lmdb_dataset(database, labels=False))
    assert images.shape == (5, 8, 10, 3)


def test_a_database_may_be_a_single_file(database):
    images, _ = rows(lmdb_dataset(database / "data.mdb"))
    assert images.shape == (5, 8, 10, 3)


def test_a_truncated_database_is_refused_before_it_is_read(tmp_path):
    values = [datum(picture(i, (64, 64))) for i in range(20)]
    path = write_lmdb(tmp_path / "db", values)
    content = (path / "data.mdb").read_bytes()
    (path / "data.mdb").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="truncated"):
        lmdb_dataset(path)


def test_what_is_no_database_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Expected an LMDB"):
        lmdb_dataset(tmp_path / "nowhere")
    (tmp_path / "text").write_text("no database" * 1000)
    with pytest.raises(ValueError, match="Expected an LMDB"):
        lmdb_dataset(tmp_path / "text")
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(ValueError, match="empty"):
        lmdb_dataset(write_lmdb(tmp_path / "db", []))


def test_the_package_is_named_where_it_is_missing(database, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(ImportError, match=r'pip install "keras_caffe_zoo\[lmdb\]"'):
        lmdb_dataset(database)
