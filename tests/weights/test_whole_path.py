"""From a model host to the weights of a model, with all that goes wrong between.

In the end the right weights are in the model or an error is clear, and never is there a
wrong or partial file in the cache.
"""

import hashlib
import os

import h5py
import numpy as np
import pytest
from support import nhwc, relative_error
from tiny_net import MEAN, NAME, X, answers, archive, caffemodel, kept, mean_spec, model

from keras_caffe_zoo.caffe import write_mean
from keras_caffe_zoo.weights import (
    WeightsDownloadError,
    cached_path,
    converted_weights,
    load_published,
    mean_image,
)
from keras_caffe_zoo.weights import download as download_module
from keras_caffe_zoo.weights.integrity import check_layout, check_sealed
from keras_caffe_zoo.weights.manifest import WeightFile

KINDS = ["sha256", "sha1", "layers", "archive"]
PAGE = b"<!DOCTYPE html><html><body>The file has moved.</body></html>" * 50


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(download_module.time, "sleep", lambda seconds: None)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def offer(kind, publish, tmp_path):
    """Publishes the net as a kind of entry at URLs; returns the bytes to serve."""
    path = caffemodel(tmp_path)
    digests = {
        name: hashlib.new(name, path.read_bytes()).hexdigest()
        for name in ("sha256", "sha1")
    }
    facts = {kind: digests[kind]} if kind in digests else {}
    if kind == "archive":
        path, facts = archive(tmp_path, path), {"archive": "nets.tar.gz"}
        facts["member"] = NAME
    return lambda *urls: publish(*urls, **facts) and path.read_bytes()


def assert_loads_the_right_weights(home):
    net = model()
    load_published(net, "tiny")
    assert relative_error(net.predict(nhwc(X), verbose=0), answers()) <= 2e-6
    path = cached_path("tiny")
    check_sealed(path)
    assert kept(home) == [path.name]


