import errno
import hashlib
import os
import types
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_net import NAME, archive, caffemodel, kept, params

from keras_caffe_zoo.caffe import write_caffemodel
from keras_caffe_zoo.weights import cache, home, integrity
from keras_caffe_zoo.weights.cache import cached_path, converted_weights, install
from keras_caffe_zoo.weights.download import WeightsDownloadError
from keras_caffe_zoo.weights.means import cached_mean, mean_image


@pytest.fixture(autouse=True)
def dump(monkeypatch):
    """A converter that stores the source's bytes; `dump.calls` counts them."""

    def dump_caffe_weights(caffemodel, output, *, mean=None, progress=True):
        dump.calls += 1
        with h5py.File(output, "w") as file:
            file["source"] = np.frombuffer(Path(caffemodel).read_bytes(), "uint8")
            file["source"].attrs["crc32"] = 0
            if dump.fails:
                raise dump.fails

    dump = types.SimpleNamespace(calls=0, fails=None)
    monkeypatch.setattr(cache, "dump_caffe_weights", dump_caffe_weights)
    return dump


@pytest.fixture
def hosted(host, publish, tmp_path):
    """The net, published with a checksum; returns its bytes."""
    data = caffemodel(tmp_path).read_bytes()
    url = host.serve(NAME, host.body(data))
    publish(url, sha256=hashlib.sha256(data).hexdigest())
    return data


