"""Every block of code in the README and the site is run, or says why it is not.

`{code-cell}`s are run when the site is built. All other blocks of a page are run here
in their order, in a folder that has what they name (`page_files.py`), with a cache in
which the nets of the zoo have random weights (`published.py`). A block in another
language, or for another program, has a line `<!-- not run: REASON -->` above it.

That takes minutes; in seconds, of each block the commands must parse, and what it calls
of this package must exist and take such arguments.
"""

import ast
import gc
import importlib
import inspect
import os
import re
import shlex
import subprocess
import sys
import tempfile
import webbrowser
from configparser import ConfigParser
from pathlib import Path
from typing import NamedTuple

import keras
import pytest
from page_files import FILES, NAMES
from published import take, write_photo

import keras_caffe_zoo as kcz
from keras_caffe_zoo import cli
from keras_caffe_zoo.caffe import parse_prototxt
from keras_caffe_zoo.weights import home

ROOT = Path(__file__).parents[1]
MADE = ("zoo", "reference", "_build", "caffe_layers.md")  # by the site's build
FENCE = re.compile(r"^( *)(`{3,})(.*?)\n(.*?)^\1\2`*$", re.M | re.S)
MARK = re.compile(r"<!-- not run: ((?:(?!-->).)+?) -->\s*\Z", re.S)
OPTIONS = re.compile(r"\A(?:---\n.*?\n---\n|(?::[^\n]*\n)+)", re.S)  # of a cell
SPAN = re.compile(r"`((?:pip install|keras-caffe-zoo|pytest|sphinx-build) [^`]+)`")
COMMAND = re.compile(r"\n\n {4}(?:pip|python|pytest|keras-caffe-zoo|bash|git) .*")
PROGRAMS = ("sh", "python")
# What is read, and not run: output, files, and other languages, which must say so.
READ = ("text", "prototxt", "cpp")
OTHERS = ("pycaffe", "C++", "needs OpenCV 5")  # reasons of what is not this package's
TOOLS = ("pytest", "python", "ruff", "sphinx-build", ".")  # which are not run here
# Whose blocks go on with what the cells made; those that draw are the site's alone.
WITH_CELLS = ("docs/caffe_to_keras.md", "docs/guides/solver.md")
STAYS = ("serve",)  # commands that end when the reader ends them


class Block(NamedTuple):
    """A fenced block: where it is, what it is, and why it is not run, if so.

    `shown` is what stands right below it as its output.
    """

    page: str
    line: int
    language: str
    reason: str
    text: str
    shown: str = ""

    def __str__(self):
        return f"{self.page}:{self.line}"

    @property
    def is_cell(self):
        return self.language == "{code-cell}"

    @property
    def program(self):
        return OPTIONS.sub("", self.text)


def pages():
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    found += sorted((ROOT / "docs").rglob("*.md"))
    return [p for p in found if p.relative_to(ROOT).parts[:2][-1] not in MADE]


def blocks(text, page):
    found, end = [], 0
    for match in FENCE.finditer(text):
        before = text[: match.start()]
        mark = MARK.search(before)
        line = before.count("\n") + 1
        language = match[3].split()[0] if match[3].strip() else ""
        if language == "text" and found and not text[end : match.start()].strip():
            found[-1] = found[-1]._replace(shown=match[4])
        found.append(Block(page, line, language, mark[1] if mark else "", match[4]))
        end = match.end()
    return found


TEXTS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in pages()}
ALL = [block for page, text in TEXTS.items() for block in blocks(text, page)]
NOT_RUN = [b for b in ALL if b.reason and b.language in PROGRAMS]
OURS = [b for b in ALL if b.is_cell or b.language in PROGRAMS and not b.reason]
TO_RUN = {}
for one in OURS:
    draws = "mystnb:" in one.text
    if not one.is_cell or one.page in WITH_CELLS and not draws:
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
    with_cells = {b.page for b in ALL if b.is_cell}
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
    """A command that is not run parses, or is a tool's on files that there are."""
    if words[0] == "keras-caffe-zoo":
        try:
            return cli._parser().parse_args(words[1:])
        except SystemExit as end:
            if end.code:
                pytest.fail(f"{block}: it does not parse: {shlex.join(words)}")
    elif words[0] not in TOOLS:
        check_install(words, block)
    for word in words[1:]:
        if word.startswith(("docs", "tools/", "tests/", "examples/")):
            path = ROOT / word.partition("_build")[0]
            assert path.exists(), f"{block}: {path}"


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


def imported(module, name):
    """Return what `from module import name` gives: a name in it, or a module."""
    if not hasattr(module, name):
        importlib.import_module(f"{module.__name__}.{name}")
    return getattr(module, name)


