"""The command `extract`, on CaffeNet with narrow inner products."""

import json

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from keras_caffe_zoo import cli, feature_extractor, load_image, models, preprocess_input
from keras_caffe_zoo.models._classifier import ClassifierDesign


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 8)


@pytest.fixture(scope="module")
def net():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassifierDesign, "FC_UNITS", 8)
        return models.caffenet(weights=None)


@pytest.fixture(scope="module")
def weights(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.weights.h5"
    net.save_weights(path)
    return path


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (30, 40, 3), "uint8")
        Image.fromarray(pixels).resize((300, 260)).save(folder / f"{i}.jpg")
    return folder


@pytest.fixture
def run(weights, tmp_path):
    def run(*words, out="f.h5"):
        words = ["extract", *words, "--model", "caffenet", "-o", tmp_path / out]
        return cli.main([str(word) for word in (*words, "--weights", weights)])

    return run


def rows_of(net, paths, layer):
    images = np.stack([load_image(path, "caffenet") for path in paths])
    inputs = preprocess_input(images, "caffenet", "channels_last")
    return feature_extractor(net, layer).predict(inputs, verbose=0)


def test_rows_are_the_nets_and_the_table_says_what_there_is(
    run, photos, net, tmp_path, capsys
):
    assert run(photos, "--layer", "fc6", "--layer", "fc7") == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'f.h5'}: 3 rows" in said
    assert "3 pictures in" in said and "images/s" in said
    with h5py.File(tmp_path / "f.h5") as file:
        for layer in ("fc6", "fc7"):
            wanted = rows_of(net, sorted(photos.iterdir()), layer)
            np.testing.assert_allclose(file[layer][:], wanted, 1e-4, 1e-3)
    assert run(photos, "--layer", "fc6", "--layer", "fc7") == 0
    assert "3 pictures were there from earlier runs." in capsys.readouterr().out


def test_bad_pictures_are_listed_with_status_3(run, photos, capsys):
    (photos / "1.jpg").write_bytes(b"no picture")
    for i in range(30):
        (photos / f"x{i:02}.png").write_bytes(b"")
    assert run(photos, "--layer", "fc7", "--json") == 3
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["rows"], answer["layers"]) == (2, {"fc7": [8]})
    reason = "no picture, but text that begins 'no picture'"
    assert answer["bad"][0] == {"index": 1, "name": "1.jpg", "reason": reason}
    assert len(answer["bad"]) == 31
    assert run(photos, "--layer", "fc7") == 3
    said = capsys.readouterr().out
    listed = f"31 pictures have no row:\n  1.jpg: {reason}\n  x00.png: empty"
    assert listed in said
    assert "and 11 more" in said


def test_options_reach_the_extraction(run, photos, net, tmp_path):
    options = ("--layer", "pool5", "--pool", "mean", "--dtype", "float16")
    more = ("--batch-size", 2, "--crops", 1, "--engine", "local", "--no-resume")
    assert run(photos, photos / "1.jpg", *options, *more, out="f.parquet") == 0
    table = pq.read_table(tmp_path / "f.parquet")
    names = [f"{photos}/{name}.jpg" for name in (0, 1, 2, 1)]
    assert table["name"].to_pylist() == names
    wanted = rows_of(net, names, "pool5").mean((1, 2))
    found = np.stack(table["pool5"].to_numpy())
    np.testing.assert_allclose(found, wanted, 5e-3, 5e-2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none", "--layer", "fc7"), "none"),
        (("{photos}", "--layer", "fc9"), "no blob or layer 'fc9'"),
    ],
)
def test_errors_are_one_message_and_status_2(run, photos, words, message, capsys):
    assert run(*(word.format(photos=photos) for word in words)) == 2
    assert message in capsys.readouterr().err
    assert not (photos.parent / "f.h5.parts").exists()


def test_another_layer_does_not_go_into_the_same_file(run, photos, capsys):
    assert run(photos, "--layer", "fc6") == 0
    assert run(photos, "--layer", "fc7") == 2
    said = capsys.readouterr().err
    assert "layers were fc6, are now fc7. Ask for fc6 (--layer)" in said
    assert "weights" not in said
    assert "--no-resume" in said
    assert run(photos, "--layer", "fc7", "--no-resume") == 0
