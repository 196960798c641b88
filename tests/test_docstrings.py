"""Every public name has a docstring with an example, and every example is true."""

import doctest
import gc
import importlib
import inspect
import re
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_caffe_zoo as kcz

PACKAGE = Path(kcz.__file__).parent
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def rooms():
    """Return the packages that list public names, the whole one first."""
    paths = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
    names = [".".join(path.relative_to(PACKAGE.parent).parts) for path in paths]
    public = [name for name in names if "._" not in name]
    modules = map(importlib.import_module, public)
    return [module for module in modules if hasattr(module, "__all__")]


def public_objects(room):
    """Return the classes and functions that a room lists, by their names."""
    found = {name: getattr(room, name) for name in room.__all__}
    return {name: x for name, x in found.items() if callable(x)}


def is_ours(x):
    return str(getattr(x, "__module__", "")).split(".")[0] == PACKAGE.name


def examples_of(text):
    """Return the doctests in the section `Example:` that ends a docstring."""
    section = re.search(r"^Example:\n((?:[ ]{4}.*\n|\n)*)\Z", f"{text}\n", re.MULTILINE)
    return doctest.DocTestParser().get_examples(section[1]) if section else []


def flaw(x):
    """Return what the docstring of a class or function lacks, or None.

    Its own one: a base's tells of the base. An example that shows no answer checks
    nothing.
    """
    text = inspect.cleandoc(x.__doc__ or "")
    if not text:
        return "no docstring"
    found = examples_of(text)
    if not found:
        return "no example at its end"
    return None if any(one.want for one in found) else "an example without an answer"


def methods_without_docstring(cls):
    """Return a class' public methods that nobody documents, be it in a base.

    Other packages' bases tell of their hooks: Keras of `call`.
    """
    mine = [x for x in cls.__mro__ if is_ours(x)]
    others = [x for x in cls.__mro__ if not is_ours(x)]
    names = {name for x in mine for name in vars(x) if not name.startswith("_")}
    return sorted(
        name
        for name in names
        if is_method(inspect.getattr_static(cls, name))
        and not inspect.getdoc(getattr(cls, name))
        and not any(hasattr(x, name) for x in others)
    )


def is_method(x):
    return inspect.isroutine(x) or isinstance(x, property)


ROOMS = rooms()


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_every_public_name_has_an_example(room):
    flaws = {name: flaw(x) for name, x in public_objects(room).items()}
    lacking = [f"{name}: {what}" for name, what in flaws.items() if what]
    assert not lacking, "\n".join([f"{len(lacking)} names lack it", *lacking])


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_every_public_method_has_a_docstring(room):
    classes = [x for x in public_objects(room).values() if inspect.isclass(x)]
    found = {
        f"{cls.__name__}.{x}" for cls in classes for x in methods_without_docstring(cls)
    }
    assert not found, "\n".join(sorted(found))


def public_examples():
    """Return a case for each public object, whatever rooms list it."""
    found = {}
    for room in ROOMS:
        for name, x in public_objects(room).items():
            found.setdefault(id(x), pytest.param(x, id=f"{room.__name__}.{name}"))
    return found.values()


def failures(text):
    """Return what doctest has to say against a docstring's examples."""
    names = {"kcz": kcz, "np": np, "keras": keras, "__name__": "__main__"}
    test = doctest.DocTestParser().get_doctest(text, names, "Example", None, None)
    said = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=said.append)
    return "".join(said)


@pytest.mark.slow
@pytest.mark.parametrize("x", public_examples())
def test_examples_are_true(x, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.clear_session()  # names of layers start anew
    said = failures(inspect.cleandoc(x.__doc__ or ""))
    gc.collect()  # one large net at a time
    assert not said, said


GOOD = """Add one.

Raises:
    TypeError: For what has no sum.

Example:
    >>> 1 + 1
    2

    As one does.
"""


def documented(text):
    """Return a function with a docstring."""

    def x(): ...

    x.__doc__ = text
    return x


def test_a_docstring_with_a_true_example_is_good():
    assert flaw(documented(GOOD)) is None
    assert failures(GOOD) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "no docstring"),
        ("Add one.", "no example at its end"),
        ("Add one.\n\n>>> 1 + 1\n2", "no example at its end"),
        (GOOD.replace("Example:", "Examples:"), "no example at its end"),
        (GOOD + "\nReturns:\n    Two.\n", "no example at its end"),
        (GOOD.replace("    2\n", ""), "an example without an answer"),
    ],
)
def test_what_a_docstring_lacks_is_told(text, expected):
    assert flaw(documented(text)) == expected


def test_a_false_example_is_found():
    assert "Expected:\n    3\nGot:\n    2\n" in failures(GOOD.replace("    2", "    3"))
    assert "ZeroDivisionError" in failures(">>> 1 / 0\n2\n")
    assert "UserWarning: old" in failures(
        ">>> import warnings\n>>> warnings.warn('old')\n"
    )


class Base:
    def told(self):
        """Tell."""


class Derived(Base):
    def told(self): ...

    def untold(self): ...

    @property
    def mute(self): ...

    def _private(self): ...


def test_methods_without_docstring_are_found(monkeypatch):
    monkeypatch.setattr(f"{__name__}.is_ours", lambda x: x is not object)
    assert methods_without_docstring(Derived) == ["mute", "untold"]


def test_the_rooms_are_found():
    names = {room.__name__.removeprefix(f"{PACKAGE.name}.") for room in ROOMS}
    assert {PACKAGE.name, "layers", "models", "training", "training.losses"} <= names
    assert len(public_examples()) > 300
