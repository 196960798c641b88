"""The commands about the zoo and its cache, as a user types them."""

import json
import re
from pathlib import Path

import pytest
from tiny_net import MEAN, NAME, caffemodel, entry, kept, mean_spec

from keras_caffe_zoo import cli
from keras_caffe_zoo.caffe import write_mean
from keras_caffe_zoo.cli import zoo
from keras_caffe_zoo.weights import (
    cache,
    cached_mean,
    cached_path,
    load_published,
    manifest,
    model_entry,
    model_names,
)
from keras_caffe_zoo.weights.integrity import check_layout
from keras_caffe_zoo.weights.manifest import WeightFile

MEAN_NAME = "mean.binaryproto"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KERAS_CAFFE_ZOO_MIRROR", raising=False)
    return tmp_path / "home"


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder that has a net `tiny`, its mean, and not the net `gone`."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    caffemodel(folder)
    write_mean(folder / MEAN_NAME, MEAN)
    monkeypatch.setenv("KERAS_CAFFE_ZOO_MIRROR", str(folder))
    mean = mean_spec(WeightFile(MEAN_NAME))
    nets = {
        "tiny": entry(WeightFile(NAME), mean, non_commercial=True),
        "gone": entry(WeightFile("gone.caffemodel"), name="gone"),
    }
    monkeypatch.setattr(manifest, "load_manifest", lambda: nets)
    monkeypatch.setattr(cache, "_told", set())
    return folder


@pytest.fixture
def run(capsys):
    """Runs the command; returns its exit status, output and errors."""

    def run(*words):
        capsys.readouterr()
        status = cli.main([str(word) for word in words])
        return status, *capsys.readouterr()

    return run


def flip_in_an_array(path):
    data = bytearray(path.read_bytes())
    data[check_layout(path).arrays[0][1]] ^= 1
    path.write_bytes(data)


def tables(out):
    """Return the rows of what `list` prints by task, the headings as they stand."""
    *blocks, _ = out.split("\n\n")  # the legend is last
    found = {}
    for block in blocks:
        header, *rows = block.splitlines()
        found[header.split("  ")[0].lower().replace(" ", "_")] = header, rows
    return found


def test_list_is_tables_of_80_columns_by_what_nets_do(run):
    status, out, _ = run("list")
    lines, found = out.splitlines(), tables(out)
    assert status == 0
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    there = {model_entry(name).task for name in model_names()}
    assert list(found) == [task for task in zoo.TASKS if task in there]
    for task, (_, rows) in found.items():
        assert [row.split()[0] for row in rows] == list(model_names(task=task))
    assert sum(len(rows) for _, rows in found.values()) == len(model_names())
    header, rows = found["classification"]
    row = next(row for row in rows if row.startswith("caffenet"))
    for title, value in {"MB": "244", "ACCURACY": "57.4/80.4", "CACHED": "no"}.items():
        end = header.index(title) + len(title)
        assert value in row[: end + 2] and value in row[header.index(title) - 2 :]
    assert row.endswith("unrestricted (BVLC)")
    assert re.search(r"^fcn8s +538 +65\.5 mIU +no", out, re.MULTILINE)


def test_every_task_of_the_manifest_has_its_place_in_the_list():
    schema = Path(__file__).parents[1] / "weights_manifest.schema.json"
    model = json.loads(schema.read_text())["$defs"]["model"]
    assert sorted(zoo.TASKS) == sorted(model["properties"]["task"]["enum"])


def test_list_has_room_for_long_names(run, mirror, monkeypatch):
    long = "a_" * 13
    nets = {long: entry(WeightFile(NAME), name=long), **manifest.load_manifest()}
    monkeypatch.setattr(manifest, "load_manifest", lambda: nets)
    header, *rows = run("list")[1].split("\n\n")[0].splitlines()
    assert [row[:28].rstrip() for row in rows] == list(nets)
    assert {row.index("some licence") for row in rows} == {header.index("LICENCE")}


def test_list_marks_what_is_not_for_commercial_use(run):
    _, out, _ = run("list")
    marked = {line.split()[0] for line in out.splitlines() if "  ! " in line}
    names = {n for n in model_names() if model_entry(n).licence.non_commercial}
    assert marked == names
    assert "not for commercial use" in out


def test_list_shows_what_nets_do_and_who_may_use_them(run):
    status, out, _ = run("list", "--task", "segmentation", "--license", "BSD-2")
    assert status == 0
    ((task, (_, rows)),) = tables(out).items()
    assert task == "segmentation"
    wanted = model_names(task="segmentation", license="BSD-2")
    assert tuple(row.split()[0] for row in rows) == wanted
    _, out, _ = run("list", "--license", "commercial", "--json")
    assert all(net["licence"]["non_commercial"] is False for net in json.loads(out))
    status, _, error = run("list", "--task", "detecting")
    assert status == 2 and "has the task 'detecting'" in error


