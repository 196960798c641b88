"""Bad records raise by name, or are left out, counted and named."""

import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from data_files import batches, datum, picture, png, rows, write_lmdb
from support import every

from keras_caffe_zoo.training.data import (
    BadRecords,
    Transform,
    image_dataset,
    lmdb_dataset,
)
from keras_caffe_zoo.training.data.records import Loader

RAW = picture(0, (6, 6))


def bomb():
    """A PNG of a few bytes whose header announces 50,000 x 50,000 pixels."""

    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


BAD_LINES = {
    "missing": ("nowhere.png 1", None),
    "truncated": ("broken.png 1", png(picture(2))[:300]),
    "empty": ("broken.png 1", b""),
    "text": ("broken.png 1", b"no picture"),
    "bomb": ("broken.png 1", bomb()),
    "label": ("good.png cat", None),
    "a label and more": ("good.png 1.5e3", None),
    "no label": ("good.png", None),
    "huge label": ("good.png 99999999999", None),
}


@pytest.fixture
def write(tmp_path):
    def written(kind):
        line, content = BAD_LINES[kind]
        (tmp_path / "good.png").write_bytes(png(picture(1)))
        if content is not None:
            (tmp_path / "broken.png").write_bytes(content)
        path = tmp_path / "list.txt"
        path.write_text(f"good.png 0\ngood.png 1\n{line}\ngood.png 2\n")
        return path

    return written


def net():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_picture_stops_a_pass_with_its_name(write, kind):
    data = image_dataset(write(kind), net(), mean=0, shuffle=False)
    with pytest.raises(Exception, match=r"list\.txt, line 3\)") as caught:
        batches(data)
    assert BAD_LINES[kind][0].split()[0] in str(caught.value)
    assert "bad_records=BadRecords()" in str(caught.value)


def test_a_bad_picture_stops_fit_with_its_name(write):
    model = net()
    data = image_dataset(write("truncated"), model, mean=0, shuffle=False)
    with pytest.raises(Exception, match=r"broken\.png .*list\.txt, line 3\)"):
        model.fit(data, shuffle=False, verbose=0)


@pytest.mark.parametrize("kind", every(2, BAD_LINES))
def test_a_bad_picture_is_left_out_counted_and_named_once(write, kind):
    bad = BadRecords()
    data = image_dataset(
        write(kind), net(), mean=0, shuffle=False, batch_size=2, bad_records=bad
    )
    with pytest.warns(UserWarning, match="line 3") as told:
        first = batches(data)
        batches(data)
    assert [list(labels) for _, labels in first] == [[0, 1], [2]]
    assert first[1][0].shape == (1, 8, 8, 3)
    assert bad.count == 1 and len(told) == 1
    assert "line 3" in bad.records[0][0] and bad.records[0][1]


def test_good_records_are_not_called_bad(write):
    bad = BadRecords()
    path = write("missing")
    path.write_text("good.png 0\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows(image_dataset(path, net(), mean=0, bad_records=bad))
    assert bad.count == 0 and str(bad) == "No bad records"


def test_a_bad_first_record_is_told_at_once(tmp_path):
    (tmp_path / "list.txt").write_text("nowhere.png 0\n")
    with pytest.raises(ValueError, match="list.txt, line 1"):
        image_dataset(tmp_path / "list.txt", net(), mean=0)


def test_a_set_or_batch_of_bad_records_alone_is_an_error(write):
    path = write("missing")
    with pytest.warns(UserWarning, match="bad record"):
        with pytest.raises(Exception, match="nowhere.png"):
            batches(
                image_dataset(
                    path,
                    net(),
                    mean=0,
                    shuffle=False,
                    batch_size=1,
                    bad_records=BadRecords(),
                )
            )
        path.write_text("a.png 0\nb.png 1\n")
        with pytest.raises(ValueError, match="received: none"):
            image_dataset(path, net(), mean=0, bad_records=BadRecords())


def test_the_summary_is_bounded_and_counts_all():
    bad = BadRecords(limit=2)
    with pytest.warns(UserWarning) as told:
        for name in "abcda":
            bad.add(name, "why")
    assert str(bad) == "4 bad records:\n  a: why\n  b: why\n  and 2 more"
    assert (bad.count, bad.records) == (4, [("a", "why"), ("b", "why")])
    assert len(told) == 3 and "More than 2" in str(told[2].message)


BAD_DATUMS = {
    "no datum": b"\xff\xff\xff",
    "short": datum(RAW)[:-30],
    "too few values": datum(RAW, height=7),
    "huge": datum(RAW, channels=2**31 - 1, height=2**31 - 1, width=2**31 - 1),
    "negative": datum(RAW, channels=-3, height=-6),
    "zero": datum(RAW, channels=0),
    "empty": b"",
    "another size": datum(picture(1, (5, 6))),
    "grey among colours": datum(RAW[..., :1]),
    "broken jpeg": datum(RAW, data=b"\xff\xd8\xff", encoded=True),
    "bomb": datum(RAW, data=bomb(), encoded=True),
}


@pytest.mark.parametrize("kind", every(2, BAD_DATUMS))
def test_a_bad_datum_is_named_by_its_key(tmp_path, kind):
    values = [datum(RAW, 0), BAD_DATUMS[kind], datum(RAW, 2)]
    path = write_lmdb(tmp_path / "db", values, [b"a", b"evil", b"z"])
    with pytest.raises(Exception, match="key b'evil' of "):
        batches(lmdb_dataset(path))
    bad = BadRecords()
    with pytest.warns(UserWarning, match="evil"):
        images, labels = rows(lmdb_dataset(path, bad_records=bad))
    assert list(labels) == [0, 2] and bad.count == 1
    np.testing.assert_array_equal(images[0], RAW)


def test_an_image_smaller_than_the_crop_is_bad(tmp_path):
    values = [datum(RAW), datum(picture(1, (4, 9)))]
    path = write_lmdb(tmp_path / "db", values)
    with pytest.raises(Exception, match=r"key b'00000001'.*at least 5 x 5"):
        batches(lmdb_dataset(path, transform=Transform(5)))


def test_python_need_not_wait_for_the_rest_of_a_batch_to_exit():
    class Slow:
        read_, started = 0, threading.Event()

        def __len__(self):
            return 256

        def name(self, index):
            return str(index)

        def read(self, index):
            self.started.set()
            time.sleep(0.002)
            self.read_ += 1
            return RAW, 0

    records = Slow()
    loader = Loader(records, Transform(), seed=0)
    records.started.clear()
    with ThreadPoolExecutor(1) as other:
        batch = other.submit(loader.batch, range(256), range(256))
        records.started.wait()
        loader._pool.shutdown()  # as at the exit
        with pytest.raises(StopIteration, match="after shutdown"):
            batch.result()
    assert records.read_ < 256
