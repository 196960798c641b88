"""Keras is imported by those who need it, and knows our classes whenever it comes."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from support import GOLDENS

import keras_caffe_zoo
from keras_caffe_zoo import lazy

PACKAGE = Path(keras_caffe_zoo.__file__).parent
DIGITS = PACKAGE / "data" / "demo" / "digits"
ROOMS = [f"{PACKAGE.name}.{room}" for room in lazy._ROOMS]
KERAS = {"keras", "tensorflow", "jax", "torch"}


def path_of(module):
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def statements(tree):
    """Yield what runs when a module is imported, but for the bodies of functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from statements(node)


@cache
def imports(module):
    """Return the modules that one imports as it is imported, its packages first."""
    parts = module.split(".")
    found = [".".join(parts[:n]) for n in range(1, len(parts))]
    for node in statements(ast.parse(path_of(module).read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            depth = len(parts) + (path_of(module).stem == "__init__") - node.level
            base = ".".join(parts[:depth]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            found.append(source)
            names = (f"{source}.{alias.name}" for alias in node.names)
            found += [x for x in names if is_ours(x) and path_of(x).exists()]
    return [x for x in dict.fromkeys(found) if x != module]


def is_ours(module):
    return module.split(".")[0] == PACKAGE.name


def closure(*modules):
    found, open_ = set(), list(modules)
    while open_:
        module = open_.pop()
        if module not in found:
            found.add(module)
            open_ += imports(module) if is_ours(module) else []
    return found


def needs_keras(module):
    return any(x.split(".")[0] in KERAS for x in closure(module))


def test_what_rooms_with_classes_are_built_on_is_imported_without_keras():
    """Else Keras could come while it is half imported, and the rooms with it."""
    below = [x for x in closure(*ROOMS) if is_ours(x)]
    inside = tuple(f"{room}." for room in ROOMS)
    heavy = [
        x
        for x in below
        if x not in ROOMS and not x.startswith(inside) and needs_keras(x)
    ]
    assert not heavy


def test_modules_that_name_no_keras_import_none():
    """What `keras_caffe_zoo.lazy` has in its place is left alone as they begin."""
    names = (
        p.relative_to(PACKAGE.parent).with_suffix("") for p in PACKAGE.rglob("*.py")
    )
    modules = [".".join(x.parts).removesuffix(".__init__") for x in names]
    light = [
        x for x in modules if not needs_keras(x) and x.split(".")[-1] != "__main__"
    ]
    assert len(light) > 80
    code = f"""import importlib, sys
for name in {sorted(light)}:
    importlib.import_module(name)
    assert not {KERAS} & sys.modules.keys(), name
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--print-completion", "bash"],
        ["list"],
        ["card", "vgg16"],
        ["verify"],
        ["remove", "caffenet"],
        ["inspect", DIGITS.with_suffix(".prototxt")],
        ["inspect", DIGITS.with_suffix(".caffemodel")],
        ["dump", DIGITS.with_suffix(".caffemodel"), "-o", "OUTPUT.h5"],
        ["view", DIGITS.with_suffix(".caffemodel"), "-o", "OUTPUT.html"],
    ],
)
def test_commands_about_files_import_no_keras(words, tmp_path):
    words = [str(word).replace("OUTPUT", str(tmp_path / "a")) for word in words]
    code = f"""import sys
from keras_caffe_zoo import cli
try:
    assert cli.main({words}) == 0
except SystemExit as end:
    assert not end.code
assert not {KERAS} & sys.modules.keys()
"""
    command = [sys.executable, "-W", "error", "-c", code]
    home = {**os.environ, "KERAS_CAFFE_ZOO_HOME": str(tmp_path / "cache")}
    subprocess.run(command, check=True, env=home, stdout=subprocess.DEVNULL)


def test_definitions_with_found_rows_are_measured_without_keras():
    code = f"""import sys
from keras_caffe_zoo import inspect_file
found = inspect_file({str(GOLDENS / "forks" / "detection_center.prototxt")!r})
assert found.layers[-1]["shapes"] == [[1, 1, None, 7]], found.layers[-1]
assert not found.refused and "1 x 1 x ? x 7" in str(found)
assert not {KERAS} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "most"),
    [
        (["--help"], 0.5),
        (["list"], 1),
        (["card", "vgg16"], 1),
        (["inspect", DIGITS.with_suffix(".prototxt")], 1),
        (["inspect", DIGITS.with_suffix(".caffemodel")], 1),
    ],
)
def test_these_commands_are_there_at_once(words, most):
    """In seconds of the processor, whoever else has the cores; the best of a few."""
    command = [sys.executable, "-m", "keras_caffe_zoo", *map(str, words)]
    times = []
    for _ in range(5):
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        times.append(
            after.children_user
            - before.children_user
            + after.children_system
            - before.children_system
        )
    assert 0 < min(times) <= most


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "import keras, keras_caffe_zoo",
        "import keras_caffe_zoo, keras",
        "from keras_caffe_zoo import CaffeLRN",
        "from keras_caffe_zoo.layers.pooling import CaffePool2D",
        "from keras_caffe_zoo.training.losses.softmax import SoftmaxWithLoss",
        "from keras_caffe_zoo.conversion import to_caffe; import keras",
    ],
)
def test_keras_knows_the_classes_whichever_is_imported_first(words):
    code = f"""{words}
from keras.saving import get_custom_objects
names = "CaffeLRN CaffeConv2D CaffeModel SoftmaxWithLoss CaffeTrainingModel".split()
assert {{f"keras_caffe_zoo>{{name}}" for name in names}} <= set(get_custom_objects())
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