def test_list_gives_programs_every_fact(run):
    status, out, _ = run("list", "--json")
    nets = {net["name"]: net for net in json.loads(out)}
    assert status == 0
    assert tuple(nets) == model_names()
    for name, net in nets.items():
        facts = json.loads(json.dumps(model_entry(name).as_dict()))
        assert {key: net[key] for key in facts} == facts
        assert net["cached"] is net["cached_mean"] is None
    assert nets["caffenet"]["parameters"] == 60965224
    assert nets["caffenet"]["accuracy"][0]["source"] == "BVLC readme"


def test_list_says_what_is_in_the_cache(run, mirror):
    assert re.search(r"tiny .* no ", run("list")[1])
    run("download", "tiny")
    assert re.search(r"tiny .* yes ", run("list")[1])
    assert re.search(r"gone .* no ", run("list")[1])
    tiny, _ = json.loads(run("list", "--json")[1])
    assert tiny["cached"] == str(cached_path("tiny"))
    assert tiny["cached_mean"] == str(cached_mean("tiny"))
    cached_path("tiny").write_bytes(b"rotten")
    assert re.search(r"tiny .* damaged ", run("list")[1])


def test_download_brings_the_net_and_its_mean(run, mirror, home):
    status, out, _ = run("download", "tiny", "tiny")
    assert status == 0
    assert f"tiny: {cached_path('tiny')} (" in out
    assert f"mean: {cached_mean('tiny')}" in out
    assert out.index("non-commercial use only") < out.index("Downloading")
    assert out.count("non-commercial use only") == 1
    assert out.count("tiny: ") == 1
    assert kept(home) == [f"means/{cached_mean('tiny').name}", cached_path("tiny").name]


def test_download_without_a_mean_is_no_failure(run, mirror):
    (mirror / MEAN_NAME).unlink()
    status, out, err = run("download", "tiny")
    assert (status, err) == (0, "")
    assert "Note: the net is ready, its mean image is missing" in out
    assert f"install tiny {MEAN_NAME}" in out
    assert "until then (11.5, 35.5, 59.5) are subtracted" in out


def test_download_verifies_in_full_what_is_there(run, mirror):
    run("download", "tiny")
    good = cached_path("tiny").read_bytes()
    assert "Downloading" not in run("download", "tiny")[1]
    flip_in_an_array(cached_path("tiny"))
    status, out, _ = run("download", "tiny")
    assert (status, f"{cached_path('tiny')} is damaged" in out) == (0, True)
    assert len(cached_path("tiny").read_bytes()) == len(good)
    assert run("verify")[0] == 0


def test_one_net_that_cannot_be_had_does_not_stop_the_others(run, mirror):
    status, out, err = run("download", "gone", "tiny")
    assert status == 2
    assert f"tiny: {cached_path('tiny')}" in out
    assert "Could not get gone.caffemodel" in err
    assert "keras-caffe-zoo install gone gone.caffemodel" in err


def test_verify_names_every_file_and_the_damaged_ones(run, mirror):
    run("download", "tiny")
    net, mean = cached_path("tiny"), cached_mean("tiny")
    status, out, _ = run("verify")
    assert status == 0
    assert out.splitlines()[:2] == [f"ok       {net}", f"ok       {mean}"]
    flip_in_an_array(net)
    for words in (["verify"], ["verify", "tiny"]):
        status, out, err = run(*words)
        assert (status, err) == (1, "")
        assert f"damaged  {net}" in out and f"ok       {mean}" in out
        assert "2 files" in out and "1 damaged" in out
    assert run("verify", "gone")[0] == 0


def test_what_verify_found_damaged_is_replaced_when_used(run, mirror):
    from tiny_net import model

    run("download", "tiny")
    flip_in_an_array(cached_path("tiny"))
    assert run("verify")[0] == 1
    load_published(model(), "tiny")
    assert run("verify")[0] == 0


def test_remove_says_what_it_freed(run, mirror, home):
    run("download", "tiny")
    net, mean = cached_path("tiny"), cached_mean("tiny")
    status, out, _ = run("remove", "tiny")
    assert status == 0
    for path in (net, mean):
        assert f"Removed {path} (" in out
    assert "tiny: freed 0.0 MB" in out
    assert kept(home) == []
    assert run("remove", "tiny", "gone")[0] == 0


@pytest.mark.parametrize("command", ["download", "verify", "remove"])
def test_an_unknown_name_is_refused_before_anything_is_done(run, mirror, command):
    status, out, err = run(command, "tiny", "lenet")
    assert (status, out) == (2, "")
    assert "keras-caffe-zoo: error: The zoo has no net" in err
    assert cached_path("tiny") is None


@pytest.mark.parametrize(
    "command", ["list", "card", "download", "install", "verify", "remove"]
)
def test_help_shows_how(capsys, command):
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    said = capsys.readouterr().out
    assert f"Example: keras-caffe-zoo {command}" in said
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize("command", ["download", "remove"])
def test_a_name_is_needed(capsys, command):
    with pytest.raises(SystemExit, match="2"):
        cli.main([command])
    assert "NAME" in capsys.readouterr().err


def test_a_list_of_nothing_says_what_no_net_is(run):
    status, out, err = run("list", "vgg*", "--task", "detection")
    assert (status, out) == (2, "")
    assert "received: 'vgg*' --task detection" in err
