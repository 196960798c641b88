"""Every block of code in the README and the site is run, or says why it is not.

`{code-cell}`s are run when the site is built. All other blocks of a page are run here
in their order, in one folder. A block that needs what nobody has here, such as
published weights, has a line `<!-- not run: REASON -->` above it: then its commands
must parse, and what it calls of this package must exist and take such arguments.
"""

import ast
import importlib
import inspect
import re
import shlex
from configparser import ConfigParser
from pathlib import Path
from typing import NamedTuple

import pytest

import keras_caffe_zoo as kcz
from keras_caffe_zoo import cli
from keras_caffe_zoo.caffe import parse_prototxt

ROOT = Path(__file__).parents[1]
MADE = ("zoo", "reference", "_build", "caffe_layers.md")  # by the site's build
FENCE = re.compile(r"^( *)(`{3,})(.*?)\n(.*?)^\1\2`*$", re.M | re.S)
MARK = re.compile(r"<!-- not run: (.+?) -->\s*\Z", re.S)
PROGRAMS = ("sh", "python")
# What is read, and not run: output, files, and other languages, which must say so.
READ = ("text", "prototxt", "cpp")
OTHERS = ("pycaffe", "C++", "needs OpenCV 5")  # reasons of what is not this package's


class Block(NamedTuple):
    """A fenced block: where it is, what it is, and why it is not run, if so."""

    page: str
    line: int
    language: str
    reason: str
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def pages():
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [p for p in found if p.relative_to(ROOT).parts[:2][-1] not in MADE]


def blocks(path):
    text, page = path.read_text("utf-8"), str(path.relative_to(ROOT))
    for match in FENCE.finditer(text):
        before = text[: match.start()]
        mark = MARK.search(before)
        line = before.count("\n") + 1
        language = match[3].split()[0] if match[3].strip() else ""
        yield Block(page, line, language, mark[1] if mark else "", match[4])


ALL = [block for path in pages() for block in blocks(path)]
NOT_RUN = [b for b in ALL if b.reason and b.language in PROGRAMS]
TO_RUN = {}
for one in ALL:
    if not one.reason and one.language in PROGRAMS:
        TO_RUN.setdefault(one.page, []).append(one)


def is_directive(block):
    return block.language.startswith("{")


def test_each_block_has_a_language_that_is_run_or_read():
    wrong = [
        f"{block}: {block.language!r}"
        for block in ALL
        if not is_directive(block) and block.language not in (*PROGRAMS, *READ)
    ]
    assert not wrong, wrong


def test_programs_of_other_languages_say_that_they_are_not_run():
    assert not [str(b) for b in ALL if b.language == "cpp" and not b.reason]


def test_each_page_with_cells_is_a_notebook():
    with_cells = {b.page for b in ALL if b.language == "{code-cell}"}
    assert with_cells
    for page in with_cells:
        assert "file_format: mystnb" in (ROOT / page).read_text("utf-8")[:200], page


def test_prototxts_are_read():
    for block in ALL:
        if block.language == "prototxt":
            parse_prototxt(block.text)


def commands(block):
    """Return the commands of a block in a shell, as lists of words."""
    lines = block.text.replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines]
    parts = []
    for words in filter(None, found):
        while "&&" in words:
            cut = words.index("&&")
            parts.append(words[:cut])
            words = words[cut + 1 :]
        parts.append(words)
    return parts


def check_install(words, block):
    """What pip installs is this package with extras that it has, or another project."""
    assert words[:2] == ["pip", "install"], f"{block}: {words}"
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    for word in words[2:]:
        extras = re.fullmatch(r"(?:\.|keras_caffe_zoo)\[(.*)\]", word)
        for extra in extras[1].split(",") if extras else ():
            assert extra in setup["options.extras_require"], f"{block}: {extra}"


def check_command(words, block):
    """A command that is not run parses."""
    if words[0] != "keras-caffe-zoo":
        return check_install(words, block)
    try:
        return cli._parser().parse_args(words[1:])
    except SystemExit:
        pytest.fail(f"{block}: it does not parse: {shlex.join(words)}")


def meant(node, names):
    """Return what a dotted name of this package means; `None` for all others."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return None
    thing = names[node.id]
    for part in parts:
        thing = getattr(thing, part)
    return thing


def check_calls(block):
    """What a program calls of this package exists and takes such arguments."""
    tree = ast.parse(block.text, str(block))
    names = {"kcz": kcz, "keras_caffe_zoo": kcz}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith(kcz.__name__):
            module = importlib.import_module(node.module)
            for alias in node.names:
                names[alias.asname or alias.name] = getattr(module, alias.name)
    checked = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        try:
            thing = meant(node.func, names)
        except AttributeError as error:
            pytest.fail(f"{block}: {error}")
        told = not any(isinstance(x, ast.Starred) for x in node.args)
        if thing is None or not told or any(k.arg is None for k in node.keywords):
            continue
        keywords = {k.arg: k.value for k in node.keywords}
        try:
            inspect.signature(thing).bind(*node.args, **keywords)
        except TypeError as error:
            pytest.fail(f"{block}: {ast.unparse(node)}: {error}")
        checked += 1
    return checked


@pytest.mark.parametrize("block", NOT_RUN, ids=str)
def test_what_is_not_run_could_be(block):
    if block.language == "sh":
        for words in commands(block):
            check_command(words, block)
    elif block.reason.startswith(OTHERS):
        compile(block.text, str(block), "exec")
    else:
        check_calls(block)


@pytest.mark.parametrize(
    "text",
    [
        "kcz.clasify('caffenet', 'photo.jpg')",
        "kcz.classify('caffenet')",
        "kcz.classify('caffenet', 'photo.jpg', no_such=1)",
        "from keras_caffe_zoo.training import from_solver\nfrom_solver()",
    ],
)
def test_wrong_calls_are_found(text):
    with pytest.raises(pytest.fail.Exception):
        check_calls(Block("page.md", 1, "python", "needs weights", text))


@pytest.mark.parametrize(
    "line",
    [
        "keras-caffe-zoo clasify photo.jpg",
        "keras-caffe-zoo detect photo.jpg --modle ssd300",
    ],
)
def test_wrong_commands_are_found(line, capsys):
    block = Block("page.md", 1, "sh", "needs weights", line)
    with pytest.raises(pytest.fail.Exception):
        check_command(commands(block)[0], block)


def test_an_extra_that_there_is_not_is_found():
    block = Block("page.md", 1, "sh", "", 'pip install ".[onnx,none]"')
    with pytest.raises(AssertionError, match="none"):
        check_install(commands(block)[0], block)


@pytest.mark.slow
@pytest.mark.parametrize("page", TO_RUN)
def test_the_blocks_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch):
    (tmp_path / "keras_caffe_zoo").symlink_to(ROOT / "keras_caffe_zoo")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in TO_RUN[page]:
        if block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
            continue
        for words in commands(block):
            if words[0] == "keras-caffe-zoo":
                assert cli.main(words[1:]) == 0, block
            else:
                check_install(words, block)
