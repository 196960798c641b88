"""What Windows refuses, refused here: so tests of it run anywhere that has `/proc`.

There a file that is open, or mapped into memory, is neither removed, renamed nor
replaced, and names have no `<>:"|?*`.
"""

import builtins
import errno
import functools
import io
import os
import re
from contextlib import suppress
from pathlib import Path

_RESERVED = re.compile(r'[<>:"|?*\\]|[. ]$')


def open_files() -> set[str]:
    """Return the files that this process has open or mapped."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    for line in Path("/proc/self/maps").read_text("utf-8").splitlines():
        found.add(line.partition("/")[1] + line.partition("/")[2])
    return {name for name in found if Path(name).is_file()}


def _whole(path, folder=None) -> str:
    path = os.fsdecode(path)
    if folder is not None:
        path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _refuse_open(path) -> None:
    held = open_files()
    if path in held or any(name.startswith(f"{path}{os.sep}") for name in held):
        raise PermissionError(errno.EACCES, "used by another process", path)


def _refuse_name(path) -> None:
    name = os.path.basename(os.fsdecode(path))
    if _RESERVED.search(name) and name not in (".", ".."):
        raise OSError(errno.EINVAL, "Invalid argument", path)


def like_windows(patch) -> None:
    """Have the functions of `os` refuse what Windows refuses.

    Args:
        patch: pytest's `monkeypatch`.
    """

    def removing(call):
        def remove(path, *, dir_fd=None):
            _refuse_open(_whole(path, dir_fd))
            return call(path, dir_fd=dir_fd)

        return remove

    def moving(call):
        def move(source, target, **options):
            for path in (source, target):
                _refuse_open(_whole(path))
                _refuse_name(path)
            return call(source, target, **options)

        return move

    def making(call):
        def make(path, *args, **options):
            if isinstance(path, str | bytes | os.PathLike):
                _refuse_name(path)
            return call(path, *args, **options)

        return make

    kinds = {removing: "unlink remove", moving: "replace rename", making: "mkdir open"}
    for kind, names in kinds.items():
        for name in names.split():
            patch.setattr(
                os, name, functools.wraps(call := getattr(os, name))(kind(call))
            )
    for module in (builtins, io):
        patch.setattr(module, "open", making(module.open))
