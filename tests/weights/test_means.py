import dataclasses
import tarfile

import numpy as np
import pytest
from tiny_net import MEAN, MEAN_FILE, NAME, archive, caffemodel, kept, mean_spec

from keras_caffe_zoo.caffe import write_mean
from keras_caffe_zoo.weights import WeightsDownloadError, install
from keras_caffe_zoo.weights.manifest import MeanSpec, WeightFile
from keras_caffe_zoo.weights.means import cached_mean, mean_image
from keras_caffe_zoo.weights.store import StoredWeights

IMAGE = np.moveaxis(MEAN, 0, 2)
SPEC = mean_spec()


@pytest.fixture
def published(publish, tmp_path, monkeypatch):
    """The mean alone, in an archive that a mirror has."""
    write_mean(tmp_path / "m.binaryproto", MEAN)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    archive(mirror, tmp_path / "m.binaryproto")
    monkeypatch.setenv("KERAS_CAFFE_ZOO_MIRROR", str(mirror))
    publish(mean=SPEC)
    return mirror


def test_the_mean_image_is_fetched_on_demand(published, own_cache):
    assert mean_image("tiny") is None and cached_mean("tiny") is None
    image = mean_image("tiny", download=True, progress=False)
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(mean_image("tiny"), image)
    assert len(kept(own_cache)) == 1


def flip_a_low_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def web_page(path):
    path.write_text("<html>not found</html>")


@pytest.mark.parametrize("damage", [flip_a_low_bit, cut, web_page])
def test_a_damaged_mean_is_named_and_replaced(published, own_cache, capsys, damage):
    mean_image("tiny", download=True, progress=False)
    path = cached_mean("tiny")
    damage(path)
    np.testing.assert_array_equal(mean_image("tiny", progress=False), IMAGE)
    assert f"{path} is damaged; replacing it" in capsys.readouterr().out
    assert cached_mean("tiny") == path
    assert len(kept(own_cache)) == 1


def test_a_damaged_mean_that_cannot_be_replaced_is_an_error(published):
    mean_image("tiny", download=True, progress=False)
    flip_a_low_bit(cached_mean("tiny"))
    (published / "nets.tar.gz").unlink()
    for _ in range(2):
        with pytest.raises(WeightsDownloadError, match="install tiny mean.binaryproto"):
            mean_image("tiny", progress=False)


def test_a_net_without_a_mean_file_has_no_mean_image(publish, tmp_path):
    for mean in (None, MeanSpec("c", "channels", (1.0, 2.0, 3.0))):
        publish(mean=mean)
        assert mean_image("tiny", download=True) is None
        (tmp_path / "m.binaryproto").touch()
        with pytest.raises(ValueError, match="Expected no mean file"):
            install("tiny", tmp_path / "m.binaryproto")


def test_install_takes_the_mean_too(publish, tmp_path, own_cache):
    publish(mean=SPEC)
    write_mean(tmp_path / "by_hand.binaryproto", MEAN)
    path = install("tiny", tmp_path / "by_hand.binaryproto")
    assert path == cached_mean("tiny")
    np.testing.assert_array_equal(mean_image("tiny"), IMAGE)
    assert kept(own_cache) == [f"means/{path.name}"]


@pytest.mark.parametrize("wrong", [MEAN + 1, MEAN[::-1], MEAN[:, :3], MEAN[:2]])
def test_another_mean_image_is_refused(publish, tmp_path, own_cache, wrong):
    publish(mean=SPEC)
    write_mean(tmp_path / "m.binaryproto", np.ascontiguousarray(wrong))
    with pytest.raises(ValueError, match="Expected"):
        install("tiny", tmp_path / "m.binaryproto")
    assert kept(own_cache) == []


@pytest.fixture
def together(host, publish, tmp_path):
    """The net and its mean in one archive."""
    write_mean(tmp_path / "m.binaryproto", MEAN)
    path = archive(tmp_path, caffemodel(tmp_path), tmp_path / "m.binaryproto")
    url = host.serve("nets.tar.gz", host.body(path.read_bytes()))
    mean = mean_spec(dataclasses.replace(MEAN_FILE, urls=(url,)))
    publish(url, mean=mean, archive="nets.tar.gz", member=NAME)
    return path


def test_one_download_of_an_archive_gives_net_and_mean(host, together, own_cache):
    from keras_caffe_zoo.weights import converted_weights

    net = converted_weights("tiny", progress=False)
    np.testing.assert_array_equal(mean_image("tiny"), IMAGE)
    assert len(host.requests) == 1
    assert kept(own_cache) == [f"means/{cached_mean('tiny').name}", net.name]


def test_installing_an_archive_gives_net_and_mean(together, own_cache):
    net = install("tiny", together, progress=False)
    np.testing.assert_array_equal(mean_image("tiny"), IMAGE)
    assert kept(own_cache) == [f"means/{cached_mean('tiny').name}", net.name]


def test_an_archive_without_its_mean_still_gives_the_net(
    host, together, tmp_path, capsys
):
    with tarfile.open(together, "w:gz") as tar:
        tar.add(tmp_path / NAME, NAME)
    with StoredWeights(install("tiny", together, progress=False)) as stored:
        assert stored.names == ["conv1", "fc8"]
    assert "Note: no mean image for tiny" in capsys.readouterr().out
    assert cached_mean("tiny") is None


def test_a_mean_without_size_or_checksum_is_told_by_its_shape(host, publish):
    page = host.serve("mean.binaryproto", host.body(b"\x0a\x04not a mean"))
    publish(mean=mean_spec(WeightFile("mean.binaryproto", (page,))))
    with pytest.raises(WeightsDownloadError, match=r"mean\.binaryproto"):
        mean_image("tiny", download=True, progress=False)
    assert cached_mean("tiny") is None


WORKER = """
from tiny_net import entry, mean_spec
from keras_caffe_zoo.weights import manifest, means
from keras_caffe_zoo.weights.manifest import WeightFile
net = entry(WeightFile("x"), mean_spec(WeightFile("mean.binaryproto", ({url!r},))))
manifest.load_manifest = lambda: {{"tiny": net}}
print("ready", flush=True)
print(means.mean_image("tiny", download=True, progress=False).sum())
"""


@pytest.mark.slow
def test_processes_at_once_share_one_download(host, start_worker, tmp_path, own_cache):
    write_mean(tmp_path / "m.binaryproto", MEAN)
    data = (tmp_path / "m.binaryproto").read_bytes()
    url = host.serve("mean.binaryproto", host.hold(data))
    workers = [start_worker(WORKER.format(url=url)) for _ in range(4)]
    host.answer_when_all_wait(workers)
    outputs = [worker.communicate(timeout=60) for worker in workers]
    assert [err for _, err in outputs] == [""] * 4
    assert {out.split()[-1] for out, _ in outputs} == {str(MEAN.sum())}
    assert len(host.requests) == 1
    assert len(kept(own_cache)) == 1
