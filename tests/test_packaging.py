"""What users meet before they call anything: versions, types, how to cite."""

import configparser
import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from test_docstrings import ROOMS

import keras_caffe_zoo
from keras_caffe_zoo.cli import main

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "tests" / "typed" / "a_program.py"


@pytest.fixture(scope="module")
def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def test_the_command_tells_the_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert told == f"keras-caffe-zoo {keras_caffe_zoo.__version__}\n"


def test_the_version_is_that_of_the_installed_package(monkeypatch):
    monkeypatch.setattr(keras_caffe_zoo.version, "version", lambda name: f"{name} 7")
    assert keras_caffe_zoo.version.package_version() == "keras_caffe_zoo 7"


def test_a_package_that_is_not_installed_has_no_version(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(keras_caffe_zoo.version, "version", absent)
    assert keras_caffe_zoo.version.package_version() == "unknown"


def test_the_version_is_written_nowhere_but_in_tags(setup):
    """Else two places would have to agree."""
    assert "version" not in setup["metadata"]
    assert "setuptools_scm" in tomllib.loads(text("pyproject.toml"))["tool"]
    citation = yaml.safe_load(text("CITATION.cff"))
    assert not {"version", "date-released", "commit"} & set(citation)


def text(name):
    return (ROOT / name).read_text("utf-8")


def git(folder, *words):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True)


def version_in(folder):
    """Return the version that a build of a folder would have."""
    command = [sys.executable, "-m", "setuptools_scm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_versions_come_from_tags(tmp_path):
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("pyproject.toml", "setup.cfg"):
        (clone / name).write_text(text(name))
    assert version_in(clone) == "0.0"  # nobody tells one
    git(clone, "init")
    git(clone, "add", ".")
    git(clone, "commit", "-m", "first")
    assert version_in(clone).startswith("0.1.dev1+g")  # no tags
    git(clone, "tag", "v0.1.0")
    assert version_in(clone) == "0.1.0"
    git(clone, "commit", "--allow-empty", "-m", "second")
    assert version_in(clone).startswith("0.1.1.dev1+g")


@pytest.mark.slow
def test_an_sdist_keeps_its_version(tmp_path):
    for name in ("pyproject.toml", "setup.cfg"):
        (tmp_path / name).write_text(text(name))
    (tmp_path / "PKG-INFO").write_text(
        "Metadata-Version: 2.1\nName: keras_caffe_zoo\nVersion: 0.3.1\n"
    )
    assert version_in(tmp_path) == "0.3.1"


WRONG = {
    "an_argument": 'kcz.from_caffe(prototxt=1, caffemodel="net.caffemodel")',
    "a_name": "kcz.cafenet(weights=None)",
    "an_answer": "number: int = kcz.list_models()[0]",
}


def names_program():
    """Return a program that has every public name."""
    rooms = {room.__name__: room.__all__ for room in ROOMS}
    imports = "".join(f"import {room}\n" for room in rooms)
    listed = "".join(
        f"    {x}.{name},\n" for x, names in rooms.items() for name in names
    )
    return f"{imports}\nnames: list[object] = [\n{listed}]\n"


@pytest.mark.slow
def test_types_are_those_that_mypy_reads(tmp_path):
    """In a user's program, and of every public name; it finds what is wrong, too."""
    (tmp_path / "names.py").write_text(names_program())
    for name, line in WRONG.items():
        program = f"import keras_caffe_zoo as kcz\n\n{line}\n"
        (tmp_path / f"{name}.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"]
    command += ["--no-error-summary", "--cache-dir", tmp_path / "cache"]
    files = [PROGRAM, tmp_path / "names.py", *(tmp_path / f"{x}.py" for x in WRONG)]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *files],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    said = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(said) == len(WRONG), done.stdout + done.stderr
    for name in WRONG:
        assert any(line.startswith(f"{name}.py:3: ") for line in said), done.stdout


CFF_KEYS = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released"),
    *("doi", "identifiers", "keywords", "license", "license-url", "message"),
    *("preferred-citation", "references", "repository", "repository-artifact"),
    *("repository-code", "title", "type", "url", "version"),
}
REFERENCE_KEYS = {"authors", "title", "type"}  # those it must have


def test_the_citation_is_one_of_the_format_1_2(setup):
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert {"message", "title", "authors"} <= set(citation) <= CFF_KEYS
    for one in (citation, *citation["references"]):
        assert one["authors"]
        for author in one["authors"]:
            assert set(author) in ({"name"}, {"family-names", "given-names"})
    assert all(set(one) >= REFERENCE_KEYS for one in citation["references"])


def test_the_citation_says_what_the_package_does(setup):
    citation, metadata = yaml.safe_load(text("CITATION.cff")), setup["metadata"]
    assert citation["title"] == metadata["name"]
    assert citation["abstract"] == metadata["description"]
    assert citation["license"] == metadata["license_expression"]
    assert citation["authors"] == [{"name": metadata["author"]}]
    address = setup["publishing"]["repository"]
    assert citation.get("repository-code", "") == address
