"""What the Tab key completes, in the shells themselves where they are installed."""

import shutil
import subprocess
import sys

import pytest

from keras_caffe_zoo import list_models
from keras_caffe_zoo.cli import main
from keras_caffe_zoo.cli.completion import SHELLS

TAB = """
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_shtab_keras_caffe_zoo
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Return the path of each shell's script."""
    folder, patch = tmp_path_factory.mktemp("completion"), pytest.MonkeyPatch()
    for shell in SHELLS:
        with (folder / shell).open("w") as file:
            patch.setattr(sys, "stdout", file)
            with pytest.raises(SystemExit) as end:
                main(["--print-completion", shell])
            patch.undo()
        assert end.value.code == 0
    return folder


def tab(scripts, *words):
    """Return what bash offers for the last of the words."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    command = [bash, "-c", TAB, "bash", scripts / "bash", "keras-caffe-zoo", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=scripts)
    assert not done.stderr
    return sorted(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["clas"], ["classify"]),
        (["classify", "--mod"], ["--model"]),
        (["classify", "a.jpg", "--runtime", "on"], ["onnxruntime"]),
        (["list", "--task", "seg"], ["segmentation"]),
        (["inspect", "zs"], ["zsh"]),  # a file
        (["card", "vgg1"], ["vgg16", "vgg19"]),
        (["serve", "--net", "mobilenet_s"], ["mobilenet_ssd"]),
        (["train", "--net", "fi"], ["fish"]),
        (["classify", "a.jpg", "--model", "fi"], ["fish"]),  # may be a prototxt
    ],
)
def test_bash_completes(scripts, words, offered):
    assert tab(scripts, *words) == offered


def test_bash_completes_the_names_of_all_nets(scripts):
    assert set(tab(scripts, "classify", "--model", "")) >= set(list_models())


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_have_commands_nets_and_no_errors(scripts, shell):
    text = (scripts / shell).read_text()
    assert all(word in text for word in ("find-faces", "--print-completion", "vgg19"))
    if program := shutil.which(shell):
        check = subprocess.run([program, "-n", scripts / shell], capture_output=True)
        assert (check.returncode, check.stderr) == (0, b"")
