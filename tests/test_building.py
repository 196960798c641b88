"""What is published: an sdist without the tests, a wheel, and what PyPI shows."""

import email
import importlib.util
import re
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path, PureWindowsPath

import pytest

ROOT = Path(__file__).parents[1]
MANIFEST = "keras_caffe_zoo/weights_manifest.json"
ADDRESS = "https://example.org/us/keras_caffe_zoo"
BUILD = "from setuptools import build_meta as b; b.build_{}({!r})"
COUNT = "import keras_caffe_zoo as k; print(len(k.list_models()), k.__file__)"


def git(*words, folder=ROOT):
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def setup_py():
    spec = importlib.util.spec_from_file_location("setup_py", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def readme():
    return (ROOT / "README.md").read_text("utf-8")


def targets(text):
    """Return where Markdown leads within a repository, blocks of code left out."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    found = re.findall(r"\]\(([^)#][^)]*)\)", text)
    return [x for x in found if x.startswith(ADDRESS) or "://" not in x]


def test_pypi_shows_no_link_that_leads_nowhere(setup_py, readme):
    """With an address all links are of it, without one there are none."""
    there = targets(readme)
    assert any(x.endswith(".png") for x in there) and len(there) > 5
    away = setup_py.long_description(readme, ADDRESS)
    assert targets(away) == [
        f"{ADDRESS}/{'raw' if x.endswith('.png') else 'blob'}/HEAD/{x}" for x in there
    ]
    assert not targets(setup_py.long_description(readme, ""))
    assert "<img" not in readme and "]: " not in readme  # which would be passed over


def test_pypi_shows_all_else_of_the_readme(setup_py, readme):
    def fences(text):
        return re.findall(r"^```.*?^```", text, re.M | re.S)

    for address in ("", ADDRESS):
        away = setup_py.long_description(readme, address)
        assert fences(away) == fences(readme)
        plain = re.sub(r"!\[[^\]]*\]\([^)]*\)|\]\([^)]*\)|\[", "", readme)
        assert re.sub(r"!\[[^\]]*\]\([^)]*\)|\]\([^)]*\)|\[", "", away).split() == (
            plain.split()
        )


@pytest.mark.parametrize(
    ("markdown", "away", "alone"),
    [
        ("[a](b.md)", f"[a]({ADDRESS}/blob/HEAD/b.md)", "a"),
        ("[a](./b.md#c)", f"[a]({ADDRESS}/blob/HEAD/b.md#c)", "a"),
        ("[`a[0]`](b.md)", f"[`a[0]`]({ADDRESS}/blob/HEAD/b.md)", "`a[0]`"),
        ('![a](b.png "c")', f'![a]({ADDRESS}/raw/HEAD/b.png "c")', ""),
        (
            "[![a](b.png)](c.md) d",
            f"[![a]({ADDRESS}/raw/HEAD/b.png)]({ADDRESS}/blob/HEAD/c.md) d",
            " d",
        ),
        *((x, x, x) for x in ("[a](https://b.org/c.md)", "[a](#b)", "`[a](b.md)`")),
        *((x, x, x) for x in ("```sh\n[a](b)\n```", "[a](mailto:a@b.org)")),
    ],
)
def test_links_and_pictures_of_markdown(markdown, away, alone, setup_py):
    assert setup_py.long_description(markdown, f"{ADDRESS}/") == away
    assert setup_py.long_description(markdown, "") == alone


def test_the_side_of_pypis_page_leads_to_files_that_there_are(setup_py):
    assert setup_py.links("") == {}
    found = setup_py.links(ADDRESS)
    assert found.pop("Source") == ADDRESS
    for target in found.values():
        assert (ROOT / target.removeprefix(f"{ADDRESS}/blob/HEAD/")).is_file(), target


def test_the_address_is_none_or_one(setup_py):
    assert re.fullmatch(r"(https://[^/\s]+/\S+)?", setup_py.public_address())


def test_the_classifiers_name_the_pythons_that_there_are_dependencies_for():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    named = config["metadata"]["classifiers"].split("\n")
    found = [x.rpartition(" :: 3.")[2] for x in named if " :: 3." in x]
    assert found == ["11", "12", "13"]
    assert config["options"]["python_requires"] == f">=3.{found[0]}"


def test_every_system_can_check_the_repository_out():
    """Windows has reserved names, and takes `a` and `A` for one file."""
    names = git("ls-files", "-z").split("\0")[:-1]
    assert len(names) > 500 and MANIFEST in names
    parts = {part for name in names for part in name.split("/")}
    assert not [x for x in parts if re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', x)]
    assert not [x for x in parts if PureWindowsPath(x).is_reserved()]
    assert len({name.casefold() for name in names}) == len(names)
    assert max(map(len, names)) < 120  # of 260, with the folder that it is in
    links = [
        x.split("\t")[1] for x in git("ls-files", "-s").splitlines() if x[:3] == "120"
    ]
    assert links == ["weights_manifest.json"]  # which nothing reads


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone as on Windows: a link is a text with a path, lines would end in CRLF."""
    folder = tmp_path_factory.mktemp("clone") / "keras_caffe_zoo"
    options = ["-c", "core.symlinks=false", "-c", "core.autocrlf=true"]
    git("clone", "--quiet", *options, str(ROOT), str(folder))
    assert (folder / "weights_manifest.json").read_text() == MANIFEST
    return folder


def build(kind, folder, out):
    command = [sys.executable, "-c", BUILD.format(kind, str(out))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(clone, tmp_path_factory):
    return build("sdist", clone, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """The wheel, made as `python -m build` makes it: of the sdist."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as file:
        assert all(x.isfile() or x.isdir() for x in file)
        file.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    made = build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))
    with zipfile.ZipFile(made) as file:
        yield file


@pytest.mark.slow
def test_a_clone_without_symbolic_links_works_in_its_place(clone):
    command = [sys.executable, "-c", COUNT]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, file = done.stdout.split()
    assert int(count) > 70 and Path(file).is_relative_to(clone)
    assert not [
        x for x in git("ls-files", "--eol", folder=clone).splitlines() if "w/crlf" in x
    ]


@pytest.mark.slow
def test_an_sdist_has_no_tests(sdist):
    """Goldens alone are ten times the rest: who wants them has a clone."""
    with tarfile.open(sdist) as file:
        names = [name.partition("/")[2] for name in file.getnames()]
    rooms = {name.split("/")[0] for name in names if "/" in name}
    assert rooms == {"keras_caffe_zoo", "keras_caffe_zoo.egg-info"}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "setup.py", MANIFEST} <= {*names}
    assert sdist.stat().st_size < 3e6


@pytest.mark.slow
def test_a_wheel_has_every_file_of_the_package_as_it_is(wheel, clone):
    packaged = git("ls-files", "-z", "keras_caffe_zoo", folder=clone).split("\0")[:-1]
    names = {x for x in wheel.namelist() if ".dist-info/" not in x}
    assert names == {*packaged, "_keras_caffe_zoo_command.py"}
    for name in names:
        assert wheel.read(name) == (clone / name).read_bytes(), name


@pytest.mark.slow
def test_a_wheel_says_what_it_is(wheel, setup_py, clone):
    (name,) = [x for x in wheel.namelist() if x.endswith(".dist-info/METADATA")]
    said = email.message_from_bytes(wheel.read(name))
    assert said["Author"] and said["License-Expression"] == "Apache-2.0"
    assert "Programming Language :: Python :: 3.13" in said.get_all("Classifier")
    assert "caffe" in said["Keywords"].split(",")
    assert (
        "keras-caffe-zoo = "
        in wheel.read(name.replace("METADATA", "entry_points.txt")).decode()
    )
    text = (clone / "README.md").read_text("utf-8")
    wanted = setup_py.long_description(text, setup_py.public_address())
    assert said.get_payload(decode=True).decode().strip() == wanted.strip()
    leads = {*setup_py.links(setup_py.public_address())}
    assert {x.split(", ")[0] for x in said.get_all("Project-URL", [])} == leads