def check_calls(block):
    """What a program calls of this package exists and takes such arguments."""
    tree = ast.parse(block.program, str(block))
    names = {"kcz": kcz, "keras_caffe_zoo": kcz}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith(kcz.__name__):
            module = importlib.import_module(node.module)
            for alias in node.names:
                names[alias.asname or alias.name] = imported(module, alias.name)
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


def check(block):
    """A block would run, as far as can be told without it; return what was told of."""
    if block.language != "sh":
        return check_calls(block)
    for words in commands(block):
        check_command(words, block)
    return len(commands(block))


@pytest.mark.parametrize("page", sorted({block.page for block in OURS}))
def test_commands_parse_and_calls_fit(page):
    for block in [block for block in OURS if block.page == page]:
        check(block)


def test_what_cards_say_parses_and_fits():
    for name in kcz.list_models():
        found = blocks(kcz.model_card(name), f"the card of {name}")
        assert found and sum(map(check, found)) >= len(found), name


def test_no_fence_is_missed():
    """Each line of backticks or tildes begins or ends a block that is known."""
    for page, text in TEXTS.items():
        lines = re.findall(r"^[ >]*(?:```|~~~)", text, re.M)
        assert len(lines) == 2 * sum(block.page == page for block in ALL), page


def test_all_of_the_readme_is_run_but_what_installs_and_tests():
    found = [block for block in ALL if block.page == "README.md"]
    assert found and found == TO_RUN["README.md"]
    words = [words for b in found if b.language == "sh" for words in commands(b)]
    others = [w[:3] for w in words if w[0] != "keras-caffe-zoo"]
    installs = [["pip", "install", "."], ["pip", "install", ".[test]"]]
    assert sorted(others) == sorted([*installs, ["pytest"]])


def test_files_are_made_for_pages_that_are_run():
    assert {*FILES, *NAMES, *WITH_CELLS} <= set(TO_RUN)


def test_blocks_that_are_not_run_are_of_other_programs():
    for block in NOT_RUN:
        assert block.reason.startswith(OTHERS), f"{block}: {block.reason}"
        compile(block.text, str(block), "exec")


def help_of(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0, command
    return capsys.readouterr().out


def test_commands_and_options_that_the_text_names_are_there(capsys):
    checked = 0
    for page, text in TEXTS.items():
        for span in SPAN.findall(FENCE.sub("", text)):
            words = shlex.split(span)
            if words[0] != "keras-caffe-zoo":
                check_command(words, page)
            elif not words[1].startswith("-"):
                said = re.findall(r"[\w-]+", help_of(words[1], capsys))
                options = {word for word in words if word.startswith("-")}
                assert options <= set(said), f"{page}: {span}"
            checked += 1
    assert checked > 20


def test_commands_stand_in_fences():
    assert not [
        (page, x) for page, text in TEXTS.items() for x in COMMAND.findall(text)
    ]


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


def test_a_reason_is_that_of_the_block():
    text = "<!-- not run: A -->\n```sh\na\n```\n\n<!-- not run: B -->\n```sh\nb\n```\n"
    assert [block.reason for block in blocks(text, "page.md")] == ["A", "B"]


def test_what_stands_below_a_block_is_its_output():
    text = "```sh\na\n```\n\n```text\nb\n```\n\nProse.\n\n```text\nc\n```\n"
    assert [block.shown for block in blocks(text, "page.md")] == ["b\n", "", ""]


def nets_of(block):
    """Return the nets of the zoo that a block names."""
    words = set(re.findall(r'(?:["\s]|kcz\.)(\w+)(?=["\s(])', block.text))
    if "mtcnn" in words:
        words |= {"mtcnn_p", "mtcnn_r", "mtcnn_o"}
    return sorted(words & set(kcz.list_models()))


def run_block(block, names):
    if block.language != "sh":
        exec(compile(block.program, str(block), "exec"), names)
        return
    for words in commands(block):
        found = check_command(words, block)
        if found and words[1] not in STAYS:
            assert cli.main(words[1:]) == 0, f"{block}: {shlex.join(words)}"
            output = getattr(found, "output", None)
            assert not output or Path(output).exists(), f"{block}: {output}"


def check_said(block, said):
    """Nothing went wrong, and what the page shows was said; `…` is anything."""
    assert not re.search("Traceback|[Ww]arning|Error", said), f"{block}: {said}"
    shown = ".*".join(map(re.escape, block.shown.strip().split("…")))
    assert re.search(shown, said, re.S), f"{block}: {said}"


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("", "Traceback (most recent call last):"),
        ("", "UserWarning: it is slow"),
        ("3 of … right", "3 of 4 wrong"),
    ],
)
def test_wrong_words_are_found(shown, said):
    with pytest.raises(AssertionError, match="page.md:1"):
        check_said(Block("page.md", 1, "sh", "", "keras-caffe-zoo demo", shown), said)


