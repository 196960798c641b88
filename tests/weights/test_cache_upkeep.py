import dataclasses

import pytest
from tiny_net import MEAN, NAME, caffemodel, entry, kept, mean_spec

from keras_caffe_zoo.caffe import write_mean
from keras_caffe_zoo.weights import (
    cached_mean,
    converted_weights,
    install,
    remove,
    verify_cache,
)
from keras_caffe_zoo.weights.integrity import check_layout
from keras_caffe_zoo.weights.manifest import WeightFile

MEAN_NAME = "mean.binaryproto"


@pytest.fixture
def nets(publish, tmp_path):
    """Two nets in the cache, `tiny` and `twin`, that share a mean."""
    mean = mean_spec(WeightFile(MEAN_NAME))
    twin = entry(WeightFile("twin.caffemodel"), mean, name="twin")
    publish(mean=mean, others=[twin])
    write_mean(tmp_path / MEAN_NAME, MEAN)
    install("tiny", tmp_path / MEAN_NAME)
    path = caffemodel(tmp_path)
    return [install(name, path, progress=False) for name in ("tiny", "twin")]


def flip(path, index):
    data = bytearray(path.read_bytes())
    data[index] ^= 1
    path.write_bytes(data)


def damaged(names=None):
    return [file.path for file in verify_cache(names) if file.damage]


def test_an_intact_cache_is_all_ok(nets):
    files = list(verify_cache())
    assert {file.path for file in files} == {*nets, cached_mean("tiny")}
    assert len(files) == 3
    assert not any(file.damage for file in files)
    assert [file.size for file in files] == [f.path.stat().st_size for f in files]


def test_an_empty_cache_is_all_ok(publish):
    publish()
    assert list(verify_cache()) == []


def test_each_damaged_file_is_found(nets, own_cache, tmp_path):
    tiny, twin = nets
    by_hand = own_cache / "downloads" / NAME
    by_hand.parent.mkdir(exist_ok=True)
    by_hand.write_bytes((tmp_path / NAME).read_bytes())
    assert damaged() == []
    flip(tiny, check_layout(tiny).arrays[0][1])
    flip(twin, 100)
    flip(cached_mean("tiny"), 50)
    by_hand.write_bytes(b"<html>")
    assert set(damaged()) == {tiny, twin, cached_mean("tiny"), by_hand}
    assert set(damaged(["twin"])) == {twin, cached_mean("tiny")}


def test_verify_changes_nothing(nets, own_cache):
    flip(nets[0], 100)
    before = {p: p.read_bytes() for p in own_cache.rglob("*") if p.is_file()}
    assert damaged() == [nets[0]]
    assert {p: p.read_bytes() for p in own_cache.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("function", [remove, lambda name: verify_cache([name])])
def test_an_unknown_name_is_refused(nets, function):
    with pytest.raises(ValueError, match="no net 'x'. There are: 'tiny', 'twin'"):
        function("x")


def test_remove_takes_the_net_and_leaves_a_mean_that_another_uses(nets, own_cache):
    tiny, twin = nets
    mean = cached_mean("tiny")
    size = tiny.stat().st_size
    removal = remove("tiny")
    assert (removal.freed, removal.bytes_freed) == (((tiny, size),), size)
    assert removal.kept == ((mean, "twin uses it"),)
    assert kept(own_cache) == [f"means/{mean.name}", twin.name]
    assert [path for path, _ in remove("twin").freed] == [twin, mean]
    assert kept(own_cache) == []


def test_remove_takes_damaged_files_and_what_killed_runs_left(nets, own_cache):
    downloads = own_cache / "downloads"
    downloads.mkdir(exist_ok=True)
    for name in (f".{NAME}.part", NAME, f".{MEAN_NAME}.part"):
        (downloads / name).write_bytes(b"half")
    (downloads / f".{NAME}.fetched").touch()
    part = own_cache / ".tiny.part"
    part.mkdir()
    (part / "half.h5").write_bytes(b"half")
    flip(nets[0], 100)
    remove("twin")
    remove("tiny")
    assert kept(own_cache) == []


def test_remove_leaves_everything_else(nets, own_cache, tmp_path):
    alike = own_cache / nets[0].name.replace("tiny", "tiny_128")
    others = [
        alike,
        own_cache / "tiny.h5",
        own_cache / "tiny-notes.h5",
        own_cache / "downloads" / "other.caffemodel",
        own_cache / "downloads" / NAME,  # put there by hand: no mark says it is ours
        own_cache / "means" / "other-0123456789abcdef.binaryproto",
    ]
    (own_cache / "downloads").mkdir(exist_ok=True)
    for path in others:
        path.write_bytes(b"not the cache's own")
    removal = remove("tiny")
    assert all(path.exists() for path in [*others, nets[1], tmp_path / NAME])
    assert (others[4], "it was put there by hand") in removal.kept
    assert [path for path, _ in removal.freed] == [nets[0]]


def test_remove_from_an_empty_or_missing_cache_frees_nothing(publish, own_cache):
    publish()
    assert remove("tiny").bytes_freed == 0
    assert not own_cache.exists()


def test_a_removed_net_is_fetched_again(host, publish, tmp_path):
    one = publish(host.url(NAME))
    host.serve(NAME, host.body(caffemodel(tmp_path).read_bytes()))
    path = converted_weights("tiny", progress=False)
    remove("tiny")
    assert not path.exists()
    assert converted_weights("tiny", progress=False) == path
    assert len(host.requests) == 2
    assert dataclasses.asdict(one.file)["name"] == NAME
