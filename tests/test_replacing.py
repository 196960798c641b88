"""Files that appear whole or not; `tests/conversion/test_files.py` is of others."""

import errno
import os

import pytest

from keras_caffe_zoo.files import replacing, replacing_path, settle


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    return path


def write_file(path, data):
    with replacing(path) as file:
        file.write(data)


def write_path(path, data):
    with replacing_path(path) as beside:
        assert beside.parent == path.parent and beside.name.endswith(path.suffix)
        beside.write_bytes(data)


both = pytest.mark.parametrize("write", [write_file, write_path])


@both
def test_the_file_is_replaced_and_nothing_is_left_beside_it(write, path):
    write(path, b"new")
    assert path.read_bytes() == b"new" and list(path.parent.iterdir()) == [path]


@both
def test_a_file_that_is_not_there_is_made(write, tmp_path):
    write(tmp_path / "new", b"new")
    assert (tmp_path / "new").read_bytes() == b"new"


@both
def test_until_all_is_written_and_synced_the_old_file_stays(write, path, monkeypatch):
    seen, sync, replace = [], os.fsync, os.replace

    def watch_sync(number):
        seen.append((os.fstat(number).st_size, path.read_bytes()))
        sync(number)

    def watch_replace(source, target):
        seen.append((os.stat(source).st_size, path.read_bytes()))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watch_sync)
    monkeypatch.setattr(os, "replace", watch_replace)
    write(path, b"longer")
    assert seen == [(6, b"old"), (6, b"old")]


@both
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_on_a_full_disk_the_old_file_stays(write, name, path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, name, full)
    with pytest.raises(OSError, match="No space"):
        write(path, b"new")
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("context", [replacing, replacing_path])
def test_if_the_block_raises_the_old_file_stays(context, path):
    with pytest.raises(KeyboardInterrupt), context(path) as beside:
        if context is replacing:
            beside.write(b"half")
        else:
            beside.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]


def test_a_finished_file_settles_over_another(path):
    part = path.with_name("part")
    part.write_bytes(b"new")
    settle(part, path)
    assert path.read_bytes() == b"new" and not part.exists()
