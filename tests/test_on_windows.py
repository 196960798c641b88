"""Windows refuses what others let through: open files, some names, long paths."""

import ast
import contextlib
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest
from filelock import SoftFileLock
from windows import like_windows

from keras_caffe_zoo import files
from keras_caffe_zoo.extraction import folder
from keras_caffe_zoo.files import name_beside, replacing, replacing_path, settle
from keras_caffe_zoo.serving import offers, server
from keras_caffe_zoo.weights import transfer
from keras_caffe_zoo.weights.manifest import WeightFile, load_manifest

ROOT = Path(__file__).parents[1]
OURS = [*(ROOT / "keras_caffe_zoo").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
OURS += [ROOT / "_keras_caffe_zoo_command.py", ROOT / "setup.py"]
NAMES = "print(', '.join(['…', '日本', chr(0xDCFF)]))"
SAYING = [
    ["list"],
    *(
        pytest.param(x, marks=pytest.mark.slow)
        for x in ([["card", "vgg16"], ["--help"]])
    ),
]
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="tells open files by /proc"
)


@pytest.fixture
def windows(monkeypatch):
    like_windows(monkeypatch)


@needs_proc
@pytest.mark.parametrize("call", [os.unlink, os.replace, os.rename])
def test_what_is_open_stays(call, tmp_path, monkeypatch):
    """The stand-in refuses what it is there to refuse."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    words = [one] if call is os.unlink else [other, one]
    like_windows(monkeypatch)
    call = getattr(os, call.__name__)
    with open(one, "rb"), pytest.raises(PermissionError):
        call(*words)
    call(*words)
    with pytest.raises(OSError, match="Invalid"):
        (tmp_path / "keras>name").write_bytes(b"")


@needs_proc
def test_an_extraction_leaves_no_folder_with_a_lock(tmp_path, windows, monkeypatch):
    """The lock is open as long as it is held; when it goes, so does the folder."""
    monkeypatch.setattr(folder, "FileLock", SoftFileLock)  # removed like Windows' one
    with folder.opened(tmp_path / "f.h5") as kept:
        assert kept.path.is_dir()
    assert not list(tmp_path.iterdir())


@needs_proc
@pytest.mark.parametrize("wrong", ["size", "sha256"])
def test_a_bad_archive_is_closed_before_it_is_removed(wrong, tmp_path, windows):
    archive, data = tmp_path / "a.tar.gz", b"weights"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("net")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    known = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    known[wrong] = len(data) - 2 if wrong == "size" else "0" * 64
    file = WeightFile("net", (), archive="a.tar.gz", member="net", **known)
    with pytest.raises(transfer.SourceError) as error:
        transfer.unpack_member(archive, file, tmp_path / "part")
    archive.unlink()  # the error, which has the frames that read it, is still here
    assert error.value and not archive.exists()


@needs_proc
def test_what_went_wrong_is_told_though_the_file_is_open(tmp_path, windows):
    with (
        pytest.raises(ValueError, match="half"),
        replacing_path(tmp_path / "a") as path,
    ):
        held = open(path, "wb")  # noqa: SIM115  left open, as by what raises
        raise ValueError("half")
    held.close()


def test_a_scanner_that_looks_at_a_new_file_is_waited_for(tmp_path, monkeypatch):
    replace, tries = os.replace, []

    def held_twice(*paths):
        tries.append(paths)
        if len(tries) < 3:
            raise PermissionError(13, "used by another process")
        replace(*paths)

    monkeypatch.setattr(os, "replace", held_twice)
    monkeypatch.setattr(files, "_PATIENCE", (0, 0))
    (tmp_path / "part").write_bytes(b"new")
    settle(tmp_path / "part", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new" and len(tries) == 3
    tries.clear()
    monkeypatch.setattr(files, "_PATIENCE", (0,))
    with pytest.raises(PermissionError), replacing(tmp_path / "a") as file:
        file.write(b"newer")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("name", ["n" * 250 + ".h5", "日" * 80 + ".png", "a.h5", "a"])
def test_names_as_long_as_disks_take_them_are_written(name, tmp_path):
    with replacing(tmp_path / name) as file:
        file.write(b"all")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    beside = name_beside(tmp_path / name)
    assert beside.name.endswith(Path(name).suffix) and len(beside.name) < 80
    assert beside != name_beside(tmp_path / name)


def text_calls(program):
    """Yield the calls that read or write text in whatever alphabet a machine has."""
    if not re.search(r"\b(open|read_text|write_text)\(", program):
        return
    for node in ast.walk(ast.parse(program)):
        if not isinstance(node, ast.Call):
            continue
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        words = [x.value for x in node.args if isinstance(x, ast.Constant)]
        told = any(word.arg == "encoding" for word in node.keywords)
        places = {"read_text": 0, "write_text": 1}  # where it stands without a name
        if called in places and len(node.args) <= places[called] and not told:
            yield node
        elif isinstance(node.func, ast.Name) and called == "open":
            mode = words[-1] if len(node.args) > 1 and words else "r"
            if not (told or "b" in str(mode)):
                yield node


def test_texts_are_in_utf_8_on_every_machine():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in OURS
        for node in text_calls(path.read_text("utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("open('a')", 1),
        ("open('a', 'w')", 1),
        ("open('a', 'rb') and path.read_text('utf-8')", 0),
        ("path.read_text() or path.write_text('a')", 2),
        ("path.write_text('a', encoding='utf-8') or open(a, encoding='ascii')", 0),
    ],
)
def test_texts_of_any_alphabet_are_found(line, count):
    assert len(list(text_calls(line))) == count


@pytest.mark.parametrize("alphabet", ["cp1252", "cp437", "ascii"])
def test_what_a_terminal_has_no_letters_for_is_spelt_out(alphabet, monkeypatch):
    import _keras_caffe_zoo_command as command
    from keras_caffe_zoo import cli

    out = io.TextIOWrapper(io.BytesIO(), encoding=alphabet)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(cli, "main", lambda: exec(NAMES) or 0)
    assert command.main() == 0
    out.flush()
    shown = out.buffer.getvalue().decode(alphabet)
    spelt = "…" if alphabet == "cp1252" else r"\u2026"
    assert shown.split() == [f"{spelt},", r"\u65e5\u672c,", r"\udcff"]


@pytest.mark.parametrize("command", SAYING)
def test_commands_speak_to_any_terminal(command):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "keras_caffe_zoo", *command],
        env=environment,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and len(done.stdout) > 500


def test_published_files_have_names_that_every_disk_takes():
    entries = load_manifest().values()
    published = [entry.file for entry in entries]
    published += {x.mean.file for x in entries if x.mean and x.mean.file}
    for file in published:
        for name in filter(None, (file.name, file.archive)):
            assert not set('<>:"|?*\\/') & set(name) and name[-1] not in ". "
    for names in ({file.name for file in published}, set(load_manifest())):
        assert len({name.casefold() for name in names}) == len(names)


@pytest.mark.parametrize("drive", ["", "C:"])
def test_files_of_ones_own_may_be_on_a_drive(drive, tmp_path, monkeypatch):
    """The colon of `deploy.prototxt:net.caffemodel` is not that of `C:`."""
    monkeypatch.chdir(tmp_path)
    names = f"{drive}deploy.prototxt", f"{drive}net.caffemodel"
    for name in names:
        Path(name).write_bytes(b"")
    assert offers._files(":".join(names), {}).name == Path(names[0]).stem


def test_serve_waits_in_a_way_that_ctrl_c_ends_on_windows(monkeypatch, capsys):
    """A lock that is waited for without end is deaf there; a sleep is not."""

    def pressed(seconds):
        raise KeyboardInterrupt

    page = contextlib.nullcontext("http://127.0.0.1:7860")
    monkeypatch.setattr(server, "served", lambda *_, **__: page)
    monkeypatch.setattr(threading.Event, "wait", lambda *_: pytest.fail("deaf"))
    monkeypatch.setattr(time, "sleep", pressed)
    server.serve()
    assert "The page is closed." in capsys.readouterr().out
