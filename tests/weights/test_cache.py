import errno
import hashlib
import os
import sys
import tarfile
import types
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_caffe_zoo.caffe import write_caffemodel, write_mean
from keras_caffe_zoo.weights import cache, home, manifest, seal
from keras_caffe_zoo.weights.cache import cached_path, converted_weights, install
from keras_caffe_zoo.weights.download import WeightsDownloadError
from keras_caffe_zoo.weights.manifest import Licence, MeanSpec, ModelEntry, WeightFile
from keras_caffe_zoo.weights.means import cached_mean, mean_image

NAME = "tiny.caffemodel"
BLOBS = {"conv1": ((4, 3, 2, 2), (4,)), "fc8": ((5, 16), (5,))}
MEAN = np.arange(3 * 4 * 6, dtype="float32").reshape(3, 4, 6)


def params(**changes):
    rng = np.random.default_rng(0)
    arrays = {
        layer: [rng.standard_normal(shape, "float32") for shape in shapes]
        for layer, shapes in BLOBS.items()
    }
    return {k: v for k, v in {**arrays, **changes}.items() if v is not None}


def caffemodel(folder, **changes):
    path = folder / NAME
    write_caffemodel(path, params(**changes))
    return path


def entry(file, mean=None, non_commercial=False, name="tiny"):
    return ModelEntry(
        name=name,
        title="Tiny Net",
        paper=None,
        licence=Licence("some licence", non_commercial),
        file=file,
        mean=mean,
        input_size=8,
        resize=None,
        class_labels="digits",
        classes=5,
        accuracy=(),
        format="V2",
        notes=None,
        blobs=BLOBS,
    )


@pytest.fixture
def publish(monkeypatch):
    """Makes a net the manifest's only one."""

    def publish(*urls, mean=None, non_commercial=False, **facts):
        one = entry(WeightFile(NAME, urls, **facts), mean, non_commercial)
        monkeypatch.setattr(manifest, "load_manifest", lambda: {"tiny": one})

    monkeypatch.setattr(cache, "_told", set())
    return publish


@pytest.fixture(autouse=True)
def dump(monkeypatch):
    """A converter that stores the source's bytes; `dump.calls` counts them."""

    def dump_caffe_weights(caffemodel, output, *, mean=None, progress=True):
        dump.calls += 1
        with h5py.File(output, "w") as file:
            file["source"] = np.frombuffer(Path(caffemodel).read_bytes(), "uint8")
            if dump.fails:
                raise dump.fails

    dump = types.ModuleType("keras_caffe_zoo.weights.store")
    dump.dump_caffe_weights, dump.calls, dump.fails = dump_caffe_weights, 0, None
    monkeypatch.setitem(sys.modules, dump.__name__, dump)
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


def kept(home):
    paths = (p for p in home.rglob("*") if p.is_file() and p.suffix != ".lock")
    return sorted(str(p.relative_to(home)) for p in paths)


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
        with pytest.raises(ValueError, match="Expected one of tiny; received: 'big'"):
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
    path.write_bytes(b"not HDF5")


def forget_the_mark(path):
    with h5py.File(path, "r+") as file:
        del file.attrs[seal.SOURCE]


def mark_another(path):
    with h5py.File(path, "r+") as file:
        file.attrs[seal.SOURCE] = "0" * 64


@pytest.mark.parametrize("damage", [truncate, overwrite, forget_the_mark, mark_another])
def test_a_damaged_cache_is_named_and_replaced(hosted, own_cache, capsys, damage):
    path = converted_weights("tiny", progress=False)
    damage(path)
    assert cached_path("tiny") is None
    assert converted_weights("tiny", progress=False) == path
    assert f"{path} is damaged; replacing it" in capsys.readouterr().out
    assert stored(path) == hosted
    assert kept(own_cache) == [path.name]


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
    publish(host.serve(NAME, host.body(data)))
    with pytest.raises(WeightsDownloadError, match=f"Expected layer '{layer}'"):
        converted_weights("tiny", progress=False)
    assert kept(own_cache) == []


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


def archive(folder, *paths):
    with tarfile.open(folder / "nets.tar.gz", "w:gz") as tar:
        for path in paths:
            tar.add(path, f"nets/{path.name}")
    return folder / "nets.tar.gz"


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
    assert stored(converted_weights("tiny", progress=False)) == hosted
    assert len(host.requests) == 1


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