def test_what_is_left_out_may_be_anything():
    block = Block("page.md", 1, "sh", "", "keras-caffe-zoo demo", "3 of …\nright.")
    check_said(block, "First\n3 of 4 (75%)\nright.\nLast")


def test_commands_that_fail_are_found(capsys):
    block = Block("page.md", 1, "sh", "", "keras-caffe-zoo inspect none.prototxt")
    with pytest.raises(AssertionError, match="inspect none.prototxt"):
        run_block(block, {})


def test_the_nets_of_a_block_are_those_that_it_names():
    text = 'kcz.caffenet()\nkcz.find_faces("mtcnn", "fcn32s/vgg16-fcn.caffemodel")'
    wanted = ["caffenet", "mtcnn_o", "mtcnn_p", "mtcnn_r"]
    assert nets_of(Block("page.md", 1, "python", "", text)) == wanted


def test_the_window_file_of_the_page_is_one(tmp_path):
    (text,) = [b.text for b in ALL if b.text.startswith("# 0\n")]
    (tmp_path / "windows.txt").write_text(text)
    write_photo(tmp_path / "VOC2007/JPEGImages/000005.jpg", size=(500, 375))
    data = kcz.training.window_dataset(
        tmp_path / "windows.txt", batch_size=4, crop_size=32
    )
    for images, labels in data.take(1):
        assert images.shape == (4, 32, 32, 3)
        assert labels.numpy().tolist() == [0, 0, 0, 9]


@pytest.fixture(scope="module")
def shelf():
    """Where nets are kept that blocks have named; not for long, for they are large."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def no_download(file, *_, **__):
    pytest.fail(f"a block uses {file.name}, but names no net of that file")


@pytest.fixture
def away(monkeypatch):
    """A folder to be in, with a cache of its own, and a browser that shows nothing."""
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("KERAS_CAFFE_ZOO_HOME", str(Path(folder) / "cache"))
        patch.setattr(webbrowser, "open", lambda *_: True)
        patch.setattr(home, "fetch", no_download)
        (Path(folder) / "keras_caffe_zoo").symlink_to(ROOT / "keras_caffe_zoo")
        yield Path(folder)
    keras.utils.clear_session()


@pytest.mark.slow
@pytest.mark.parametrize("page", TO_RUN)
def test_the_blocks_of_a_page_run_one_after_the_other(page, away, shelf, capsys):
    for write in FILES.get(page, ()):
        write(away)
    take(sorted({name for block in TO_RUN[page] for name in nets_of(block)}), shelf)
    capsys.readouterr()
    names = dict(NAMES.get(page, {}))
    for block in TO_RUN[page]:
        run_block(block, names)
        said = capsys.readouterr()
        check_said(block, said.out + said.err)
        gc.collect()  # models may be large


def typed_in_the_readme():
    """Return the commands that the README has, in blocks and in the text."""
    found = [x for b in TO_RUN["README.md"] if b.language == "sh" for x in commands(b)]
    found += map(shlex.split, SPAN.findall(FENCE.sub("", TEXTS["README.md"])))
    ours = [words[1:] for words in found if words[0] == "keras-caffe-zoo"]
    return [[{"NAME": "caffenet"}.get(x, x) for x in words] for words in ours]


@pytest.mark.slow
def test_the_commands_of_the_readme_are_those_of_a_shell(away, shelf):
    """Each has a process of its own, ends well, and writes what it is to write."""
    for write in FILES["README.md"]:
        write(away)
    typed = typed_in_the_readme()
    assert len(typed) >= 9 and ["list"] in typed
    take(sorted({x for words in typed for x in words} & {*kcz.list_models()}), shelf)
    for words in typed:
        before = set(away.iterdir())
        command = [sys.executable, "-m", "keras_caffe_zoo", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        check_said(Block("README.md", 0, "sh", "", ""), done.stderr)
        assert not re.search(r"^[IWEF]\d{4} ", done.stderr, re.M), done.stderr
        assert done.returncode == 0, shlex.join(words)
        made = {path.name for path in set(away.iterdir()) - before}
        assert done.stdout or made, shlex.join(words)
        if "-o" in words:
            assert words[words.index("-o") + 1].rstrip("/") in made
        elif words[0] in ("demo", "view"):
            assert made, shlex.join(words)
