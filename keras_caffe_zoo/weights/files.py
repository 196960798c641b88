"""Files that appear whole or not at all."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield the path of a file beside `path`, which takes its place in the end.

    Args:
        path: The file to make or to replace. If the block raises, it stays as it was
            and the file beside it is removed.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp{path.suffix}")
    try:
        yield beside
        settle(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def settle(path: Path, target: Path) -> None:
    """Put a finished file into its place, whole even if the power fails."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())
    os.replace(path, target)
