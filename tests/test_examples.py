"""The examples keep what they say, and the notebook is the script's."""

import importlib.util
import json
import pathlib
import runpy
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from support import GOLDENS, golden, nhwc, pattern, relative_error

from keras_caffe_zoo import caffe_params, models, read_caffemodel, write_caffemodel
from keras_caffe_zoo.models._classifier import ClassifierDesign

ROOT = pathlib.Path(__file__).parent.parent
NOTEBOOK = ROOT / "examples" / "net_surgery.ipynb"


def load(path):
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_is_a_picture(path):
    picture = np.asarray(Image.open(path).convert("L"))
    assert min(picture.shape) > 100
    assert picture.std() > 5 and len(np.unique(picture)) > 8, "blank"


@pytest.fixture(scope="module")
def surgery(tmp_path_factory):
    """What net_surgery.py leaves: its variables, and its folder as OUTPUT."""
    folder = tmp_path_factory.mktemp("surgery")
    script = str(NOTEBOOK.with_suffix(".py"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, "--output", str(folder)])
        patch.delitem(sys.modules, "ipykernel", raising=False)
        return runpy.run_path(script, run_name="__main__")


def test_designer_filters_do_what_scipys_do(surgery):
    assert set(surgery["scipy_differences"]) >= {"Gaussian blur", "Sobel, down"}
    assert len(surgery["scipy_differences"]) == 3
    assert max(surgery["scipy_differences"].values()) <= 1e-5


def test_a_raised_bias_shifts_its_map_alone(surgery):
    shift = surgery["after"] - surgery["before"]
    np.testing.assert_allclose(shift[..., 0], 1, atol=1e-6)
    np.testing.assert_array_equal(shift[..., 1:], 0)


def test_transplanted_parameters_answer_the_same(surgery):
    assert surgery["returned"] == 0
    assert surgery["one_cell"] <= 1e-5
    weight = surgery["params"]["fc4"][0]
    assert weight.shape == (64, 48 * 3 * 3)
    twin = surgery["moved"]["fc4-conv"][0]
    assert twin.shape == (64, 48, 3, 3)
    np.testing.assert_array_equal(twin.ravel(), weight.ravel())


def test_the_classification_map_finds_the_digits_for_less(surgery):
    assert surgery["hits"] == len(surgery["placed"]) == len(surgery["found"]) == 72
    assert surgery["cells"] == 37 * 85
    assert surgery["cost"] < surgery["cells"] / 5


def test_surgery_draws_its_pictures(surgery):
    pictures = sorted(surgery["OUTPUT"].glob("*.png"))
    assert [p.stem for p in pictures] == [
        "classification_map",
        "conv1_filters",
        "conv1_maps",
        "designer_filters",
        "designer_maps",
        "fc4_values",
        "sevens",
    ]
    for path in pictures:
        assert_is_a_picture(path)


def test_the_notebook_is_the_script_executed():
    script = NOTEBOOK.with_suffix(".py").read_text("utf-8")
    expected = load(ROOT / "tools" / "make_notebook.py").cells(script)
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    assert [(c["cell_type"], "".join(c["source"])) for c in cells] == expected
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    kinds = {output["output_type"] for output in outputs}
    assert kinds == {"stream", "execute_result"}  # no "error"
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 7


def test_the_notebook_knows_nothing_of_the_machine():
    for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"]:
        assert cell["metadata"] == {}  # no times of execution
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr"
            text = "".join(output.get("text", output.get("data", {}).get("text/plain")))
            assert not any(
                part in text for part in ("/home", "/tmp", "/usr", " at 0x", "WARN")
            )


@pytest.mark.slow
def test_migration_is_right_and_each_mistake_is_wrong(tmp_path, capsys):
    example = load(ROOT / "examples" / "migrate_vgg_cnn.py")
    found = example.run(tmp_path)
    assert found["rebuilt"] <= 1e-5
    effects = dict(found["effects"])
    error, changed = effects.pop("none")
    assert error <= 1e-5 and changed == 0
    assert list(effects) == [*example.MISTAKES, "all of them"]
    for mistake, (error, _) in effects.items():
        assert error > 1e-3, mistake
    assert effects["all of them"][1] > 0
    said = capsys.readouterr().out
    assert all(mistake in said for mistake in example.MISTAKES)


def test_migration_of_caffes_own_file_gives_caffes_answer():
    """The nets of the example on a file that real Caffe wrote, and its answer."""
    example = load(ROOT / "examples" / "migrate_vgg_cnn.py")
    path = GOLDENS / "net_vgg_cnn_s_eighth.caffemodel"
    blobs, params = golden("net_vgg_cnn_s_eighth"), read_caffemodel(path)
    *shape, seed, scale = blobs["pattern/data"]
    x = nhwc(pattern([int(s) for s in shape], int(seed), scale))
    rebuilt = example.rebuild({name: bias.size for name, (_, bias) in params.items()})
    example.load_weights(rebuilt, path)
    for model in (rebuilt, example.plain_net(params)):
        fc8 = model.predict(x, verbose=0)
        assert relative_error(fc8, blobs["blob/fc8"]) <= 1e-5


