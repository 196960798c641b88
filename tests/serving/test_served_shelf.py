"""Which nets are served, and which of them are in memory."""

import threading
import time
from types import SimpleNamespace

import pytest

from keras_caffe_zoo.demo import load
from keras_caffe_zoo.serving import offers as offering
from keras_caffe_zoo.serving.errors import ViewError
from keras_caffe_zoo.serving.offers import Offer, offers
from keras_caffe_zoo.serving.shelf import Shelf


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path))


def fakes(loaded, count=4):
    def load(name):
        loaded.append(name)
        return SimpleNamespace(name=name)

    names = [f"net{i}" for i in range(count)]
    return [Offer(name, "", lambda name=name: load(name)) for name in names]


def test_the_least_used_net_is_put_back():
    loaded = []
    shelf = Shelf(fakes(loaded), kept=2)
    for name in ("net0", "net1", "net0", "net2", "net0", "net1"):
        with shelf.using(name) as net:
            assert net.name == name
            assert len(shelf.loaded) <= 2
    assert loaded == ["net0", "net1", "net2", "net1"]
    assert shelf.loaded == ["net0", "net1"]


def test_threads_load_a_net_once_and_use_it_one_at_a_time():
    loaded, inside, most = [], [], []
    shelf = Shelf(fakes(loaded))

    def use():
        with shelf.using("net0"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.001)
            inside.pop()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["net0"] and most == [1] * 8


def test_a_net_that_cannot_be_loaded_leaves_the_shelf_usable():
    def broken():
        raise OSError("gone")

    shelf = Shelf([Offer("broken", "", broken), *fakes([])])
    with pytest.raises(OSError, match="gone"), shelf.using("broken"):
        pass
    with shelf.using("net0"):
        assert shelf.loaded == ["net0"]


def test_nets_that_ship_and_nets_in_the_cache_are_there(monkeypatch):
    assert [offer.name for offer in offers()] == ["digits", "digits_ssd"]
    known = ("caffenet", "ssd300", "sphereface")  # of the last, an embedding is no view
    monkeypatch.setattr(
        offering, "cached_path", lambda name: name if name in known else None
    )
    found = [offer.name for offer in offers(["ssd300"])]
    assert found == ["ssd300", "digits", "digits_ssd", "caffenet"]


def test_a_net_that_left_the_cache_is_not_downloaded(monkeypatch):
    monkeypatch.setattr(offering, "cached_path", lambda name: name == "caffenet")
    (*_, caffenet) = offers()
    monkeypatch.setattr(offering, "cached_path", lambda name: None)
    with pytest.raises(ViewError, match="caffenet are not in the cache any more"):
        caffenet.load()


@pytest.mark.parametrize(
    ("net", "error", "reason"),
    [
        ("resnet_50", ValueError, "mean 'resnet50'"),
        ("sphereface", ValueError, "which is for embedding"),
        ("no.prototxt:no.caffemodel", FileNotFoundError, "no.prototxt"),
    ],
)
def test_other_nets_are_refused(net, error, reason):
    with pytest.raises(error, match=reason):
        offers([net])


def test_models_and_files_of_ones_own_are_served(tmp_path):
    model = load()
    (own, *_) = offers([model], mean=0, labels=[f"<{i}>" for i in range(11)])
    net = own.load()
    assert net.kind == "classification" and net.classes[3] == "<3>"
    (silent, *_) = offers([model])
    with pytest.raises(ValueError, match="Expected `mean=…`"):
        silent.load()