def assert_refused(home, message):
    net = model()
    before = net.get_weights()
    with pytest.raises(WeightsDownloadError, match=message) as info:
        load_published(net, "tiny")
    assert "keras-caffe-zoo install tiny tiny.caffemodel" in str(info.value)
    for now, then in zip(net.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert kept(home) == []


def test_a_good_server(host, offer, own_cache):
    data = offer(host.url("net"))
    host.serve("net", host.body(data))
    assert_loads_the_right_weights(own_cache)
    assert_loads_the_right_weights(own_cache)
    assert len(host.requests) == 1


def test_a_slow_server(host, offer, own_cache):
    data = offer(host.url("net"))
    host.serve("net", host.drip(data))
    assert_loads_the_right_weights(own_cache)


def test_a_redirect(host, offer, own_cache):
    data = offer(host.url("here"))
    host.serve("there", host.body(data))
    host.serve("here", host.redirect(host.url("there")))
    assert_loads_the_right_weights(own_cache)


def test_a_connection_that_drops_half_way_and_one_that_holds(host, offer, own_cache):
    data = offer(host.url("net"))
    dropped = host.body(data[: len(data) // 2], length=len(data))
    host.serve("net", dropped, dropped, host.body(data))
    assert_loads_the_right_weights(own_cache)
    assert len(host.requests) == 3


@pytest.mark.parametrize("announced", [True, False])
def test_a_connection_that_always_drops(host, offer, own_cache, announced):
    """Where no length was announced, only the bytes can tell that some are missing."""
    data = offer(host.url("net"))
    half = data[: len(data) // 2]
    length = len(data) if announced else None
    host.serve("net", host.body(half, length=length, send_length=announced))
    assert_refused(own_cache, "connection closed after" if announced else NAME)


def test_a_web_page_with_status_200_and_then_a_good_server(host, offer, own_cache):
    data = offer(host.serve("one", host.body(PAGE)), host.url("two"))
    host.serve("two", host.body(data))
    assert_loads_the_right_weights(own_cache)


def test_nothing_but_a_web_page(host, offer, own_cache):
    offer(host.serve("net", host.body(PAGE)))
    assert_refused(own_cache, "received a web page instead of the file")


def other_net(kind, folder):
    """The net with two classes more, packed as its kind is."""
    fc8 = [np.zeros((7, 16), "float32"), np.zeros(7, "float32")]
    path = caffemodel(folder, fc8=fc8)
    return (archive(folder, path) if kind == "archive" else path).read_bytes()


def test_another_net(host, kind, offer, own_cache, tmp_path):
    offer(host.url("net"))
    host.serve("net", host.body(other_net(kind, tmp_path)))
    wrong = "Expected sha" if kind.startswith("sha") else "Expected layer 'fc8'"
    assert_refused(own_cache, wrong)


@pytest.mark.parametrize("kind", ["sha256", "sha1", "archive"])
def test_the_net_with_one_bit_flipped(host, offer, own_cache):
    """Without a checksum a changed weight is a weight; in an archive gzip has one."""
    data = bytearray(offer(host.url("net")))
    data[len(data) // 2] ^= 1
    host.serve("net", host.body(bytes(data)))
    assert_refused(own_cache, "Expected sha|damaged archive|more than")


def test_a_mean_image(host, publish, tmp_path):
    write_mean(tmp_path / "m.binaryproto", MEAN)
    data = (tmp_path / "m.binaryproto").read_bytes()
    dropped = host.body(data[: len(data) // 2], length=len(data))
    good = host.serve("two", dropped, host.drip(data))
    urls = (host.serve("one", host.body(PAGE)), good)
    publish(mean=mean_spec(WeightFile("mean.binaryproto", urls)))
    image = mean_image("tiny", download=True, progress=False)
    np.testing.assert_array_equal(image, MEAN.transpose(1, 2, 0))


def flip_in_an_array(path):
    data = bytearray(path.read_bytes())
    _, offset, length, _ = check_layout(path).arrays[0]
    data[offset + length // 2] ^= 1
    path.write_bytes(data)


def flip_in_the_structure(path):
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def replace_by_html(path):
    path.write_bytes(PAGE)


def replace_by_other_hdf5(path):
    with h5py.File(path, "w") as file:
        file["conv1/kernel"] = np.zeros((2, 2, 3, 4), "float32")


@pytest.mark.parametrize(
    "damage",
    [
        flip_in_an_array,
        flip_in_the_structure,
        cut,
        replace_by_html,
        replace_by_other_hdf5,
    ],
)
@pytest.mark.parametrize("kind", ["sha256", "layers"])
def test_a_cached_file_that_rots(host, offer, own_cache, capsys, damage):
    data = offer(host.url("net"))
    host.serve("net", host.body(data))
    path = converted_weights("tiny", progress=False)
    damage(path)
    assert_loads_the_right_weights(own_cache)
    assert f"{path} is damaged; replacing it" in capsys.readouterr().out
    assert len(host.requests) == 2


@pytest.mark.parametrize("kind", ["sha256"])
def test_a_cached_file_that_rots_offline_is_not_loaded(host, offer, own_cache):
    data = offer(host.url("net"))
    host.serve("net", host.body(data), host.status(404))
    flip_in_an_array(converted_weights("tiny", progress=False))
    assert_refused(own_cache, "HTTP 404")


# A process of its own; its converter can wait in the middle for what happens to it.
WORKER = """
import time
from tiny_net import caffemodel, entry
from keras_caffe_zoo.weights import cache, manifest, store
from keras_caffe_zoo.weights.manifest import WeightFile
net = entry(WeightFile("tiny.caffemodel", ({url!r},), sha256={sha!r}))
manifest.load_manifest = lambda: {{"tiny": net}}
write = store._write
def write_and_wait(group, key, array):
    write(group, key, array)
    if {hang} and key == "kernel":
        group.file.flush()
        print("half-way", flush=True)
        time.sleep(600)
store._write = write_and_wait
print("ready", flush=True)
print(cache.converted_weights("tiny", progress=False), flush=True)
"""


@pytest.fixture
def start_net_worker(start_worker, host, publish, tmp_path):
    data = caffemodel(tmp_path).read_bytes()
    sha = hashlib.sha256(data).hexdigest()
    publish(host.url(NAME), sha256=sha)

    def start(hang=False):
        code = WORKER.format(url=host.url(NAME), sha=sha, hang=hang)
        return start_worker(code)

    start.data = data
    return start


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 8])
def test_processes_at_once(host, own_cache, start_net_worker, count):
    host.serve(NAME, host.hold(start_net_worker.data))
    workers = [start_net_worker() for _ in range(count)]
    host.answer_when_all_wait(workers)
    outputs = [worker.communicate(timeout=60) for worker in workers]
    assert [err for _, err in outputs] == [""] * count
    assert {out.split()[-1] for out, _ in outputs} == {str(cached_path("tiny"))}
    assert len(host.requests) == 1
    assert_loads_the_right_weights(own_cache)


@pytest.mark.slow
def test_a_process_killed_in_the_download(host, own_cache, start_net_worker):
    data = start_net_worker.data
    host.serve(NAME, host.stall(data), host.body(data))
    worker = start_net_worker()
    assert host.half_sent.wait(60)
    worker.kill()
    worker.wait()
    assert cached_path("tiny") is None
    assert_loads_the_right_weights(own_cache)


@pytest.mark.slow
@pytest.mark.parametrize("leftover", ["whole", "damaged"])
def test_a_process_killed_in_the_conversion(
    host, own_cache, start_net_worker, leftover, capsys
):
    data = start_net_worker.data
    host.serve(NAME, host.body(data))
    worker = start_net_worker(hang=True)
    assert [worker.stdout.readline() for _ in "12"] == ["ready\n", "half-way\n"]
    worker.kill()
    worker.wait()
    assert cached_path("tiny") is None
    if leftover == "damaged":
        (own_cache / "downloads" / NAME).write_bytes(data[:-9])
    assert_loads_the_right_weights(own_cache)
    assert len(host.requests) == (2 if leftover == "damaged" else 1)
    assert not (own_cache / ".tiny.part").exists()


DISK_IS_FULL = """
import resource
limit = int({size} * {share})
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
"""


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 1.1])
def test_a_disk_that_fills_up(host, own_cache, start_worker, tmp_path, share):
    """Half of the download fits, or the download and half of the conversion.

    No file may grow past a limit, which the system enforces.
    """
    fc8 = [np.ones((5, 16), "float32"), np.ones(5, "float32")]
    more = [np.ones((20_000,), "float32")]
    data = caffemodel(tmp_path, fc8=fc8, more=more).read_bytes()
    sha = hashlib.sha256(data).hexdigest()
    host.serve(NAME, host.body(data))
    code = WORKER.format(url=host.url(NAME), sha=sha, hang=False)
    code = DISK_IS_FULL.format(size=len(data), share=share) + code
    out, err = start_worker(code).communicate(timeout=60)
    assert out == "ready\n"
    assert "WeightsDownloadError: Could not store files in" in err
    assert "Free some space" in err
    assert kept(own_cache) == ([f"downloads/{NAME}"] if share > 1 else [])
