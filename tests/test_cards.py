"""Model cards: every net has one, it has every section, and its code works."""

import ast
import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

import keras_caffe_zoo as kcz
from keras_caffe_zoo import cli
from keras_caffe_zoo.cards import card, card_facts, model_card
from keras_caffe_zoo.cards.markdown import WIDTH
from keras_caffe_zoo.labels import class_names
from keras_caffe_zoo.models import _design
from keras_caffe_zoo.models._classifier import ClassifierDesign
from keras_caffe_zoo.weights import model_entry, model_names
from keras_caffe_zoo.weights.manifest import class_list

SECTIONS = [
    *("Paper", "Data", "Input", "Output", "Accuracy", "Licence", "Size"),
    *("Getting it", "Using it"),
]


def smallest(task):
    return min(model_names(task=task), key=lambda name: model_entry(name).parameters)


TASKS = dict.fromkeys(model_entry(name).task for name in model_names())


def sections(card):
    """Return the text below each heading."""
    _, *blocks = re.split(r"^## (.+)\n", card, flags=re.MULTILINE)
    return dict(zip(blocks[::2], blocks[1::2], strict=True))


def code(card):
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


@pytest.mark.parametrize("name", model_names())
def test_every_net_has_a_card_with_everything_on_it(name):
    card, entry = model_card(name), model_entry(name)
    found = sections(card)
    assert card.startswith(f"# {entry.title}\n\n`{name}`, for ")
    assert list(found) == SECTIONS
    assert all(text.strip() for text in found.values())
    said = card.replace("image[None]", "")
    assert not re.search(r"\bNone\b|\bnull\b|\bnan\b|\n\n\n", said)
    assert len(code(card)) >= 1
    for block in code(card):
        ast.parse(block)
        assert name in block or "mtcnn" in block
    for line in card.splitlines():
        assert len(line) <= WIDTH or line.startswith("|") or "<http" in line, line
        assert line == line.rstrip()
        assert line.count("`") % 2 == 0 or line.startswith("```")


@pytest.mark.parametrize("name", model_names())
def test_a_card_has_the_manifests_facts(name):
    card, entry = model_card(name), model_entry(name)
    found = sections(card)
    assert (entry.citation or "No paper").split()[0] in found["Paper"]
    assert f"{entry.parameters:,}" in found["Size"]
    assert entry.file.size is None or f"{entry.file.size:,} bytes" in found["Size"]
    assert all(url in found["Getting it"] for url in entry.file.urls)
    assert all(one in found["Getting it"] for one in entry.file.hashes.values())
    verb = "download" if entry.file.urls else "install"
    assert f"keras-caffe-zoo {verb} {name}" in found["Getting it"]
    may = {False: "yes", True: "no", None: "the authors do not say"}
    said = f"Commercial use: {may[entry.licence.non_commercial]}"
    assert said in " ".join(found["Licence"].split())
    for one in entry.accuracy:
        assert any(
            one.source in row and one.dataset in row
            for row in found["Accuracy"].splitlines()
        )
    sides = entry.input_size or ("any",)
    assert all(str(side) in found["Input"] for side in sides)
    if entry.task != "colorization":  # which takes no colours
        unscaled = "The difference is not scaled" in found["Input"]
        assert unscaled == (entry.scale == 1)


def test_a_card_says_what_its_net_is_in_the_builders_words():
    card = model_card("sphereface")
    assert "SphereFace-20 (`sphereface_model`): 512 numbers for a face." in card
    for name in model_names():
        what = card_facts(name)["what"]
        assert what[0].isupper() or what[0].isdigit(), what
        assert what.endswith(".") and not what.startswith("Build")


def test_a_card_tells_what_becomes_of_a_picture():
    said = " ".join(sections(model_card("densenet121"))["Input"].split())
    assert "in its proportions until its shorter side has 256 pixels; the" in said
    assert "103.94 from blue, 116.78 from green, 123.68 from red" in said
    assert "multiplied by 0.017" in said
    said = " ".join(sections(model_card("vgg_cnn_s"))["Input"].split())
    assert "`VGG_mean.binaryproto`, or while that is not in the cache 103.939" in said
    assert "those of a related net" in said
    assert "red, green, blue" in sections(model_card("shufflenet_v2_x05"))["Input"]


def test_a_net_of_lightness_has_no_mean_of_colours(monkeypatch):
    entry = dataclasses.replace(model_entry("caffenet"), task="colorization", mean=None)
    monkeypatch.setattr(card, "model_entry", lambda name: entry)
    said = sections(model_card("caffenet"))["Input"]
    assert "one, the lightness" in said and "not published" not in said


def test_what_nobody_published_is_told():
    said = sections(model_card("age_net"))
    assert "No published figure is known here." in said["Accuracy"]
    assert "Commercial use: the authors do not say" in said["Licence"]
    assert "keras-caffe-zoo install age_net age_net.caffemodel" in said["Getting it"]
    assert "Its checksum was not published" in said["Getting it"]
    assert "No paper about it is known here." in model_card("open_nsfw")
    said = " ".join(model_card("vgg_face").split())
    assert "The names of its classes are not at hand" in said
    assert "mean=mean" in model_card("nin")


def test_short_lists_of_classes_are_written_out():
    for name in model_names():
        labels = model_entry(name).class_labels
        known = labels and class_list(labels)
        if known and known.file and known.classes <= 30:
            said = " ".join(sections(model_card(name))["Data"].split())
            assert ", ".join(one for _, one in class_names(labels)) in said


def test_the_command_prints_and_writes_cards(tmp_path, capsys):
    assert cli.main(["card", "vgg16"]) == 0
    assert capsys.readouterr().out == model_card("vgg16")
    assert cli.main(["card", "vgg16", "vgg19"]) == 0
    assert capsys.readouterr().out.count("\n## Paper\n") == 2
    assert cli.main(["card", "vgg16", "-o", str(tmp_path / "card.md")]) == 0
    assert (tmp_path / "card.md").read_text("utf-8") == model_card("vgg16")
    assert cli.main(["card", "--all", "-o", str(tmp_path / "cards")]) == 0
    written = {path.stem for path in (tmp_path / "cards").iterdir()}
    assert written == set(model_names())


def test_the_command_gives_programs_the_facts(capsys):
    assert cli.main(["card", "vgg16", "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts == json.loads(json.dumps(card_facts("vgg16")))
    assert facts["trained_on"] == "ILSVRC2012 (ImageNet)"
    assert facts["what"].startswith("VGG-16")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "names of nets or --all; received: neither"),
        (["vgg16", "--all"], "received: both"),
        (["vgg16", "lenet"], "no net 'lenet'"),
        (["vgg16", "vgg19", "-o", "cards.md"], "a folder, for several nets"),
    ],
)
def test_the_command_says_what_it_needs(words, message, capsys):
    assert cli.main(["card", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder with all that cards speak of, and nets with random weights."""
    monkeypatch.setenv("KERAS_CAFFE_ZOO_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_design, "load_published", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), "uint8")
    (tmp_path / "photos").mkdir()
    for name in ("photo", "photos/photo", "street", "people", "grey"):
        Image.fromarray(pixels).save(tmp_path / f"{name}.jpg")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*map(smallest, TASKS), "nin", "vgg_face"])
def test_the_code_of_a_card_runs(name, pictures, monkeypatch):
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 8)
    for block in code(model_card(name)):
        calls = re.findall(r"kcz\.(\w+)\(", block)
        assert set(calls) <= set(kcz.__all__)
        exec(compile(block, name, "exec"), {})