@pytest.mark.slow
def test_sliding_window_training_raises_the_accuracy(tmp_path, capsys):
    example = load(ROOT / "examples" / "sliding_window_training.py")
    found = example.run(tmp_path, train=32, epochs=6)
    before, after = found["before"], found["after"]
    assert before["digits"] < 0.5 < 0.85 < after["digits"]
    assert before["nothing"] < after["nothing"]
    assert "where a digit is" in capsys.readouterr().out
    for name in ("before", "after"):
        assert_is_a_picture(tmp_path / f"{name}.png")


def test_label_maps_follow_the_digits():
    example = load(ROOT / "examples" / "sliding_window_training.py")
    # A digit in the middle of the window of cell (1, 2), 8 and 16 pixels in.
    labels, weights = example.label_map([(7, 16 + 8, 16 + 16)], 4, 5)
    assert labels[1, 2] == 7 and (labels == 7).sum() == 1
    assert weights[1, 2] == 1
    assert weights.sum() == 4 * 5 - 8  # its eight neighbours count for nothing


@pytest.mark.slow
def test_fine_tuning_digits_raises_the_accuracy(tmp_path, capsys):
    example = load(ROOT / "examples" / "finetune_digits.py")
    found = example.main(tmp_path, epochs=6)
    assert found["before"] < 0.7 < 0.95 < found["after"]
    assert found["snapshots"] == ["loops_iter_60.caffemodel"]
    said = capsys.readouterr().out
    assert "before" in said and "after" in said


@pytest.mark.slow
def test_transfer_learning_beats_pixels_and_tells_which_layer(capsys):
    found = load(ROOT / "examples" / "transfer_learning.py").run_on_digits()
    loops, mirrored, turned = found.values()
    assert loops["fc4"] > 0.97 > 0.92 > loops["pixels"]
    assert mirrored["pool3"] > mirrored["pixels"] + 0.01
    assert turned["pool3"] > turned["pixels"] + 0.01
    # The last layer has forgotten what was of no use for naming upright digits.
    assert mirrored["fc4"] < mirrored["pixels"]
    assert turned["fc4"] < turned["pool3"]
    said = capsys.readouterr().out
    assert all(question in said for question in found)
    assert f"{loops['fc4']:.1%}" in said


@pytest.mark.slow
def test_similar_digits_are_mostly_the_same_digit(tmp_path, capsys):
    example = load(ROOT / "examples" / "similarity_search.py")
    same = example.run_on_digits(tmp_path / "similar.png")
    assert same["fc4"] > 0.97 > 0.7 > same["pixels"] > 0.2 > 1 / 10  # by chance
    assert_is_a_picture(tmp_path / "similar.png")
    assert f"{same['fc4']:.1%}  by fc4" in capsys.readouterr().out


@pytest.fixture
def photos(tmp_path):
    """Squares of scikit-learn's two photographs, a folder for each, and a bad file."""
    folder = tmp_path / "photos"
    for name in ("china", "flower"):
        (folder / name).mkdir(parents=True)
        pixels = load_sample_image(f"{name}.jpg")
        for place, (y, x) in enumerate(np.ndindex(2, 5)):
            square = pixels[200 * y : 200 * y + 128, 128 * x : 128 * x + 128]
            Image.fromarray(square).save(folder / name / f"{place}.png")
    (folder / "china" / "x.png").write_bytes(b"this is no picture")
    return folder


@pytest.fixture
def random_caffenet(tmp_path, monkeypatch):
    """A file of random weights for CaffeNet, its inner products narrow."""
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 16)
    rng = np.random.default_rng(0)
    params = {
        name: [
            rng.normal(0, (2 / np.prod(w.shape[1:])) ** 0.5, w.shape).astype("float32"),
            np.zeros(b.shape, "float32"),
        ]
        for name, (w, b) in caffe_params(models.caffenet(weights=None)).items()
    }
    path = tmp_path / "caffenet.caffemodel"
    write_caffemodel(path, params)
    return str(path)


@pytest.mark.slow
def test_both_take_photos_and_a_net_of_the_zoo(
    photos, random_caffenet, tmp_path, capsys
):
    net = ("caffenet", random_caffenet)
    learning = load(ROOT / "examples" / "transfer_learning.py")
    (row,) = learning.run_on_photos(photos, *net, ["pool5", "fc7"]).values()
    assert list(row) == ["pixels", "pool5", "fc7"]
    assert row["pool5"] > 0.6  # even a random net tells a garden from a town
    search = load(ROOT / "examples" / "similarity_search.py")
    search.run_on_photos(photos, *net, "pool5", tmp_path / "similar.png")
    assert_is_a_picture(tmp_path / "similar.png")
    said = capsys.readouterr().out
    assert said.count("left out: china/x.png: no picture") == 2
