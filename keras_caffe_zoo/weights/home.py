"""Where the cache is, and how one process at a time works in it.

The cache directory is the package's own:

    NAME-SHA16.h5                  a net's weights, converted; sha256 of the source
    means/STEM-SHA16.binaryproto   a mean image; sha256 of its own bytes
    downloads/FILE                 a published file on its way in, or put there by hand
    .NAME.lock, .NAME.part/        hidden: locks, and what is being made

SHA16 is the first 16 hex digits, so a file's name tells what should be in it.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from keras_caffe_zoo.files import settle
from keras_caffe_zoo.messages import say
from keras_caffe_zoo.weights.download import fetch, storage_error
from keras_caffe_zoo.weights.manifest import WeightFile

HOME_ENV = "KERAS_CAFFE_ZOO_HOME"
SHA16 = "[0-9a-f]" * 16  # a glob


def cache_dir() -> Path:
    """Return `KERAS_CAFFE_ZOO_HOME`, else the folder `caffe_zoo` in Keras' own.

    Example:
        >>> import os
        >>> from unittest import mock
        >>> from keras_caffe_zoo.weights import cache_dir
        >>> with mock.patch.dict(os.environ, KERAS_CAFFE_ZOO_HOME="cache"):
        ...     cache_dir().name
        'cache'
    """
    if home := os.environ.get(HOME_ENV):
        return Path(home).expanduser()
    if keras_home := os.environ.get("KERAS_HOME"):
        return Path(keras_home).expanduser() / "caffe_zoo"
    user = Path.home()
    base = user if os.access(user, os.W_OK) else Path(tempfile.gettempdir())
    return base / ".keras" / "caffe_zoo"


def downloads_dir() -> Path:
    """Return the folder in which published files arrive."""
    return cache_dir() / "downloads"


@contextlib.contextmanager
def workspace(name: str) -> Iterator[Path]:
    """Hold the cache's lock on `name`; yield a folder on the cache's own disk.

    A killed process cannot leave it locked, and what it left in the folder is removed.

    Raises:
        WeightsDownloadError: If the disk is full or may not be written to.
    """
    folder = cache_dir() / f".{name}.part"
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with _lock(name):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise storage_error(error, cache_dir()) from error


@contextlib.contextmanager
def _lock(name: str) -> Iterator[None]:
    lock = FileLock(cache_dir() / f".{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"Waiting for another process that prepares the weights of {name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def move(path: Path, target: Path) -> None:
    """Put a file of the workspace into its place, whole even if the power fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    settle(path, target)


@contextlib.contextmanager
def arrival(file: WeightFile, **options) -> Iterator[Path]:
    """Fetch a file and remove it in the end, unless somebody put it there by hand.

    A mark on disk says which it is, so that what a killed run left is still ours to
    use, and then to remove. Both stay if the block raises: the next run needs them.

    Args:
        file: What to fetch.
        **options: As for `fetch`.

    Raises:
        WeightsDownloadError: If it cannot be had.
    """
    path, mark = downloads_dir() / file.name, mark_of(file)
    ours = not path.exists()
    if ours:
        mark.unlink(missing_ok=True)  # of a file that is gone
    fetch(file, path.parent, **options)
    if ours:
        mark.touch()
    yield path
    if mark.exists():
        path.unlink(missing_ok=True)
        mark.unlink(missing_ok=True)


def mark_of(file: WeightFile) -> Path:
    """Return the empty file that says that a download was not put there by hand."""
    return downloads_dir() / f".{file.name}.fetched"
