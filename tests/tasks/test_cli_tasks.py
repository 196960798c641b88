"""What all commands of tasks promise, on a folder of 20 mixed pictures: by `detect`."""

import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image
from support import GOLDENS

from keras_caffe_zoo import cli, progress
from keras_caffe_zoo.cli import _tasks
from keras_caffe_zoo.tasks import detection, net

FORKS = GOLDENS / "forks"
SSD = "net_mobilenet_ssd_mini"
OWN = ["--model", f"{FORKS / SSD}.prototxt", "--weights", f"{FORKS / SSD}.caffemodel"]
OWN += ["--mean", "127.5", "--scale", "0.007843", "--threshold", "0.9"]
BAD = {
    "broken/cut.jpg": "truncated",
    "broken/empty.png": "empty file",
    "broken/text.jpg": "no picture, but text that begins 'no picture'",
    "broken/deep.tif": "32 bits a pixel, as F",
}
GOOD = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """20 files: pictures of many kinds and sizes, and four that are none."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "broken").mkdir()
    rng = np.random.default_rng(0)
    modes = ("RGB", "L", "RGBA", "P", "CMYK", "1", "I;16", "LA")
    suffixes = ("jpg", "png", "webp", "gif", "tif", "bmp", "png", "png")
    for at in range(GOOD):
        pixels = rng.integers(0, 256, (20 + 9 * at, 30 + 5 * at, 3), "uint8")
        mode, picture = modes[at % 8], Image.fromarray(pixels)
        if mode == "I;16":
            picture = Image.fromarray(pixels[..., 0].astype("uint16") << 8)
        else:
            picture = picture.convert(mode)
        picture.save(folder / f"{at:02}.{suffixes[at % 8]}")
    whole = (folder / "00.jpg").read_bytes()
    (folder / "broken/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "broken/empty.png").touch()
    (folder / "broken/text.jpg").write_text("no picture")
    Image.fromarray(np.zeros((9, 9), "float32")).save(folder / "broken/deep.tif")
    (folder / "notes.txt").write_text("no picture, and no picture's name")
    return folder


@pytest.fixture(scope="module")
def task():
    """The net of these tests, compiled once."""
    from keras_caffe_zoo import from_caffe

    model = from_caffe(*(f"{FORKS / SSD}.{x}" for x in ("prototxt", "caffemodel")))
    options = {"mean": 127.5, "scale": 0.007843, "threshold": 0.9}
    return detection.Detector(model, **options)


@pytest.fixture
def quick(task, monkeypatch):
    monkeypatch.setattr(detection, "Detector", lambda *args, **options: task)
    monkeypatch.setattr(_tasks, "model_of", lambda *args, **options: "mobilenet_ssd")


@pytest.fixture
def no_work(monkeypatch):
    def work(*args, **options):
        raise AssertionError("a net was built")

    monkeypatch.setattr(net.TaskNet, "__init__", work)
    monkeypatch.setattr(_tasks, "model_of", work)


def run(*arguments):
    return cli.main(["detect", *map(str, arguments), *OWN])


def test_bad_pictures_are_named_and_the_status_is_3(folder, quick, capsys):
    assert run(folder) == 3
    lines = capsys.readouterr().out.splitlines()
    good = [line for line in lines if line.startswith(str(folder))]
    assert [line[len(str(folder)) + 1 :][:2] for line in good] == [
        f"{at:02}" for at in range(GOOD)
    ]
    assert any("class 2 9" in line and " at " in line for line in lines)
    at = lines.index("4 pictures have no answer:")
    told = dict(line.strip().rsplit(": ", 1) for line in lines[at + 1 :])
    assert told == {f"{folder}/{name}": reason for name, reason in sorted(BAD.items())}


def test_json_has_all_of_them_and_nothing_else_is_on_stdout(folder, quick, capsys):
    assert run(folder, "--json") == 3
    answers = json.loads(capsys.readouterr().out)
    assert len(answers) == GOOD + len(BAD)
    bad = {answer["image"]: answer["bad"] for answer in answers if "bad" in answer}
    assert bad == {f"{folder}/{name}": reason for name, reason in BAD.items()}
    first = answers[0]
    assert (first["image"], first["size"]) == (f"{folder}/00.jpg", [20, 30])
    keys = {
        key for answer in answers for x in answer.get("detections", ()) for key in x
    }
    assert keys == {"label", "name", "score", "box"}


def test_pictures_are_drawn_into_a_folder(folder, quick, tmp_path, capsys):
    out = tmp_path / "new" / "found"
    assert run(folder, "-o", out, "--json") == 3
    drawn = sorted(path.name for path in out.rglob("*.png"))
    assert len(drawn) == GOOD
    assert drawn[0] == "00.jpg.png"
    answers = json.loads(capsys.readouterr().out)
    assert answers[0]["output"] == str(out / "00.jpg.png")
    with Image.open(out / "00.jpg.png") as picture:
        assert picture.size == (30, 20)
    assert not [path for path in out.rglob("*") if "broken" in str(path)]


def test_a_picture_is_drawn_into_a_file(folder, quick, tmp_path, capsys):
    out = tmp_path / "new" / "found.jpg"
    assert run(folder / "14.png", "-o", out) == 0
    with Image.open(out) as picture:
        assert (picture.format, picture.size) == ("JPEG", (100, 146))
    assert f"drawn in {out}" in capsys.readouterr().out
    assert run(folder / "14.png", folder / "00.jpg", "-o", tmp_path / "both") == 0
    assert len(list((tmp_path / "both").iterdir())) == 2


def test_a_long_work_shows_how_far_it_is_on_stderr(folder, quick, capsys, monkeypatch):
    keras.config.enable_interactive_logging()
    run(folder, "--json")
    assert "images" not in capsys.readouterr().err  # took less than two seconds
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0)
    monkeypatch.setattr(progress, "_is_watched", lambda: True)
    run(folder, "--json")
    shown = capsys.readouterr()
    assert "20/20" in shown.err
    json.loads(shown.out)


@pytest.mark.parametrize(
    ("images", "output", "message"),
    [
        (["00.jpg"], "found.txt", "suffix of a picture that Pillow writes"),
        (["00.jpg"], "found", "suffix of a picture that Pillow writes"),
        (["00.jpg", "01.png"], "found.png", "a folder, for several pictures"),
        ([""], "found.png", "a folder, for several pictures"),
        ([""], "notes.txt", "which is a file"),
        (["none.jpg"], "found.png", "No such file"),
        (["broken/none"], None, "No such file"),
        (["00.jpg"], "00.jpg", "no picture that is given is written over"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(
    folder, no_work, tmp_path, capsys, images, output, message
):
    out = (folder if output in ("notes.txt", "00.jpg") else tmp_path) / (output or "")
    assert (
        run(*(folder / name for name in images), *(["-o", out] if output else [])) == 2
    )
    assert message in capsys.readouterr().err
    assert not (tmp_path / "found.png").exists()


def test_nets_of_ones_own_and_names_of_classes(folder, tmp_path, capsys):
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\nbird\n\n")
    picture = folder / "14.png"
    assert run(picture, "--labels", names, "--json") == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in answer["detections"]} <= {"cat", "dog", "bird"}
    assert answer["detections"]
    assert min(one["score"] for one in answer["detections"]) >= 0.9
    assert run(picture, "--labels", "vok") == 2
    assert "No list of classes has the name 'vok'" in capsys.readouterr().err


def test_no_picture_is_written_over_by_what_is_drawn_of_another(
    folder, no_work, tmp_path, capsys
):
    for name in ("a.jpg", "a.jpg.png"):
        shutil.copy(folder / "00.jpg", tmp_path / name)
    assert run(tmp_path, "-o", tmp_path) == 2
    assert f"{tmp_path / 'a.jpg.png'} is one of them" in capsys.readouterr().err


def test_a_net_of_colours_is_told_of_no_scale(folder, no_work, capsys):
    words = ["colorize", str(folder / "00.jpg"), "--scale", "0"]
    assert cli.main(words) == 2
    assert "Expected no --scale" in capsys.readouterr().err


def test_a_net_without_weights_gives_no_answers(folder, tmp_path, capsys):
    words = ["detect", str(folder / "00.jpg"), "--mean", "0", "--model"]
    assert cli.main([*words, OWN[1]]) == 2
    assert "Expected --weights NET.caffemodel" in capsys.readouterr().err
    net = tmp_path / "net.keras"
    net.touch()
    assert cli.main([*words, str(net), "--weights", OWN[3]]) == 2
    assert "which has its own; received" in capsys.readouterr().err


@pytest.mark.slow
def test_a_net_of_regions_is_read_for_pictures_of_any_size(folder, capsys):
    own = [f"{FORKS / 'net_rfcn_mini'}.{kind}" for kind in ("prototxt", "caffemodel")]
    words = ["--model", own[0], "--weights", own[1], "--mean", "0", "--json"]
    assert cli.main(["detect", str(folder / "00.jpg"), *words]) == 0
    assert json.loads(capsys.readouterr().out)[0]["size"] == [20, 30]


def test_a_net_that_does_not_detect_is_told(folder, tmp_path, capsys):
    text = tmp_path / "net.prototxt"
    shutil.copy(FORKS / "net_senet_mini.prototxt", text)
    weights = str(FORKS / "net_senet_mini.caffemodel")
    words = ["--model", str(text), "--weights", weights, "--mean", "0"]
    assert cli.main(["detect", str(folder / "00.jpg"), *words]) == 2
    assert "Expected a model that detects" in capsys.readouterr().err
    words = ["--model", str(tmp_path / "none.keras"), "--mean", "0"]
    assert cli.main(["detect", str(folder / "00.jpg"), *words]) == 2
    assert "none.keras" in capsys.readouterr().err
