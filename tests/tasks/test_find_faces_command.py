"""The command find-faces: pictures, folders, JSON, bad files."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_caffe_zoo import Faces, mtcnn_o, mtcnn_p, mtcnn_r, plots, to_caffe
from keras_caffe_zoo.cli import main


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with MTCNN's files, of random weights."""
    folder = tmp_path_factory.mktemp("mtcnn")
    sides = {"det1": 12, "det2": 24, "det3": 48}
    for (name, side), build in zip(
        sides.items(), (mtcnn_p, mtcnn_r, mtcnn_o), strict=True
    ):
        files = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
        to_caffe(build(weights=None), *files, input_shape=(side, side, 3))
    return folder


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "more/a.jpg"):
        pixels = rng.integers(0, 256, (50, 60, 3), "uint8")
        Image.fromarray(pixels).save(folder / name)
    (folder / "c.png").write_bytes(b"no picture")
    return folder


def test_a_folder_is_answered_and_drawn_and_bad_files_are_named(
    pictures, weights, tmp_path, capsys
):
    options = ["--weights", str(weights), "--threshold", "0.4", "0.4", "0"]
    output = tmp_path / "found"
    words = ["find-faces", str(pictures), *options, "-o", str(output)]
    assert main([*words, "--json"]) == 3
    answers = json.loads(capsys.readouterr().out)
    names = [answer["image"].removeprefix(f"{pictures}/") for answer in answers]
    assert names == ["a.png", "b.png", "c.png", "more/a.jpg"]
    assert answers[2]["bad"] == "no picture, but text that begins 'no picture'"
    for answer in (answers[0], answers[1], answers[3]):
        assert answer["size"] == [50, 60]
        for face in answer["faces"]:
            assert len(face["box"]) == 4
            assert len(face["points"]) == 5
        with Image.open(answer["output"]) as drawn:
            assert drawn.size == (60, 50)
    assert sorted(x.name for x in output.rglob("*.png")) == [
        "a.jpg.png",
        "a.png.png",
        "b.png.png",
    ]


def test_one_picture_is_answered_in_words(pictures, weights, capsys):
    picture = str(pictures / "a.png")
    words = ["find-faces", picture, "--weights", str(weights), "--smallest", "60"]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [picture, "  no face"]


def test_points_are_drawn_where_they_are():
    points = np.array([[[30, 30], [50, 30], [40, 40], [32, 52], [48, 52]]], "float32")
    box = np.array([[20, 10, 60, 70]], "float32")
    faces = Faces(box, np.float32([0.99]), points, (80, 100))
    black = np.zeros((80, 100, 3), "uint8")
    drawn = np.asarray(plots.draw_faces(black, faces))
    for x, y in points[0].astype(int):
        assert tuple(drawn[y, x]) == (0x56, 0xB4, 0xE9)
    assert not drawn[45, 30:50].any()
    without = np.asarray(
        plots.draw_faces(black, Faces(box, faces.scores, None, (80, 100)))
    )
    assert not without[20:65, 25:55].any()
    assert without.any()
