"""Pictures behind URLs: the same names and bytes as on this machine's disk."""

import sys

import pytest
import tiny

from keras_caffe_zoo.extraction import urls
from keras_caffe_zoo.extraction.block import Item
from keras_caffe_zoo.extraction.sources import join_sources, open_source
from keras_caffe_zoo.extraction.spec import Spec
from keras_caffe_zoo.extraction.worker import BlockWorker

fsspec = pytest.importorskip("fsspec", reason="the extra [ray] is not installed")

FILES = {
    "cats/tom.jpg": b"tom",
    "cats/.hidden.png": b"",
    ".trash/old.jpg": b"",
    "b.PNG": b"b",
    "notes.txt": b"\xef\xbb\xbfb.PNG 3\n\ncats/tom.jpg\nmemory://else/c.gif\n",
    "none.txt": b"\n",
}


@pytest.fixture
def bucket():
    files = fsspec.filesystem("memory")
    for name, data in FILES.items():
        files.pipe_file(f"/bucket/{name}", data)
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_gives_its_pictures_by_name(bucket, slash):
    source = open_source(bucket + slash)
    items = list(source.items())
    assert source.total == 2
    assert [item.name for item in items] == ["b.PNG", "cats/tom.jpg"]
    assert [urls.read_url(item.data) for item in items] == [b"b", b"tom"]


def test_a_list_gives_what_it_lists(bucket):
    items = list(open_source(f"{bucket}/notes.txt").items())
    paths = ["memory://bucket/b.PNG", "memory://bucket/cats/tom.jpg"]
    assert [item.data for item in items] == [*paths, "memory://else/c.gif"]
    assert [item.name for item in items][:2] == ["b.PNG", "cats/tom.jpg"]


def test_a_picture_is_itself(bucket):
    (item,) = open_source(f"{bucket}/cats/tom.jpg").items()
    assert (item.name, item.data) == ("tom.jpg", f"{bucket}/cats/tom.jpg")
    (item,) = open_source([f"{bucket}/cats/tom.jpg"]).items()
    assert item.name == item.data == f"{bucket}/cats/tom.jpg"


def test_several_sources_keep_their_names_apart(bucket):
    items = join_sources([f"{bucket}/cats", f"{bucket}/b.PNG"]).items()
    names = [item.name for item in items]
    assert names == ["memory://bucket/cats/tom.jpg", "memory://bucket/b.PNG"]


@pytest.mark.parametrize("name", ["none.txt", "empty/"])
def test_no_picture_is_refused(bucket, name):
    with pytest.raises((ValueError, FileNotFoundError), match=r"one picture|empty"):
        open_source(f"{bucket}/{name}")


def test_a_missing_fsspec_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r'pip install "keras_caffe_zoo\[ray\]"'):
        open_source("s3://bucket/photos")


def test_chains_are_refused():
    with pytest.raises(ValueError, match="not a chain"):
        urls.read_url("zip://a.jpg::memory://b.zip")


def test_a_list_on_disk_may_name_urls(bucket, tmp_path):
    (tmp_path / "list.txt").write_text(f"a.png\n{bucket}/b.PNG 7\n")
    items = list(open_source(tmp_path / "list.txt").items())
    assert [i.data for i in items] == [str(tmp_path / "a.png"), f"{bucket}/b.PNG"]


def test_a_missing_file_is_a_bad_picture_and_a_broken_way_to_it_an_error(
    bucket, monkeypatch
):
    worker = BlockWorker(Spec(tiny.net(), ("fc2",), preprocess=tiny.centre))
    missing, junk = (
        worker.prepare(Item(0, "a", f"{bucket}/{name}")) for name in ("a.png", "b.PNG")
    )
    assert (missing.reason, junk.reason) == (
        "no such file",
        "no picture, but text that begins 'b'",
    )

    def broken(url):
        raise ConnectionResetError("the network is gone")

    monkeypatch.setattr("keras_caffe_zoo.extraction.reading.read_url", broken)
    with pytest.raises(ConnectionResetError):
        worker.prepare(Item(0, "a", f"{bucket}/b.PNG"))
