"""The guides in docs/ do what they say: their commands and programs are run.

Programs that need OpenCV 5 run in the Python that the variable OPENCV_PYTHON names,
which need not have this package, or in this one if it has OpenCV 5.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support import GOLDENS

from keras_caffe_zoo import cli, to_onnx

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "from_caffe_to_opencv5.md"
PYTHON = os.environ.get("OPENCV_PYTHON", sys.executable)
SSD = GOLDENS / "forks" / "net_mobilenet_ssd_mini"


def has_opencv_5():
    command = [PYTHON, "-c", "import cv2; print(cv2.__version__)"]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    return int(said.partition(".")[0] or 0) >= 5


with_opencv = pytest.mark.skipif(
    "OPENCV_PYTHON" not in os.environ and not has_opencv_5(),
    reason="no OpenCV 5: OPENCV_PYTHON names a Python that has it",
)


def blocks(language):
    """Return the guide's blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.M | re.S)


def run_program(text, folder):
    command = [PYTHON, "-W", "error", "-c", text]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder that has the repository's files, where the commands have been run."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "keras_caffe_zoo").symlink_to(ROOT / "keras_caffe_zoo")
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands:
            name, *words = shlex.split(command)
            assert name in ("keras-caffe-zoo", "pip")
            assert name == "pip" or cli.main(words) == 0
    return folder


def test_the_commands_write_what_the_guide_uses(clone):
    assert {"digits.onnx", "page.onnx"} <= {path.name for path in clone.iterdir()}


@with_opencv
def test_the_program_tells_digits_apart(clone):
    said = run_program(blocks("python")[0], clone)
    (right,) = re.findall(r"([\d.]+)% of 400 digits are right", said)
    assert float(right) >= 97


@with_opencv
def test_the_detections_are_read(clone):
    to_onnx(
        SSD.with_suffix(".prototxt"), SSD.with_suffix(".caffemodel"), clone / "ssd.onnx"
    )
    program = f"""
import cv2, numpy as np
{blocks("python")[1]}
with np.load({str(SSD.with_suffix(".npz"))!r}) as arrays:
    data, rows = arrays["blob/data"][:1], arrays["blob/detection_out"][0, 0]
image = np.zeros((200, 100, 3), np.uint8)
cv2.dnn.blobFromImage = lambda *_: data
found = detect(cv2.dnn.readNetFromONNX("ssd.onnx"), image, least=0)
rows = rows[rows[:, 0] == 0]
wanted = rows[:, 1:] * [1, 1, 100, 200, 100, 200]
print(len(wanted), np.abs(np.array(found) - wanted).max() < 1e-2)
"""
    count, right = run_program(program, clone).split()
    assert int(count) > 0 and right == "True"


def test_every_program_compiles():
    for block in blocks("python"):
        compile(block, str(GUIDE), "exec")


@with_opencv
def test_the_opencv_is_what_the_guide_is_about():
    assert has_opencv_5()
