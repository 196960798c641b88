"""Lists of HDF5 files, row by row."""

import h5py
import keras
import numpy as np
import pytest
from data_files import batches, rows

from keras_caffe_zoo.training.data import hdf5_dataset

DATA = np.random.default_rng(0).normal(size=(7, 2, 4, 5)).astype("float32")
LABEL = np.arange(7)


def write(path, data=DATA, label=LABEL, **more):
    with h5py.File(path, "w") as file:
        for name, values in {"data": data, "label": label, **more}.items():
            file[name] = values
    return path


@pytest.fixture
def listfile(tmp_path):
    write(tmp_path / "a.h5", DATA[:3], LABEL[:3])
    write(tmp_path / "b.h5", DATA[3:], LABEL[3:])
    (tmp_path / "list.txt").write_text("a.h5\n\nb.h5\n")
    return tmp_path / "list.txt"


def test_rows_come_in_order_over_files_channels_last(listfile):
    found = batches(hdf5_dataset(listfile, batch_size=2))
    assert [len(labels) for _, labels in found] == [2, 2, 2, 1]
    images, labels = map(np.concatenate, zip(*found, strict=True))
    np.testing.assert_array_equal(images, DATA.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(labels, LABEL)
    assert images.dtype == labels.dtype == np.float32


def test_files_of_another_place_are_looked_for_beside_the_list(listfile):
    """Caffe's lists are relative to where it was started."""
    listfile.write_text("examples/x/a.h5\n/home/someone/b.h5\n")
    labels = rows(hdf5_dataset(listfile, batch_size=2))[1]
    np.testing.assert_array_equal(labels, LABEL)
    listfile.write_text("examples/x/c.h5\n")
    with pytest.raises(FileNotFoundError, match=r"x.c\.h5"):
        hdf5_dataset(listfile)


def test_shuffled_rows_keep_their_labels(listfile):
    data = hdf5_dataset(listfile, batch_size=3, shuffle=True, seed=2)
    first, second = rows(data), rows(data)
    for images, labels in (first, second):
        assert sorted(labels) == list(LABEL)
        wanted = DATA[labels.astype(int)].transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(images, wanted)
    assert list(first[1]) != list(second[1])


def test_endless_batches_wrap_around_as_caffes(listfile):
    data = hdf5_dataset(listfile, batch_size=10, repeat=True)
    labels = np.concatenate([labels for _, labels in data.take(2)])
    np.testing.assert_array_equal(labels, np.tile(LABEL, 3)[:20])


def test_one_top_is_an_array_and_three_a_dict(tmp_path):
    write(tmp_path / "a.h5", more=DATA[:, 0])
    (tmp_path / "list.txt").write_text("a.h5")
    (images,) = list(hdf5_dataset(tmp_path / "list.txt", tops=["data"]))
    assert images.shape == (7, 4, 5, 2)
    tops = ["data", "label", "more"]
    (named,) = list(hdf5_dataset(tmp_path / "list.txt", tops=tops))
    assert sorted(named) == tops
    np.testing.assert_array_equal(named["more"], DATA[:, 0])  # three axes stay


def test_fit_takes_it_and_resume_goes_on(listfile):
    model = keras.Sequential(
        [keras.Input((4, 5, 2)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    data = hdf5_dataset(listfile, batch_size=2, resume=model)
    model.fit(data, epochs=2, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 8
    model.optimizer.iterations.assign(6)
    np.testing.assert_array_equal(rows(data)[1], [*LABEL[4:], *LABEL[:4]])


def test_only_the_rows_of_a_batch_are_read(listfile, monkeypatch):
    taken = []
    read = h5py.Dataset.__getitem__

    def watched(self, what):
        values = read(self, what)
        taken.append(len(values))
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", watched)
    batches(hdf5_dataset(listfile, batch_size=2))
    assert max(taken) == 2


def test_root_is_the_folder_of_the_files(listfile, tmp_path):
    (tmp_path / "lists").mkdir()
    moved = listfile.rename(tmp_path / "lists" / "list.txt")
    assert len(rows(hdf5_dataset(moved, root=tmp_path))[1]) == 7
    moved.write_text("../a.h5\n")
    assert len(rows(hdf5_dataset(moved))[1]) == 3
    with pytest.raises(ValueError, match="inside"):
        hdf5_dataset(moved, root=tmp_path / "lists")


def test_files_that_do_not_fit_are_named(listfile, tmp_path):
    b = tmp_path / "b.h5"
    write(b, DATA[:, :1])
    with pytest.raises(ValueError, match="b.h5"):
        hdf5_dataset(listfile)
    write(b, DATA, LABEL[:2])
    with pytest.raises(ValueError, match="as many rows.*b.h5"):
        hdf5_dataset(listfile)
    write(b, label=np.array([b"text"] * 7))
    with pytest.raises(ValueError, match="numbers in 'label' of .*b.h5"):
        hdf5_dataset(listfile)
    b.write_bytes(b"no hdf5")
    with pytest.raises(ValueError, match="b.h5"):
        hdf5_dataset(listfile)
    b.unlink()
    with pytest.raises(FileNotFoundError, match="b.h5"):
        hdf5_dataset(listfile)
    with pytest.raises(ValueError, match="'score' in .*a.h5"):
        hdf5_dataset(listfile, tops=["score"])


def test_datasets_that_lead_to_other_files_are_refused(tmp_path):
    write(tmp_path / "secret.h5")
    (tmp_path / "raw").write_bytes(DATA.tobytes())
    (tmp_path / "list.txt").write_text("a.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink("secret.h5", "data")
        raw = [(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("raw", DATA.shape, "float32", external=raw)
        layout = h5py.VirtualLayout(DATA.shape, "float32")
        layout[:] = h5py.VirtualSource("secret.h5", "data", DATA.shape)
        file.create_virtual_dataset("virtual", layout)
    for top in ("link", "raw", "virtual"):
        with pytest.raises(ValueError, match="in that file"):
            hdf5_dataset(tmp_path / "list.txt", tops=[top])


def test_damaged_rows_are_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        noise = np.random.default_rng(0).normal(size=(8, 999))
        kept = {"chunks": (2, 999), "compression": "gzip"}
        chunks = file.create_dataset("data", data=noise, **kept).id
        place = chunks.get_chunk_info(2).byte_offset
    with (tmp_path / "a.h5").open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 200)
    (tmp_path / "list.txt").write_text("a.h5")
    with pytest.raises(Exception, match=r"/data of .*a\.h5, rows 4 to 5"):
        list(hdf5_dataset(tmp_path / "list.txt", tops=["data"], batch_size=2))


def test_a_row_without_end_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for top in ("data", "label"):  # no byte of it is stored
            file.create_dataset(top, (2, 1 << 20, 1 << 20), "f4", chunks=(1, 8, 8))
    (tmp_path / "list.txt").write_text("a.h5")
    with pytest.raises(ValueError, match="rows of at most 67,108,864 numbers in 'dat"):
        hdf5_dataset(tmp_path / "list.txt")
