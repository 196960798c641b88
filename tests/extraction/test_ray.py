"""The engine for Ray: the local engine's rows, whatever is killed meanwhile."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny

from keras_caffe_zoo import extract_features
from keras_caffe_zoo.extraction import ray_cluster, ray_engine
from keras_caffe_zoo.extraction.block import Bad, Item
from keras_caffe_zoo.extraction.shards import Shard, ShardFolder

pytest.importorskip("ray", reason="the extra [ray] is not installed")

COUNT, BLOCK, BAD = 46, 4, 17
PARTS = [f"part-{first:09}.parquet" for first in range(0, COUNT, BLOCK)]


@pytest.fixture(scope="module")
def ray():
    """Ray on this machine, started once: it takes seconds."""
    with ray_cluster.connected(None):
        yield ray_cluster.import_ray()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "photos"
    tiny.write_pictures(folder, COUNT)
    (folder / f"{BAD:04}.png").write_text("no picture at all")
    return folder


@pytest.fixture(scope="module")
def model():
    return tiny.net()


@pytest.fixture(scope="module")
def local(model, photos):
    layers = ("conv1", "fc2")
    return extract_features(model, photos, layers, preprocess=tiny.centre)


def extract(model, source, out, **options):
    defaults = {"preprocess": tiny.centre, "batch_size": 4, "block_size": BLOCK}
    layers = ("conv1", "fc2")
    return extract_features(
        model, source, layers, out, engine="ray", **defaults | options
    )


def assert_same(report, out, local):
    """The folder, read by pyarrow as one table, is what the local engine computed."""
    table = pq.read_table(out)
    assert table["name"].to_pylist() == local.names
    assert table["index"].to_pylist() == [i for i in range(COUNT) if i != BAD]
    for name, values in local.values.items():
        rows = np.stack(table[name].to_numpy()).reshape(values.shape)
        np.testing.assert_allclose(rows, values, rtol=1e-5, atol=1e-5)
    assert report.bad == local.bad
    assert [bad.index for bad in report.bad] == [BAD]
    assert (report.rows, report.shapes) == (COUNT - 1, local.shapes)
    kept = json.loads((Path(out) / "_report.json").read_text())
    assert (kept["items"], kept["rows"]) == (COUNT, COUNT - 1)
    assert kept["bad"] == [list(bad) for bad in local.bad]


@pytest.mark.slow
def test_two_actors_write_the_local_engines_rows_once(
    ray, model, photos, local, tmp_path
):
    out = tmp_path / "features.parquet"
    report = extract(model, photos, out, actors=2)
    assert (report.computed, report.path) == (COUNT, out)
    assert_same(report, out, local)
    assert sorted(p.name for p in out.glob("part*")) == PARTS
    assert os.listdir(tmp_path) == [out.name]

    before = {path: path.stat().st_mtime_ns for path in out.glob("part*")}
    again = extract(model, photos, out)
    assert again.computed == 0
    assert_same(again, out, local)
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("part*")}

    with pytest.raises(ValueError, match=r"weights was .*--no-resume"):
        extract(tiny.net(seed=1), photos, out)


@pytest.mark.slow
def test_a_killed_actor_changes_nothing(ray, model, photos, local, tmp_path):
    out, pids, killed = (tmp_path / name for name in ("f.parquet", "pids", "killed"))
    pids.mkdir()

    def waiting(pixels):
        """Let both actors begin, and none get done before one of them is killed."""
        (pids / str(os.getpid())).touch()
        wait_for(lambda: len(os.listdir(pids)) > 1)
        wait_for(lambda: len(list(out.glob("part*"))) < 2 or killed.exists())
        return tiny.centre(pixels)

    def kill():
        wait_for(lambda: len(list(out.glob("part*"))) >= 2)
        victim = next(pids.iterdir()).name
        os.kill(int(victim), signal.SIGKILL)
        killed.write_text(victim)

    killer = threading.Thread(target=kill)
    killer.start()
    report = extract(model, photos, out, preprocess=waiting, actors=2)
    killer.join()
    assert int(killed.read_text()) != os.getpid()
    assert len(os.listdir(pids)) == 3  # two, and the one that took the other's place
    assert_same(report, out, local)


def waiting_for_ever(pixels):
    """Prepare a picture, but wait for ever once the folder that is named has parts."""
    folder = Path(os.environ.get("TEST_RAY_FOLDER", "nowhere"))
    while len(list(folder.glob("part*"))) >= 3:
        time.sleep(0.01)
    return tiny.centre(pixels)


@pytest.mark.slow
def test_a_killed_call_goes_on_where_it_was(ray, model, photos, local, tmp_path):
    out = tmp_path / "features.parquet"
    script = (
        "import sys, tiny; from test_ray import extract, waiting_for_ever\n"
        "extract(tiny.net(), sys.argv[1], sys.argv[2], actors=1,"
        " preprocess=waiting_for_ever)"
    )
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-c", script, photos, out],
        env=os.environ | {"PYTHONPATH": path, "TEST_RAY_FOLDER": str(out)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(list(out.glob("part*"))) >= 3, process)
    process.kill()
    process.wait()
    there = len(list(out.glob("part*")))
    assert 3 <= there < len(PARTS)
    report = extract(model, photos, out, actors=1, preprocess=waiting_for_ever)
    assert report.computed <= COUNT - BLOCK * there
    assert_same(report, out, local)


@pytest.mark.slow
def test_urls_are_read_and_written(ray, model, photos, local, tmp_path):
    out = tmp_path / "features.parquet"
    report = extract(model, photos.as_uri(), out.as_uri(), actors=1)
    assert report.path == out.as_uri()
    assert_same(report, out, local)


@pytest.mark.slow
def test_what_goes_wrong_in_an_actor_is_raised_as_it_is(ray, model, photos, tmp_path):
    def broken(pixels):
        raise ZeroDivisionError("a fault of the caller's own function")

    with pytest.raises(ZeroDivisionError, match="the caller's own"):
        extract(model, photos, tmp_path / "f.parquet", preprocess=broken)


@pytest.mark.slow
def test_a_ray_of_ones_own_is_used_and_stays(ray):
    with ray_cluster.connected(None):
        assert ray.is_initialized()
    assert ray.is_initialized()
    with pytest.raises(ValueError, match="connected to Ray already"):
        ray_cluster.connected("10.0.0.1:6379").__enter__()


@pytest.mark.parametrize(
    ("nodes", "actors", "expected"),
    [
        ([{"CPU": 2.0}], None, (1, 2, 0)),
        ([{"CPU": 2.0}], 2, (2, 1, 0)),
        ([{"CPU": 2.0}], 4, (4, 0.5, 0)),
        ([{"CPU": 5.0}], None, (2, 2, 0)),
        ([{"CPU": 1.0}], None, (1, 1, 0)),
        ([{"CPU": 16.0}, {"CPU": 16.0}, {}], None, (16, 2, 0)),
        ([{"CPU": 1.0}] * 8, 2, (2, 1, 0)),
        ([{"CPU": 16.0, "GPU": 2.0}], None, (2, 8, 1)),
        ([{"CPU": 16.0, "GPU": 2.0}], 3, (3, 5, 0.5)),
        ([{"CPU": 64.0}], 1000, (100, 0.64, 0)),
    ],
)
def test_cpus_and_gpus_are_shared_out(monkeypatch, nodes, actors, expected):
    class Ray:
        @staticmethod
        def nodes():
            return [{"Alive": True, "Resources": node} for node in nodes]

    monkeypatch.setattr(ray_cluster, "import_ray", lambda: Ray)
    assert ray_cluster.shares(actors, tasks=100) == expected


def test_a_missing_ray_is_named(monkeypatch, model, photos, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "keras_caffe_zoo\[ray\]"'):
        extract(model, photos, tmp_path / "f.parquet")


@pytest.mark.parametrize("out", [None, "features.h5"])
def test_only_parquet_is_written(model, photos, out):
    with pytest.raises(ValueError, match=r"end in \.parquet .*a folder"):
        extract(model, photos, out)


def test_arrays_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match="paths or URLs"):
        extract(model, [tiny.picture(0)], tmp_path / "f.parquet")


def test_what_the_local_engine_began_is_not_mixed_with(model, photos, tmp_path):
    (tmp_path / "f.parquet.parts").mkdir()
    (tmp_path / "f.parquet.parts" / "job.json").touch()
    with pytest.raises(ValueError, match="what engine='local' has computed"):
        extract(model, photos, tmp_path / "f.parquet")
    folder = tmp_path / "g.parquet"
    folder.mkdir()
    with pytest.raises(ValueError, match="as engine='ray' writes it"):
        extract_features(model, photos, "fc2", folder, preprocess=tiny.centre)


def test_machines_that_do_not_share_files_are_an_error(photos, tmp_path):
    items = [Item(i, "a", str(photos / f"{i:04}.png")) for i in range(2)]
    folder = ShardFolder(str(tmp_path))
    whole = Shard([(0, "a"), (1, "b")], [], {})
    with pytest.raises(OSError, match=r"machines.*share.*part-0"):
        ray_engine._check_shared(items, whole, "part-0", folder)
    lost = Shard([(0, "a")], [Bad(1, "b", "no such file")], {})
    with pytest.raises(OSError, match=r"can read; received: .*0001\.png"):
        ray_engine._check_shared(items, lost, "part-0", folder)
    folder.parts[0] = lost  # of a run that ended with that error
    assert list(ray_engine._forget_lost([items], folder)) == [items]
    assert folder.parts == {}


def wait_for(condition, process=None, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        assert process is None or process.poll() is None, "it ended by itself"
        time.sleep(0.01)
