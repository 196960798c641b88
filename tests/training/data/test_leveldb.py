"""LevelDB databases of Datum records, written here by plyvel."""

import gc
import sys

import numpy as np
import plyvel
import pytest
from data_files import batches, datum, picture, rows, write_leveldb, write_lmdb

from keras_caffe_zoo.training.data import (
    BadRecords,
    Transform,
    leveldb_dataset,
    lmdb_dataset,
)

BGR = [picture(i, (8, 10)) for i in range(5)]
VALUES = [datum(x, i) for i, x in enumerate(BGR)]


@pytest.fixture
def database(tmp_path):
    return write_leveldb(tmp_path / "db", VALUES)


def test_it_gives_what_an_lmdb_of_the_same_records_does(database, tmp_path):
    options = {
        "transform": Transform(5, mirror=True, mean=(1, 2, 3)),
        "shuffle": True,
        "batch_size": 2,
        "seed": 3,
    }
    found = batches(leveldb_dataset(database, **options))
    wanted = batches(lmdb_dataset(write_lmdb(tmp_path / "other", VALUES), **options))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_records_come_in_the_order_of_their_keys(tmp_path):
    path = write_leveldb(tmp_path / "db", VALUES, [b"9", b"10", b"b", b"\xff", b"a"])
    assert list(rows(leveldb_dataset(path))[1]) == [1, 0, 4, 2, 3]


def test_two_datasets_share_a_database(database):
    first, second = leveldb_dataset(database), leveldb_dataset(database / ".")
    np.testing.assert_array_equal(rows(first)[0], rows(second)[0])


def test_one_that_is_open_elsewhere_is_refused(database):
    with plyvel.DB(str(database)), pytest.raises(ValueError, match="nowhere else"):
        leveldb_dataset(database)


def test_it_is_open_as_long_as_a_dataset_or_an_iterator_needs_it(database):
    dataset = leveldb_dataset(database, batch_size=2, shuffle=True, repeat=True)
    derived = iter(dataset.map(lambda image, label: label).take(9))
    next(derived)
    del dataset
    gc.collect()
    assert len([*derived]) == 8
    with pytest.raises(plyvel.Error, match="lock"):
        plyvel.DB(str(database))
    del derived
    gc.collect()
    with plyvel.DB(str(database)) as again:
        assert len([*again]) == len(VALUES)


def test_what_is_no_database_is_refused_and_left_alone(tmp_path):
    (tmp_path / "file").write_text("no database")
    (tmp_path / "folder").mkdir()
    for name in ("nowhere", "file", "folder"):
        with pytest.raises(ValueError, match=f"Expected a LevelDB.*{name}"):
            leveldb_dataset(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()
    assert not list((tmp_path / "folder").iterdir())
    with pytest.raises(ValueError, match="empty"):
        leveldb_dataset(write_leveldb(tmp_path / "empty", []))


def test_a_database_may_not_point_elsewhere(database):
    (database / "CURRENT").write_text("../other/MANIFEST-000002\n")
    with pytest.raises(ValueError, match="name of a MANIFEST.*other"):
        leveldb_dataset(database)


def grown(tmp_path):
    """Return a database with its records in a table, and the table."""
    path = write_leveldb(tmp_path / "db", [datum(picture(i), i) for i in range(20)])
    with plyvel.DB(str(path)) as database:
        database.compact_range()
    (table,) = path.glob("*.ldb")
    return path, table


def test_a_damaged_record_is_named(tmp_path):
    path, table = grown(tmp_path)
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 255
    table.write_bytes(content)
    with pytest.raises(ValueError, match="Expected a LevelDB that is whole.*db"):
        leveldb_dataset(path)


@pytest.mark.parametrize("left", [0, 100])
def test_a_truncated_table_is_refused(tmp_path, left):
    path, table = grown(tmp_path)
    table.write_bytes(table.read_bytes()[:left])
    with pytest.raises(ValueError, match="Expected a LevelDB that is whole.*db"):
        leveldb_dataset(path)


def test_a_record_that_is_no_datum_is_left_out_and_named(tmp_path):
    path = write_leveldb(tmp_path / "db", [VALUES[0], b"\xff\xff", VALUES[2]])
    bad = BadRecords()
    with pytest.warns(UserWarning, match="key b'00000001' of .*db"):
        assert list(rows(leveldb_dataset(path, bad_records=bad))[1]) == [0, 2]
    assert bad.count == 1


def test_the_package_is_named_where_it_is_missing(database, monkeypatch):
    monkeypatch.setitem(sys.modules, "plyvel", None)
    with pytest.raises(ImportError, match=r'pip install "keras_caffe_zoo\[leveldb\]"'):
        leveldb_dataset(database)
