"""Files that appear whole or not at all; what is said where there is none."""

import contextlib
import difflib
import itertools
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

_NEIGHBOURS = 10_000  # entries of a folder that are looked at for close names
_SHOWN = 40  # letters of a name, of up to four bytes each
# Where virus scanners look at new files, and hold them meanwhile.
_PATIENCE = (0.05, 0.2, 1.0) if os.name == "nt" else ()


def last_part(path: str) -> str:
    """Return a path's last part, whichever system the path was written on."""
    return PureWindowsPath(PurePosixPath(path).name).name


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a binary file beside `path`, which takes its place in the end.

    Args:
        path: The file to make or to replace. If the block raises, it stays as it was
            and the file beside it is removed.
    """
    with replacing_path(path) as beside, open(beside, "xb") as file:
        yield file


@contextlib.contextmanager
def replacing_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield the path of a file that takes the place of another in the end.

    For what opens its files itself, such as HDF5; else like `replacing`.

    Raises:
        IsADirectoryError: If there is a folder of that name.
        FileNotFoundError: If there is no folder to write into.
    """
    path = Path(path)
    check_writable(path)
    beside = name_beside(path)
    try:
        yield beside
        settle(beside, path)
    finally:
        # Windows keeps what is open, which must not hide why the block raised.
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def name_beside(path: str | os.PathLike) -> Path:
    """Return a new name beside a file for what will take its place.

    It is hidden, has the file's suffix, and is short where the file's own is as long
    as disks take them.
    """
    path = Path(path)
    return path.with_name(
        f".{path.name[:_SHOWN]}.{uuid.uuid4().hex[:12]}.tmp{path.suffix}"
    )


def settle(path: str | os.PathLike, target: str | os.PathLike) -> None:
    """Put a finished file into its place, whole even if the power fails."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())
    for seconds in _PATIENCE:
        try:
            return os.replace(path, target)
        except PermissionError:
            time.sleep(seconds)
    os.replace(path, target)


def make_folder(path: str | os.PathLike, contents: str) -> None:
    """Make a folder where there is none.

    Args:
        path: The folder.
        contents: What goes there, for the error.

    Raises:
        NotADirectoryError: If it is a file.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(
            f"Expected a folder for {contents}; received: {path}, a file"
        )
    path.mkdir(parents=True, exist_ok=True)


def check_folder(path: str | os.PathLike) -> None:
    """Check that the folder of a file to be written is there.

    Raises:
        FileNotFoundError: If not.
    """
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(
            f"Expected an existing folder for {path}. Make one, or write elsewhere"
        )


def check_writable(path: str | os.PathLike) -> None:
    """Check that a path may become a file: its folder is there, and it is none itself.

    Raises:
        FileNotFoundError: If there is no such folder.
        IsADirectoryError: If the path is one.
    """
    check_folder(path)
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"Expected the name of a file to write; received: {path}, a folder. Add a "
            f"name, such as {Path(path) / 'NAME'}"
        )


def open_file(
    path: str | os.PathLike, expected: str, buffering: int = -1, near: bool = True
) -> BinaryIO:
    """Open a file to read its bytes.

    Args:
        path: The file.
        expected: What it is to be, for the error, such as `"a caffemodel"`.
        buffering: As of `open`.
        near: Whether to look for close names, which takes a fifth of a second in a
            large folder: too long for each of many files.

    Raises:
        FileNotFoundError: If there is none; names those whose names are close.
        IsADirectoryError: If it is a folder.
        OSError: If it cannot be read.
    """
    try:
        return open(path, "rb", buffering=buffering)
    except OSError:
        check_file(path, expected, near)
        raise


def check_file(path: str | os.PathLike, expected: str, near: bool = True) -> None:
    """Check that there is a file, of whatever kind; raise as `open_file` does."""
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"Expected {expected}; received: {os.fspath(path)}, a folder"
        )
    _check_there(path, expected, "file", near)


def check_is_folder(path: str | os.PathLike, expected: str) -> None:
    """Check that there is a folder.

    Args:
        path: The folder.
        expected: What it is to be, for the error.

    Raises:
        FileNotFoundError: If there is none; names those whose names are close.
        NotADirectoryError: If it is a file.
    """
    _check_there(path, expected, "folder")
    if not os.path.isdir(path):
        raise NotADirectoryError(
            f"Expected {expected}; received: {os.fspath(path)}, a file"
        )


def check_exists(path: str | os.PathLike, expected: str) -> None:
    """Check that there is a file or a folder; else as `check_file`."""
    _check_there(path, expected, "file or folder")


def _check_there(path, expected: str, kind: str, near: bool = True) -> None:
    if not os.fspath(path):
        raise FileNotFoundError(f"Expected {expected}; received: an empty name")
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"Expected {expected}; received: {os.fspath(path)}. No such {kind}"
            f"{_meant(Path(path)) if near else ''}"
        )


def _meant(path: Path) -> str:
    """Return what somebody may have meant by a path that leads nowhere."""
    there, missing = path.absolute().parent, path.absolute()
    while not there.is_dir() and there != there.parent:
        there, missing = there.parent, there
    try:
        with os.scandir(there) as entries:
            names = [entry.name for entry in itertools.islice(entries, _NEIGHBOURS)]
    except OSError:
        return ""
    stems: dict[str, list[str]] = {}  # what ends alike is not close for that
    for name in sorted(names):
        stems.setdefault(Path(name).stem, []).append(name)
    close = difflib.get_close_matches(missing.stem, stems, n=2)
    near = [name for stem in close for name in stems[stem]]
    near.sort(key=lambda name: Path(name).suffix != missing.suffix)
    hint = " or ".join(repr(name) for name in near[:2])
    if missing == path.absolute():
        return f". Did you mean {hint}?" if hint else ""
    said = f", and no folder {missing.name!r} in {there}"
    return f"{said}. Did you mean {hint}?" if hint else said
