"""The command `view`, and pictures for paper."""

import json
import re
import subprocess
import sys
import time

import pytest
from support import GOLDENS
from viewed_nets import resnet

from keras_caffe_zoo import demo
from keras_caffe_zoo.caffe import read_prototxt
from keras_caffe_zoo.cli import main, view
from keras_caffe_zoo.plots import show_net

MINI = GOLDENS / "net_alexnet_eighth.prototxt"
SSD = GOLDENS / "forks" / "net_ssd_mini.prototxt"


def test_a_page_is_written_beside_where_one_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["view", str(MINI)]) == 0
    assert (tmp_path / "net_alexnet_eighth.html").read_bytes().startswith(b"<!DOCTYPE")
    assert "net_alexnet_eighth.html: 24 layers" in capsys.readouterr().out


def test_the_browser_shows_the_page_that_was_asked_for(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(view.webbrowser, "open", shown.append)
    page = tmp_path / "page.html"
    weights = MINI.with_suffix(".caffemodel")
    words = ["view", str(MINI), str(weights), "-o", str(page), "--open"]
    assert main(words) == 0
    assert shown == [page.as_uri()]
    assert b'id="filters"' in page.read_bytes()


def test_figures_are_there_for_programs(tmp_path, capsys):
    words = ["view", str(SSD), "-o", str(tmp_path / "a.html"), "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parameters"] == sum(x["parameters"] for x in told["layers"])
    assert told["multiply_adds"] > 0


def test_sizes_and_phases_are_taken(tmp_path, capsys):
    page = str(tmp_path / "a.html")
    words = ["view", str(MINI), "--input-shape", "300", "400", "-o", page, "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layers"][0]["shapes"][0][1:] == [3, 300, 400]
    path = str(GOLDENS / "train_val.prototxt")
    assert main(["view", path, "--phase", "TRAIN", "-o", page]) == 0


def test_errors_are_a_sentence(tmp_path, capsys):
    assert main(["view", str(tmp_path / "none.prototxt")]) == 2
    assert main(["view", str(MINI), "-o", str(tmp_path / "no" / "a.html")]) == 2
    assert "Expected an existing folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("end", ["svg", pytest.param("png", marks=pytest.mark.slow)])
def test_pictures_for_paper(tmp_path, end):
    path = tmp_path / f"net.{end}"
    net = read_prototxt(GOLDENS / "net_resnet_mini.prototxt")
    figure = show_net(net, output=path)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "Convolution" in texts and "ReLU" in texts
    assert path.stat().st_size > 2000


def test_a_picture_of_a_file_takes_its_names_as_they_are(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text('layer { name: "$a_{b" type: "Odd" top: "x" }')
    figure = show_net(path, output=tmp_path / "a.svg")
    assert figure.axes[0].texts[0].get_text() == "$a_{b"


def test_nothing_is_no_picture(tmp_path):
    net = read_prototxt(GOLDENS / "net_resnet_mini.prototxt")
    net.layers = []
    with pytest.raises(ValueError, match="Expected a net of 1 to 2,000 layers"):
        show_net(net)


def test_a_net_of_the_zoo_needs_no_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["view", "mtcnn_p"]) == 0
    assert "mtcnn_p.html: 11 layers, 6,632 parameters" in capsys.readouterr().out
    assert b'id="filters"' not in (tmp_path / "mtcnn_p.html").read_bytes()


def test_a_file_of_keras_will_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    demo.load().save("digits.keras")
    assert main(["view", "digits.keras"]) == 0
    said = capsys.readouterr().out
    assert main(["view", str(demo.FOLDER / "digits.prototxt"), "-o", "b.html"]) == 0
    parameters = re.compile(r"[\d,]+ parameters, [\d,]+ multiply-adds")
    assert parameters.findall(said) == parameters.findall(capsys.readouterr().out) != []
    assert b'id="filters"' in (tmp_path / "digits.html").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mtcnn_p", "--phase", "TRAIN"], "received: mtcnn_p, a net for predictions"),
        (["a.keras", "--input-shape", "9", "9"], "no input_shape for a.keras"),
    ],
)
def test_options_that_a_model_does_not_take_are_told(words, said, capsys):
    assert main(["view", *words]) == 2
    assert said in capsys.readouterr().err


def test_what_is_not_known_of_multiply_adds_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.prototxt"
    path.write_text(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8 '
        'layer { name: "x" type: "NobodyKnows" bottom: "data" top: "x" }'
    )
    assert main(["view", str(path)]) == 0
    assert "0 parameters, at least 0 multiply-adds" in capsys.readouterr().out


@pytest.mark.slow
def test_a_keras_model_is_drawn_as_the_net_that_it_is():
    from keras_caffe_zoo import squeezenet_v1_1

    figure = show_net(squeezenet_v1_1(weights=None))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("Concat") == 8 and "64 × 113 × 113" in texts


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet-152", "SSD", "hostile"])
def test_pages_take_less_than_3_seconds_and_3_megabytes(name, tmp_path):
    path = SSD
    if name != "SSD":
        path = tmp_path / "net.prototxt"
        chain = 'layer { name: "<b>" type: "ReLU" bottom: "data" top: "data" }\n'
        path.write_text(resnet() if name == "ResNet-152" else chain * 100_000)
    page = tmp_path / "page.html"
    command = [sys.executable, "-m", "keras_caffe_zoo", "view", path, "-o", page]
    code = f"""import sys
from keras_caffe_zoo.cli import main
status = main({[str(x) for x in command[3:]]})
assert not {{"keras", "tensorflow"}} & sys.modules.keys()
sys.exit(status)"""
    start = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert time.perf_counter() - start < 3
    if name == "hostile":
        assert run.returncode == 2
        assert "Expected at most 16,384 layers" in run.stderr
    else:
        assert run.returncode == 0, run.stderr
        assert page.stat().st_size < 3_000_000
