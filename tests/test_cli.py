"""The command, on CaffeNet with narrow inner products and made-up weights."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image
from support import pattern

from keras_caffe_zoo import (
    caffe_params,
    cli,
    gender_net,
    progress,
    rcnn_ilsvrc13,
    read_mean,
    write_caffemodel,
)
from keras_caffe_zoo.caffe import write_mean
from keras_caffe_zoo.cli import classify
from keras_caffe_zoo.extraction import reading
from keras_caffe_zoo.models._classifier import ClassifierDesign
from keras_caffe_zoo.preprocessing import means
from keras_caffe_zoo.weights import model_entry

UNITS = 16


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", UNITS)


@pytest.fixture(scope="module")
def params():
    shapes = dict(model_entry("caffenet").blobs)
    shapes |= {
        "fc6": ((UNITS, 9216), (UNITS,)),
        "fc7": ((UNITS, UNITS), (UNITS,)),
        "fc8": ((1000, UNITS), (1000,)),
    }
    return {
        name: [
            pattern(weight, 2 * j, (24 / np.prod(weight[1:])) ** 0.5),
            pattern(bias, 2 * j + 1, 0.2),
        ]
        for j, (name, (weight, bias)) in enumerate(shapes.items())
    }


@pytest.fixture(scope="module")
def caffemodel(tmp_path_factory, params):
    path = tmp_path_factory.mktemp("weights") / "net.caffemodel"
    write_caffemodel(path, params)
    return path


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), "uint8")
    path = tmp_path / "photo.jpg"
    Image.fromarray(pixels).resize((400, 300)).save(path)
    return path


def run(*words):
    return cli.main([str(word) for word in words])


def size(path):
    with Image.open(path) as picture:
        return picture.size


def test_classify_prints_the_likeliest_classes(photo, caffemodel, capsys):
    assert (
        run("classify", photo, photo, "--model", "caffenet", "--weights", caffemodel)
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    blocks = [i for i, line in enumerate(lines) if line == str(photo)]
    assert len(blocks) == 2
    assert lines[blocks[0] + 1 : blocks[1]] == lines[blocks[1] + 1 : blocks[1] + 6]
    assert "%  n" in lines[-1]


def test_classify_gives_json_to_programs(photo, caffemodel, capsys):
    words = ("classify", photo, "--model", "caffenet", "--weights", caffemodel)
    assert run(*words, "--top", 3, "--json") == 0
    (answer,) = json.loads(capsys.readouterr().out.splitlines()[-1])
    chances = [c["probability"] for c in answer["classes"]]
    assert len(chances) == 3
    assert chances == sorted(chances, reverse=True)


def test_classify_knows_a_nets_own_classes(photo, tmp_path, capsys):
    weights = tmp_path / "net.caffemodel"
    write_caffemodel(weights, caffe_params(gender_net(weights=None)))
    net = ("--model", "gender_net", "--weights", weights)
    assert run("classify", photo, *net) == 0
    found = {line.split()[-1] for line in capsys.readouterr().out.splitlines()[-2:]}
    assert found == {"female", "male"}


@pytest.mark.slow
def test_classify_tells_scores_from_probabilities(photo, tmp_path, capsys):
    weights = tmp_path / "net.caffemodel"
    write_caffemodel(weights, caffe_params(rcnn_ilsvrc13(weights=None)))
    net = ("--model", "rcnn_ilsvrc13", "--weights", weights)
    assert run("classify", photo, *net) == 0
    assert "%" not in capsys.readouterr().out.split(str(photo))[1]


@pytest.mark.slow
def test_heatmap_knows_a_nets_own_classes(photo, tmp_path, capsys):
    weights, output = tmp_path / "net.caffemodel", tmp_path / "map.png"
    write_caffemodel(weights, caffe_params(gender_net(weights=None)))
    net = ("--model", "gender_net", "--weights", weights)
    assert run("heatmap", photo, *net, "--class", "female", "-o", output) == 0
    assert "female: at most" in capsys.readouterr().out


def test_json_is_alone_on_stdout(photo, caffemodel, capsys, monkeypatch):
    monkeypatch.setattr(means, "_told", set())  # as in a process of its own
    net = ("--model", "caffenet", "--weights", caffemodel, "--json")
    assert run("classify", photo, *net) == 0
    said = capsys.readouterr()
    assert [answer["image"] for answer in json.loads(said.out)] == [str(photo)]
    assert "The mean image of caffenet is not in the cache" in said.err


def test_heatmap_draws_the_class_that_was_asked_for(
    photo, caffemodel, tmp_path, capsys
):
    words = ("heatmap", photo, "--model", "caffenet", "--weights", caffemodel)
    output = tmp_path / "map.png"
    assert run(*words, "--class", "tabby", "--side", 320, "-o", output) == 0
    assert "tabby, tabby cat: at most" in capsys.readouterr().out
    assert min(size(output)) > 300


@pytest.mark.parametrize("name", ["", "unheard of", "terrier"])
def test_heatmap_refuses_a_class_it_cannot_tell(photo, caffemodel, name, capsys):
    words = ("heatmap", photo, "--model", "caffenet", "--weights", caffemodel)
    assert run(*words, f"--class={name}") == 2
    assert "Expected --class to mean one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fcn8s", "received: 'fcn8s', which is for segmentation"),
        ("rcnn_ilsvrc13", "'rcnn_ilsvrc13', which gives raw scores"),
    ],
)
def test_heatmap_refuses_a_net_whose_maps_are_no_probabilities(
    photo, name, message, capsys
):
    assert run("heatmap", photo, "--model", name) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def folder(tmp_path):
    """Good pictures, two of a name but for the suffix, two bad ones, and no picture."""
    folder = tmp_path / "photos"
    (folder / "cats").mkdir(parents=True)
    rng = np.random.default_rng(1)
    for name in ("b.jpg", "a.png", "a.jpg", "cats/c.jpg"):
        pixels = rng.integers(0, 256, (20, 30, 3), "uint8")
        Image.fromarray(pixels).resize((320, 260)).save(folder / name)
    whole = (folder / "b.jpg").read_bytes()
    (folder / "b_cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "cats" / "d.jpg").write_bytes(b"this is no picture")
    (folder / "notes.txt").write_text("left alone")
    return folder


IN_FOLDER = ["a.jpg", "a.png", "b.jpg", "b_cut.jpg", "cats/c.jpg", "cats/d.jpg"]
NONE = "no picture, but text that begins 'this is no picture'"
BAD = {"b_cut.jpg": "truncated", "cats/d.jpg": NONE}


def test_classify_takes_files_and_folders_in_order(
    photo, folder, caffemodel, capsys, monkeypatch
):
    monkeypatch.setattr(classify, "BATCH", 2)
    net = ("--model", "caffenet", "--weights", caffemodel, "--json")
    assert run("classify", photo, folder, photo, *net) == 3
    answers = json.loads(capsys.readouterr().out)
    inside = [str(folder / name) for name in IN_FOLDER]
    assert [a["image"] for a in answers] == [str(photo), *inside, str(photo)]
    found = {a["image"]: a["bad"] for a in answers if "bad" in a}
    assert found == {str(folder / name): reason for name, reason in BAD.items()}
    assert all(len(a["classes"]) == 5 for a in answers if "bad" not in a)
    assert run("classify", folder / "b.jpg", *net) == 0
    (alone,) = json.loads(capsys.readouterr().out)
    (same,) = [a for a in answers if a["image"] == alone["image"]]
    assert [c["id"] for c in same["classes"]] == [c["id"] for c in alone["classes"]]
    np.testing.assert_allclose(
        [c["probability"] for c in same["classes"]],
        [c["probability"] for c in alone["classes"]],
        atol=1e-5,
    )


def test_classify_answers_before_it_has_read_everything(
    photo, caffemodel, capsys, monkeypatch
):
    opened, opened_at_first_answer = [], []
    read, tell = reading.read_picture, classify._said

    def counted_read(path):
        opened.append(path)
        return read(path)

    def watched_tell(*answer):
        opened_at_first_answer.append(len(opened))
        return tell(*answer)

    monkeypatch.setattr(reading, "read_picture", counted_read)
    monkeypatch.setattr(classify, "_said", watched_tell)
    monkeypatch.setattr(classify, "BATCH", 2)
    net = ("--model", "caffenet", "--weights", caffemodel)
    assert run("classify", *[photo] * 40, *net) == 0
    assert len(opened) == len(opened_at_first_answer) == 40
    assert opened_at_first_answer[0] < 30
    assert capsys.readouterr().out.count(str(photo)) == 40


def test_classify_lists_bad_pictures_at_the_end(folder, caffemodel, capsys):
    assert run("classify", folder, "--model", "caffenet", "--weights", caffemodel) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(folder / "a.jpg")
    assert lines[-3:] == [
        "2 pictures have no answer:",
        f"  {folder / 'b_cut.jpg'}: truncated",
        f"  {folder / 'cats/d.jpg'}: {NONE}",
    ]


@pytest.mark.slow
def test_heatmaps_of_a_folder_mirror_its_names(folder, caffemodel, tmp_path, capsys):
    net = ("--model", "caffenet", "--weights", caffemodel, "--side", 240, "--json")
    output = tmp_path / "maps"
    assert run("heatmap", folder, *net, "-o", output) == 3
    answers = json.loads(capsys.readouterr().out)
    assert [a["image"] for a in answers] == [str(folder / name) for name in IN_FOLDER]
    drawn = [a["output"] for a in answers if "bad" not in a]
    good = [name for name in IN_FOLDER if name not in BAD]
    assert drawn == [str(output / f"{name}.png") for name in good]
    assert sorted(map(str, output.rglob("*.*"))) == sorted(drawn)
    assert all(min(size(path)) > 300 for path in drawn)
    assert {a["bad"] for a in answers if "bad" in a} == set(BAD.values())
    assert run("heatmap", folder / "b.jpg", *net, "-o", tmp_path / "one.png") == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["output"] == str(tmp_path / "one.png")
    (same,) = [a for a in answers if a["image"].endswith("b.jpg")]
    assert same["class"] == alone["class"]
    assert same["probability"] == pytest.approx(alone["probability"], rel=1e-5)


def test_heatmaps_of_files_stay_apart(photo, folder, caffemodel, tmp_path, capsys):
    other = folder / photo.name
    other.write_bytes(photo.read_bytes())
    net = ("--model", "caffenet", "--weights", caffemodel, "--side", 240)
    assert run("heatmap", photo, other, *net, "-o", tmp_path / "maps") == 0
    drawn = {p.relative_to(tmp_path / "maps") for p in tmp_path.glob("maps/**/*.png")}
    assert {*map(str, drawn)} == {"photo.jpg.png", "photos/photo.jpg.png"}


def test_heatmap_refuses_what_it_cannot_draw(photo, caffemodel, tmp_path, capsys):
    net = ("--model", "caffenet", "--weights", caffemodel)
    assert run("heatmap", photo, photo, *net, "-o", tmp_path / "map.png") == 2
    assert "a folder, for several pictures" in capsys.readouterr().err
    thin = tmp_path / "thin.png"
    Image.new("RGB", (1, 30_000)).save(thin)
    assert run("heatmap", thin, *net, "-o", tmp_path / "map.png") == 3
    assert f"{thin}: too long and thin: 1 x 30000" in capsys.readouterr().out
    assert not (tmp_path / "map.png").exists()


def test_dump_writes_keras_layout_with_its_provenance(caffemodel, params, tmp_path):
    mean = np.random.default_rng(0).uniform(90, 130, (3, 8, 8)).astype("float32")
    write_mean(tmp_path / "mean.binaryproto", mean)
    output = tmp_path / "net.h5"
    words = ("dump", caffemodel, "--mean", tmp_path / "mean.binaryproto", "-o", output)
    assert run(*words) == 0
    with h5py.File(output) as file:
        np.testing.assert_array_equal(
            file["conv2/kernel"], params["conv2"][0].transpose(2, 3, 1, 0)
        )
        np.testing.assert_array_equal(file["fc8/bias"], params["fc8"][1])
        np.testing.assert_array_equal(file["mean"], mean.transpose(1, 2, 0))
        assert file.attrs["source_file"] == "net.caffemodel"
        assert file.attrs["source_size"] == caffemodel.stat().st_size
        assert len(file.attrs["source_sha256"]) == 64
        assert file.attrs["caffe_format"] == "V2"


def test_dumped_file_and_caffemodel_classify_alike(photo, caffemodel, tmp_path, capsys):
    assert run("dump", caffemodel, "-o", tmp_path / "net.h5") == 0
    answers = []
    for weights in (caffemodel, tmp_path / "net.h5"):
        words = ("classify", photo, "--model", "caffenet", "--weights", weights)
        assert run(*words, "--json") == 0
        answers.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert answers[0] == answers[1]


def test_installed_mean_image_is_what_was_given(tmp_path, capsys):
    mean = np.random.default_rng(0).uniform(90, 130, (3, 224, 224)).astype("float32")
    write_mean(tmp_path / "VGG_mean.binaryproto", mean)
    assert run("install", "vgg_cnn_s", tmp_path / "VGG_mean.binaryproto") == 0
    path = capsys.readouterr().out.strip().removeprefix("Installed ")
    np.testing.assert_array_equal(read_mean(path), mean)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("classify", "none.jpg", "--model", "caffenet"), "none.jpg"),
        (("dump", "none.caffemodel", "-o", "x.h5"), "none.caffemodel"),
        (("install", "caffenet", "none.caffemodel"), "none.caffemodel"),
        (("install", "lenet", "none.caffemodel"), "no net 'lenet'"),
    ],
)
def test_errors_are_one_message_and_status_2(words, message, capsys):
    assert run(*words) == 2
    said = capsys.readouterr()
    assert said.err.startswith("keras-caffe-zoo: error: ")
    assert message in said.err
    assert "Traceback" not in said.err


def test_nobody_needs_to_read_it_all():
    command = [sys.executable, "-m", "keras_caffe_zoo", "list", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as listing:
        listing.stdout.close()
        assert listing.stderr.read() == b""
    assert listing.returncode == cli.EXIT_NO_READER


def test_help_teaches(capsys):
    for words in (["--help"], ["heatmap", "--help"]):
        with pytest.raises(SystemExit, match="0"):
            cli.main(words)
    said = capsys.readouterr().out
    assert "Start with: keras-caffe-zoo demo" in said
    assert "Example: keras-caffe-zoo heatmap photo.jpg" in said
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_of_many_pictures_is_for_a_terminal(
    terminal, photo, caffemodel, capsys, monkeypatch
):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    net = ("--model", "caffenet", "--weights", caffemodel)
    assert run("classify", *[photo] * 4, *net) == 0
    said = capsys.readouterr()
    assert ("4/4" in said.err) is terminal
    assert terminal or "\x1b" not in said.err and "\r" not in said.err
    assert said.out.count(str(photo)) == 4