MEAN_FILE = WeightFile(
    "mean.binaryproto", archive="nets.tar.gz", member="m.binaryproto"
)
SPEC = MeanSpec(
    "m", "image", tuple(MEAN.mean((1, 2))), shape=(4, 6), file=MEAN_FILE
)


def test_the_mean_image_is_fetched_on_demand(publish, tmp_path, monkeypatch):
    write_mean(tmp_path / "m.binaryproto", MEAN)
    monkeypatch.setenv("KERAS_CAFFE_ZOO_MIRROR", str(tmp_path))
    archive(tmp_path, tmp_path / "m.binaryproto")
    publish(mean=SPEC)
    assert mean_image("tiny") is None and cached_mean("tiny") is None
    image = mean_image("tiny", download=True, progress=False)
    np.testing.assert_array_equal(image, np.moveaxis(MEAN, 0, 2))
    np.testing.assert_array_equal(mean_image("tiny"), image)
    cached_mean("tiny").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"mean\.binaryproto"):
        mean_image("tiny")
    np.testing.assert_array_equal(mean_image("tiny", download=True), image)


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
    np.testing.assert_array_equal(mean_image("tiny"), np.moveaxis(MEAN, 0, 2))
    assert kept(own_cache) == ["means/mean.binaryproto"]


@pytest.mark.parametrize("wrong", [MEAN + 1, MEAN[::-1], MEAN[:, :3], MEAN[:2]])
def test_another_mean_image_is_refused(publish, tmp_path, own_cache, wrong):
    publish(mean=SPEC)
    write_mean(tmp_path / "m.binaryproto", np.ascontiguousarray(wrong))
    with pytest.raises(ValueError, match="Expected"):
        install("tiny", tmp_path / "m.binaryproto")
    assert kept(own_cache) == []


# One process's `converted_weights` with a converter that leaves a trace.
WORKER = """
import time, types
import h5py, numpy
store = sys.modules["keras_caffe_zoo.weights.store"] = types.ModuleType("store")
def dump_caffe_weights(source, output, **options):
    with open({trace!r}, "a") as trace:
        trace.write("converted ")
    with h5py.File(output, "w") as file:
        file["source"] = numpy.fromfile(source, "uint8")
        file.flush()
        if {hang}:
            print("half-way", flush=True)
            time.sleep(600)
store.dump_caffe_weights = dump_caffe_weights
from keras_caffe_zoo.weights import cache, home, manifest, seal
file = manifest.WeightFile({name!r}, ({url!r},), sha256={sha!r})
licence = manifest.Licence(None, None)
entry = manifest.ModelEntry("tiny", "Tiny", None, licence, file, None, 8, None, "",
                            5, (), None, None, {{}})
manifest.load_manifest = lambda: {{"tiny": entry}}
print("ready", flush=True)
print(cache.converted_weights("tiny", progress=False))
"""


def worker_code(host, data, trace, hang=False):
    sha = hashlib.sha256(data).hexdigest()
    url = host.url(NAME)
    return WORKER.format(name=NAME, url=url, sha=sha, trace=str(trace), hang=hang)


@pytest.mark.parametrize("count", [2, 8])
def test_processes_at_once_share_one_conversion(
    host, hosted, tmp_path, own_cache, start_worker, count
):
    trace = tmp_path / "trace"
    host.serve(NAME, host.hold(hosted))
    code = worker_code(host, hosted, trace)
    workers = [start_worker(code) for _ in range(count)]
    host.answer_when_all_wait(workers)
    outputs = [worker.communicate(timeout=60) for worker in workers]
    assert [err for _, err in outputs] == [""] * count
    assert {out.split()[-1] for out, _ in outputs} == {str(cached_path("tiny"))}
    assert (len(host.requests), trace.read_text().split()) == (1, ["converted"])
    assert stored(cached_path("tiny")) == hosted


def test_a_killed_conversion_blocks_nothing_and_is_cleaned_up(
    host, hosted, tmp_path, own_cache, start_worker
):
    worker = start_worker(worker_code(host, hosted, tmp_path / "trace", hang=True))
    assert [worker.stdout.readline() for _ in "12"] == ["ready\n", "half-way\n"]
    worker.kill()
    worker.wait()
    assert cached_path("tiny") is None
    path = converted_weights("tiny", progress=False)
    assert stored(path) == hosted
    assert set(kept(own_cache)) <= {path.name, f"downloads/{NAME}"}
    assert not (own_cache / ".tiny.part").exists()
