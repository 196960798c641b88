"""Files that appear whole or not at all, and the names of other machines' files."""

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

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
    """
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
        raise FileNotFoundError(f"Expected an existing folder for {path}")
