"""What is known of a type of Caffe layer stands in its rule, and nowhere else."""

import ast
from pathlib import Path

import pytest

import keras_caffe_zoo
from keras_caffe_zoo import layers
from keras_caffe_zoo.rules.registry import rule_of

PACKAGE = Path(keras_caffe_zoo.__file__).parent
# Where types, or classes of layers, may be named; and why.
ALLOWED = {
    "rules": "the rules",
    "layers": "the classes themselves",
    "caffe": "BVLC's own upgrades of old files, which are about their types",
    "onnx": "ONNX's operations, some of which have the names of Caffe's layers",
    "precision": "ONNX's operations as well",
    "models": "a builder is the list of its layers",
    "cards": "headings of people's pages: Data, Input, Accuracy",
    "training/losses": "the Keras losses, by the layer that asks for them",
    "training/metrics.py": "Accuracy, the metric of the layer of that name",
    "training/data": "the readers of databases, by the layer that names one",
    "training/__init__.py": "lists the losses and metrics",
    "__init__.py": "lists the public layers",
}


def files():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        parts = [name, *(p.as_posix() for p in Path(name).parents)]
        if ALLOWED.keys().isdisjoint(parts):
            yield name


def docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


@pytest.mark.parametrize("name", list(files()))
def test_no_type_is_named(name):
    tree = ast.parse((PACKAGE / name).read_text())
    told = set(map(id, docstrings(tree)))
    named = [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in told
        and rule_of(node.value) is not None
    ]
    assert not named


@pytest.mark.parametrize("name", list(files()))
def test_no_class_of_layers_is_named(name):
    tree = ast.parse((PACKAGE / name).read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & set(layers.__all__)


@pytest.mark.parametrize("place", list(ALLOWED))
def test_every_exception_is_still_there(place):
    assert (PACKAGE / place).exists()
