"""Published weights, converted once and kept: `name -> path of an HDF5 file`.

The cache directory is the package's own. It holds `NAME-SHA16.h5` (the first 16 hex
digits of the source's sha256), `downloads/` and `means/`, and hidden lock files. A
`.caffemodel` that was downloaded here is removed once converted; a file that was there
before, or that the user points to, is left alone.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from filelock import FileLock, Timeout

from keras_caffe_zoo.weights.download import fetch, storage_error, unpack
from keras_caffe_zoo.weights.manifest import ModelEntry, model_entry
from keras_caffe_zoo.weights.transfer import say
from keras_caffe_zoo.weights.verify import (
    check_mean,
    check_structure,
    sha256_of,
    verify_file,
)

HOME_ENV = "KERAS_CAFFE_ZOO_HOME"
COMPLETE = "caffe_zoo_source_sha256"  # written last: a file that has it is whole

_told: set[str] = set()


def cache_dir() -> Path:
    """The cache directory: `KERAS_CAFFE_ZOO_HOME`, else `caffe_zoo` in Keras' own."""
    if home := os.environ.get(HOME_ENV):
        return Path(home).expanduser()
    if keras_home := os.environ.get("KERAS_HOME"):
        return Path(keras_home).expanduser() / "caffe_zoo"
    user = Path.home()
    base = user if os.access(user, os.W_OK) else Path(tempfile.gettempdir())
    return base / ".keras" / "caffe_zoo"


def cached_path(name: str) -> Path | None:
    """Path of the converted weights if they are in the cache, whole; else `None`.

    Quick: looks at the file's name and one attribute, hashes nothing.
    """
    found = [path for path in _candidates(model_entry(name)) if _is_whole(path)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def converted_weights(name: str, *, progress: bool = True) -> Path:
    """Returns the converted weights of a net, fetching and converting if need be.

    Any number of processes may call this at once; one works and the others wait.

    Args:
        name: A net of the manifest.
        progress: Whether to say what is going on.

    Returns:
        Path of an HDF5 file that holds the net's parameters by Caffe layer name.

    Raises:
        ValueError: If the zoo has no net of that name.
        WeightsDownloadError: If the published file cannot be had; says what to do.
    """
    entry = model_entry(name)
    if found := cached_path(name):
        return found
    with _workspace(entry.name) as folder:
        if found := cached_path(name):  # another process was faster
            return found
        for damaged in _candidates(entry):
            say(f"{damaged} is damaged; replacing it")
        return _fetch_and_convert(entry, folder, progress)


def install(name: str, path: str | os.PathLike, *, progress: bool = True) -> Path:
    """Puts a file fetched by hand into the cache, verified and converted.

    Args:
        name: A net of the manifest.
        path: The published `.caffemodel`, the archive it comes in, or the net's mean
            `.binaryproto`. It is only read.
        progress: Whether to show progress.

    Returns:
        Path of what is now in the cache.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not the file that was published, or no such net exists.
    """
    entry, path = model_entry(name), Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Expected a file to install; received: {path}")
    if path.suffix == ".binaryproto":
        return _install_mean(entry, path)
    with _workspace(entry.name) as folder:
        if entry.file.archive and path.name.endswith((".tar.gz", ".tgz")):
            path = unpack(path, entry.file, folder / "unpacked")
        _verify(path, entry)
        return _convert(entry, path, folder, progress)


def cached_mean(name: str) -> Path | None:
    """Path of the net's published mean file if it is in the cache."""
    mean = model_entry(name).mean
    path = cache_dir() / "means" / mean.file.name if mean and mean.file else None
    return path if path and path.is_file() else None


def mean_image(
    name: str, *, download: bool = False, progress: bool = True
) -> np.ndarray | None:
    """Returns the net's mean image, or `None` if it has none or it is not at hand.

    Args:
        name: A net of the manifest.
        download: Whether to fetch the published file if it is not in the cache.
        progress: Whether to show progress.

    Returns:
        Array `(height, width, 3)`, BGR, 0-255, float32.

    Raises:
        ValueError: If the cached file is damaged (and `download` is false).
        WeightsDownloadError: If the published file cannot be had.
    """
    mean = model_entry(name).mean
    if path := cached_mean(name):
        try:
            return check_mean(path, mean)
        except ValueError:
            if not download:
                raise
    if not (download and mean and mean.file):
        return None
    path = fetch(
        mean.file,
        cache_dir() / "means",
        model=name,
        progress=progress,
        check=lambda path: check_mean(path, mean),
    )
    return check_mean(path, mean)


def _candidates(entry: ModelEntry) -> list[Path]:
    sha = entry.file.sha256[:16] if entry.file.sha256 else "[0-9a-f]" * 16
    return sorted(cache_dir().glob(f"{entry.name}-{sha}.h5"))


def _is_whole(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            sha = file.attrs.get(COMPLETE, "")
    except (OSError, RuntimeError, KeyError):  # truncated, or not HDF5 at all
        return False
    return isinstance(sha, str) and sha[:16] == path.stem[-16:]


@contextlib.contextmanager
def _workspace(name: str) -> Iterator[Path]:
    """Holds the cache's lock on `name`; gives a folder on the cache's own disk.

    A killed process cannot leave it locked, and what it left in the folder is removed.
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


def _fetch_and_convert(entry: ModelEntry, folder: Path, progress: bool) -> Path:
    _tell_licence(entry)
    downloads = cache_dir() / "downloads"
    ours = not (downloads / entry.file.name).exists()
    source = fetch(
        entry.file,
        downloads,
        model=entry.name,
        progress=progress,
        check=lambda path: check_structure(path, entry),
    )
    converted = _convert(entry, source, folder, progress)
    if ours:
        source.unlink(missing_ok=True)
    return converted


def _tell_licence(entry: ModelEntry) -> None:
    if entry.licence.non_commercial and entry.name not in _told:
        _told.add(entry.name)
        say(f"Note: the weights of {entry.title} are for non-commercial use only.")


def _verify(path: Path, entry: ModelEntry) -> None:
    try:
        verify_file(path, entry.file)
        check_structure(path, entry)
    except ValueError as error:
        raise ValueError(
            f"{path} is not the published {entry.file.name}: {error}. "
            f"To use it anyway, build the model with weights={str(path)!r}"
        ) from error


def _convert(entry: ModelEntry, source: Path, folder: Path, progress: bool) -> Path:
    from keras_caffe_zoo.weights.store import dump_caffe_weights  # imports Keras

    sha = sha256_of(source)
    target = cache_dir() / f"{entry.name}-{sha[:16]}.h5"
    converted = folder / target.name
    dump_caffe_weights(source, converted, mean=None, progress=progress)
    with h5py.File(converted, "r+") as file:
        file.attrs[COMPLETE] = sha
    _move(converted, target)
    return target


def _install_mean(entry: ModelEntry, path: Path) -> Path:
    if not (entry.mean and entry.mean.file):
        raise ValueError(f"Expected no mean file for {entry.name}; received: {path}")
    check_mean(path, entry.mean)
    target = cache_dir() / "means" / entry.mean.file.name
    with _workspace(target.name) as folder:
        target.parent.mkdir(exist_ok=True)
        _move(Path(shutil.copyfile(path, folder / target.name)), target)
    return target


def _move(path: Path, target: Path) -> None:
    with open(path, "r+b") as handle:
        os.fsync(handle.fileno())
    os.replace(path, target)