def stored(path):
    with h5py.File(path) as file:
        return file["source"][()].tobytes()


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"KERAS_CAFFE_ZOO_HOME": "/a", "KERAS_HOME": "/b"}, "/a"),
        ({"KERAS_HOME": "/b"}, "/b/caffe_zoo"),
        ({"HOME": "/"}, "/.keras/caffe_zoo"),
    ],
)
def test_the_cache_lies_in_keras_home_unless_told(monkeypatch, settings, expected):
    for name in ("KERAS_CAFFE_ZOO_HOME", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(home.os, "access", lambda *args: True)
    assert home.cache_dir() == Path(expected)


def test_weights_are_fetched_converted_and_kept(host, hosted, dump, own_cache):
    assert cached_path("tiny") is None
    path = converted_weights("tiny", progress=False)
    assert stored(path) == hosted
    assert path.name == f"tiny-{hashlib.sha256(hosted).hexdigest()[:16]}.h5"
    assert kept(own_cache) == [path.name]
    assert converted_weights("tiny") == cached_path("tiny") == path
    assert (len(host.requests), dump.calls) == (1, 1)


def test_an_unknown_name_is_refused(hosted):
    for function in (converted_weights, cached_path, cached_mean, mean_image):
        with pytest.raises(ValueError, match="no net 'big'. There are: 'tiny'"):
            function("big")


def test_a_caffemodel_put_there_by_hand_is_used_and_kept(host, hosted, own_cache):
    by_hand = own_cache / "downloads" / NAME
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(hosted)
    assert stored(converted_weights("tiny", progress=False)) == hosted
    assert by_hand.read_bytes() == hosted
    assert host.requests == []


def truncate(path):
    os.truncate(path, path.stat().st_size - 1)


def overwrite(path):
    path.write_bytes(b"<html>not HDF5</html>" * 100)


def empty(path):
    path.write_bytes(b"")


def forget_the_seal(path):
    path.write_bytes(path.read_bytes()[: -len(integrity.MAGIC)])


def seal_for_another(path):
    data = path.read_bytes()
    with h5py.File(path, "w") as file:
        file["source"] = np.frombuffer(data, "uint8")
    integrity.seal(path, "0" * 64)


DAMAGES = [truncate, overwrite, empty, forget_the_seal, seal_for_another]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_named_and_replaced(hosted, own_cache, capsys, damage):
    path = converted_weights("tiny", progress=False)
    damage(path)
    assert cached_path("tiny") is None
    assert converted_weights("tiny", progress=False) == path
    assert f"{path} is damaged; replacing it" in capsys.readouterr().out
    assert stored(path) == hosted
    assert kept(own_cache) == [path.name]


def test_damage_in_an_array_is_found_if_asked_for(host, hosted, own_cache):
    path = converted_weights("tiny", progress=False)
    _, offset, length, _ = integrity.check_layout(path).arrays[0]
    data = bytearray(path.read_bytes())
    data[offset + length // 2] ^= 4
    path.write_bytes(data)
    assert converted_weights("tiny", progress=False) == path
    assert stored(path) != hosted
    assert converted_weights("tiny", verify=True, progress=False) == path
    assert stored(path) == hosted
    assert len(host.requests) == 2


def test_where_the_new_file_is_another_the_damaged_one_goes(
    host, publish, tmp_path, own_cache
):
    """Without a checksum nobody can tell which of two right files it will be."""
    one, two = (
        caffemodel(
            tmp_path, fc8=[np.full((5, 16), i, "float32"), np.zeros(5)]
        ).read_bytes()
        for i in (1, 2)
    )
    publish(host.serve(NAME, host.body(one), host.body(two)))
    first = converted_weights("tiny", progress=False)
    truncate(first)
    second = converted_weights("tiny", progress=False)
    assert kept(own_cache) == [second.name] != [first.name]


def test_a_net_whose_name_starts_alike_is_not_mistaken(hosted, own_cache):
    path = converted_weights("tiny", progress=False)
    path.rename(path.with_name(path.name.replace("tiny", "tiny_128")))
    assert cached_path("tiny") is None


def test_without_a_checksum_the_layers_are_verified(host, publish, tmp_path):
    data = caffemodel(tmp_path).read_bytes()
    publish(host.serve(NAME, host.body(data)))
    assert stored(converted_weights("tiny", progress=False)) == data
    assert cached_path("tiny") is not None


def test_legacy_shapes_are_the_same_layers(host, publish, tmp_path):
    fc8 = [np.zeros((1, 1, 5, 16), "float32"), np.zeros((1, 1, 1, 5), "float32")]
    data = caffemodel(tmp_path, fc8=fc8).read_bytes()
    publish(host.serve(NAME, host.body(data)))
    assert stored(converted_weights("tiny", progress=False)) == data


ZEROS = np.zeros((5, 16), "float32")


@pytest.mark.parametrize(
    "changes, layer",
    [
        ({"fc8": [ZEROS.T.copy(), ZEROS[:, 0].copy()]}, "fc8"),
        ({"fc8": [ZEROS]}, "fc8"),
        ({"fc8": None}, "fc8"),
        ({"fc9": [ZEROS]}, "fc9"),
    ],
)
def test_without_a_checksum_other_layers_are_refused(
    host, publish, tmp_path, own_cache, changes, layer
):
    data = caffemodel(tmp_path, **changes).read_bytes()
    publish(host.serve(NAME, host.body(data)), payload_bytes=1)  # a bound is known
    with pytest.raises(WeightsDownloadError, match=f"Expected layer '{layer}'"):
        converted_weights("tiny", progress=False)
    assert kept(own_cache) == []


def test_where_nobody_knows_how_much_a_file_holds_it_may_hold_more(
    host, publish, tmp_path
):
    data = caffemodel(tmp_path, fc9=[ZEROS]).read_bytes()
    publish(host.serve(NAME, host.body(data)), payload_bytes=None)
    assert stored(converted_weights("tiny", progress=False)) == data


@pytest.mark.parametrize("cut", [0.5, 0.0])
def test_without_a_checksum_a_damaged_file_is_refused(
    host, publish, tmp_path, own_cache, cut
):
    data = caffemodel(tmp_path).read_bytes()
    data = data[: int(len(data) * cut)] or b"\xff" * 500
    publish(host.serve(NAME, host.body(data)))
    with pytest.raises(WeightsDownloadError, match=NAME):
        converted_weights("tiny", progress=False)
    assert kept(own_cache) == []


def test_the_licence_is_told_once_and_before_the_download(
    host, publish, tmp_path, capsys
):
    data = caffemodel(tmp_path).read_bytes()
    publish(host.serve(NAME, host.body(data)), non_commercial=True)
    path = converted_weights("tiny")
    out = capsys.readouterr().out
    assert out.index("Tiny Net are for non-commercial use only") >= 0
    assert out.index("non-commercial") < out.index("Downloading")
    path.unlink()
    converted_weights("tiny")
    assert "non-commercial" not in capsys.readouterr().out


def test_offline_the_error_leads_to_install(publish, tmp_path, own_cache):
    path = caffemodel(tmp_path)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    publish(f"{(tmp_path / 'gone').as_uri()}", sha256=sha)
    with pytest.raises(WeightsDownloadError, match=f"install tiny {NAME}"):
        converted_weights("tiny", progress=False)
    installed = install("tiny", path, progress=False)
    assert converted_weights("tiny") == installed
    assert stored(installed) == path.read_bytes()
    assert kept(own_cache) == [installed.name]


def test_install_refuses_another_file(publish, tmp_path, own_cache):
    path = caffemodel(tmp_path)
    publish(sha256="0" * 64)
    with pytest.raises(ValueError, match=f"is not the published {NAME}.*{'0' * 64}"):
        install("tiny", path, progress=False)
    publish()
    write_caffemodel(path, params(fc8=None))
    with pytest.raises(ValueError, match="Expected layer 'fc8'"):
        install("tiny", path, progress=False)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        install("tiny", "nowhere")
    assert kept(own_cache) == []


def test_install_takes_the_archive_too(publish, tmp_path, own_cache):
    path = caffemodel(tmp_path)
    publish(archive="nets.tar.gz", member=NAME)
    installed = install("tiny", archive(tmp_path, path), progress=False)
    assert stored(installed) == path.read_bytes()
    assert kept(own_cache) == [installed.name]


def test_a_full_disk_while_converting_is_said(host, hosted, dump, own_cache):
    dump.fails = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(WeightsDownloadError, match="No space left on device"):
        converted_weights("tiny", progress=False)
    assert kept(own_cache) == [f"downloads/{NAME}"]
    dump.fails = None
    path = converted_weights("tiny", progress=False)
    assert stored(path) == hosted
    assert len(host.requests) == 1
    assert kept(own_cache) == [path.name]


def test_what_a_failed_run_left_is_verified_before_it_is_used(
    host, hosted, dump, own_cache, capsys
):
    dump.fails = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(WeightsDownloadError):
        converted_weights("tiny", progress=False)
    dump.fails = None
    truncate(own_cache / "downloads" / NAME)
    path = converted_weights("tiny", progress=False)
    assert "is not the published file" in capsys.readouterr().out
    assert stored(path) == hosted
    assert len(host.requests) == 2
    assert kept(own_cache) == [path.name]


def test_a_file_put_there_after_a_failed_run_is_not_taken_for_ours(
    host, hosted, dump, own_cache
):
    dump.fails = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(WeightsDownloadError):
        converted_weights("tiny", progress=False)
    dump.fails = None
    (own_cache / "downloads" / NAME).unlink()
    path = converted_weights("tiny", progress=False)
    path.unlink()
    (own_cache / "downloads" / NAME).write_bytes(hosted)
    converted_weights("tiny", progress=False)
    assert kept(own_cache) == [f"downloads/{NAME}", path.name]


def test_a_failed_conversion_leaves_nothing_partial(hosted, dump, own_cache):
    dump.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        converted_weights("tiny", progress=False)
    assert kept(own_cache) == [f"downloads/{NAME}"]


def test_a_cache_that_cannot_be_made_is_said(hosted, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(WeightsDownloadError, match="KERAS_CAFFE_ZOO_HOME"):
        converted_weights("tiny", progress=False)
