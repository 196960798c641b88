"""Published weights, converted once and kept: `name -> path of an HDF5 file`.

A `.caffemodel` that was downloaded here is removed once converted; a file that was
there before, or that the user points to, is left alone. `home.py` says what lies where.
"""

import os
from pathlib import Path

from keras_caffe_zoo.messages import say
from keras_caffe_zoo.weights.download import unpack
from keras_caffe_zoo.weights.home import (
    SHA16,
    arrival,
    cache_dir,
    move,
    workspace,
)
from keras_caffe_zoo.weights.manifest import ModelEntry, model_entry
from keras_caffe_zoo.weights.means import install_mean, keep_mean_of_archive
from keras_caffe_zoo.weights.seal import check_sealed, is_sealed, seal
from keras_caffe_zoo.weights.verify import check_structure, sha256_of, verify_file

_told: set[str] = set()


def cached_path(name: str) -> Path | None:
    """Path of the converted weights if they are in the cache, whole; else `None`.

    Quick: looks at the file's name and structure. Whether its arrays are intact is
    checked when they are read, and by `verify_cache`.
    """
    found = [path for path in converted_files(model_entry(name)) if is_sealed(path)]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def converted_weights(
    name: str, *, verify: bool = False, progress: bool = True
) -> Path:
    """Returns the converted weights of a net, fetching and converting if need be.

    Any number of processes may call this at once; one works and the others wait. A
    cached file that is damaged is named and replaced.

    Args:
        name: A net of the manifest.
        verify: Whether to read a cached file in full to find damage in its arrays, too.
        progress: Whether to say what is going on.

    Returns:
        Path of an HDF5 file that holds the net's parameters by Caffe layer name.

    Raises:
        ValueError: If the zoo has no net of that name.
        WeightsDownloadError: If the published file cannot be had; says what to do.
    """
    entry = model_entry(name)
    if found := _intact_path(name, verify):
        return found
    with workspace(entry.name) as folder:
        if found := _intact_path(name, verify):  # another process was faster
            return found
        damaged = converted_files(entry)
        for path in damaged:
            say(f"{path} is damaged; replacing it")
        converted = _fetch_and_convert(entry, folder, progress)
        for path in set(damaged) - {converted}:
            path.unlink(missing_ok=True)
        return converted


def _intact_path(name: str, verify: bool) -> Path | None:
    path = cached_path(name)
    if path and verify:
        try:
            check_sealed(path)
        except ValueError:
            return None
    return path


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
        return install_mean(entry, path)
    with workspace(entry.name) as folder:
        if entry.file.archive and path.name.endswith((".tar.gz", ".tgz")):
            keep_mean_of_archive(entry, path)
            path = unpack(path, entry.file, folder / "unpacked")
        _verify(path, entry)
        return _convert(entry, path, folder, progress)


def converted_files(entry: ModelEntry) -> list[Path]:
    """The net's converted files in the cache, damaged ones too."""
    sha = entry.file.sha256[:16] if entry.file.sha256 else SHA16
    return sorted(cache_dir().glob(f"{entry.name}-{sha}.h5"))


def _fetch_and_convert(entry: ModelEntry, folder: Path, progress: bool) -> Path:
    _tell_licence(entry)
    with arrival(
        entry.file,
        model=entry.name,
        progress=progress,
        check=lambda path: check_structure(path, entry),
        on_archive=lambda archive: keep_mean_of_archive(entry, archive),
    ) as source:
        return _convert(entry, source, folder, progress)


def _tell_licence(entry: ModelEntry) -> None:
    if entry.licence.non_commercial and entry.name not in _told:
        _told.add(entry.name)
        say(f"Note: the weights of {entry.title} are for non-commercial use only.")


def check_published(path: Path, entry: ModelEntry) -> None:
    """Compares a file with all that is known of the published one.

    Raises:
        ValueError: If it is another file, or damaged.
    """
    verify_file(path, entry.file)
    check_structure(path, entry)


def _verify(path: Path, entry: ModelEntry) -> None:
    try:
        check_published(path, entry)
    except ValueError as error:
        raise ValueError(
            f"{path} is not the published {entry.file.name}: {error}. "
            f"To use it anyway, build the model with weights={str(path)!r}"
        ) from error


def _convert(entry: ModelEntry, source: Path, folder: Path, progress: bool) -> Path:
    from keras_caffe_zoo.weights.store import dump_caffe_weights

    sha = sha256_of(source)
    target = cache_dir() / f"{entry.name}-{sha[:16]}.h5"
    converted = folder / target.name
    try:
        dump_caffe_weights(source, converted, mean=None, progress=progress)
    except RuntimeError as error:  # HDF5 closes a file that the disk has no room for
        raise OSError(str(error)) from error
    seal(converted, sha)
    move(converted, target)
    return target
