"""Published weights, converted once and kept: `name -> path of an HDF5 file`.

A `.caffemodel` that was downloaded here is removed once converted; a file that was
there before, or that the user points to, is left alone. `home.py` says what lies where.
What is kept can be looked after: re-hashed, and removed when it is no longer wanted.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from keras_caffe_zoo.files import check_file
from keras_caffe_zoo.messages import say
from keras_caffe_zoo.weights.download import unpack
from keras_caffe_zoo.weights.home import (
    SHA16,
    arrival,
    cache_dir,
    downloads_dir,
    mark_of,
    move,
    workspace,
)
from keras_caffe_zoo.weights.integrity import (
    check_names_and_shapes,
    check_sealed,
    is_sealed,
    seal,
    sha256_of,
    verify_file,
)
from keras_caffe_zoo.weights.manifest import (
    ModelEntry,
    WeightFile,
    model_entry,
    model_names,
)
from keras_caffe_zoo.weights.means import (
    check_cached_mean,
    check_mean,
    install_mean,
    keep_mean_of_archive,
    mean_files,
)
from keras_caffe_zoo.weights.store import dump_caffe_weights

_told: set[str] = set()


def cached_path(name: str) -> Path | None:
    """Return the path of the converted weights in the cache; `None` if not whole there.

    Quick: looks at the file's name and structure. Whether its arrays are intact is
    checked when they are read, and by `verify_cache`.

    Example:
        >>> import os
        >>> from unittest import mock
        >>> from keras_caffe_zoo.weights import cached_path
        >>> with mock.patch.dict(os.environ, KERAS_CAFFE_ZOO_HOME="cache"):
        ...     cached_path("caffenet") is None  # not yet downloaded
        True
    """
    found = [path for path in converted_files(model_entry(name)) if is_sealed(path)]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def converted_weights(
    name: str, *, verify: bool = False, progress: bool = True
) -> Path:
    """Return the converted weights of a net, fetching and converting if need be.

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

    Example:
        ENet's file has no address; the error says how to get it:

        >>> import os
        >>> from unittest import mock
        >>> from keras_caffe_zoo.weights import converted_weights
        >>> with mock.patch.dict(os.environ, KERAS_CAFFE_ZOO_HOME="cache"):
        ...     converted_weights("enet")
        Traceback (most recent call last):
        keras_caffe_zoo.weights.download.WeightsDownloadError: ...
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
    """Put a file fetched by hand into the cache, verified and converted.

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

    Example:
        >>> import os
        >>> from unittest import mock
        >>> from keras_caffe_zoo.weights import cached_path, install
        >>> model = kcz.enet(weights=None)  # in place of a file fetched by hand
        >>> kcz.to_caffe(model, "enet.prototxt", "enet.caffemodel")
        >>> with mock.patch.dict(os.environ, KERAS_CAFFE_ZOO_HOME="cache"):
        ...     path = install("enet", "enet.caffemodel", progress=False)
        ...     path == cached_path("enet")
        True
    """
    entry, path = model_entry(name), Path(path)
    check_file(path, "a file to install")
    if path.suffix == ".binaryproto":
        return install_mean(entry, path)
    with workspace(entry.name) as folder:
        if entry.file.archive and path.name.endswith((".tar.gz", ".tgz")):
            keep_mean_of_archive(entry, path)
            path = unpack(path, entry.file, folder / "unpacked")
        _verify(path, entry)
        return _convert(entry, path, folder, progress)


def converted_files(entry: ModelEntry) -> list[Path]:
    """Return the net's converted files in the cache, damaged ones too."""
    sha = entry.file.sha256[:16] if entry.file.sha256 else SHA16
    return sorted(cache_dir().glob(f"{entry.name}-{sha}.h5"))


def _fetch_and_convert(entry: ModelEntry, folder: Path, progress: bool) -> Path:
    _tell_licence(entry)
    with arrival(
        entry.file,
        model=entry.name,
        progress=progress,
        check=lambda path: check_names_and_shapes(path, entry),
        on_archive=lambda archive: keep_mean_of_archive(entry, archive),
    ) as source:
        return _convert(entry, source, folder, progress)


def _tell_licence(entry: ModelEntry) -> None:
    if entry.licence.non_commercial and entry.name not in _told:
        _told.add(entry.name)
        say(f"Note: the weights of {entry.title} are for non-commercial use only.")


def check_published(path: Path, entry: ModelEntry) -> None:
    """Compare a file with all that is known of the published one.

    Raises:
        ValueError: If it is another file, or damaged.
    """
    verify_file(path, entry.file)
    check_names_and_shapes(path, entry)


def _verify(path: Path, entry: ModelEntry) -> None:
    try:
        check_published(path, entry)
    except ValueError as error:
        raise ValueError(
            f"{path} is not the published {entry.file.name}: {error}. "
            f"To use it anyway, build the model with weights={str(path)!r}"
        ) from error


def _convert(entry: ModelEntry, source: Path, folder: Path, progress: bool) -> Path:
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


@dataclass(frozen=True)
class CheckedFile:
    """One file of the cache after a look at all of its bytes.

    Attributes:
        name: A net that uses the file; others may, too, if it is a mean.
        path: The file.
        size: Size in bytes.
        damage: What is wrong with it; `None` if nothing is.

    Example:
        >>> from keras_caffe_zoo.weights import CheckedFile
        >>> checked = [
        ...     CheckedFile("enet", path="enet.h5", size=1_470_748, damage=None),
        ...     CheckedFile("nin", path="nin.h5", size=20_000, damage="it is cut off"),
        ... ]
        >>> [one.name for one in checked if one.damage]
        ['nin']
    """

    name: str
    path: Path
    size: int
    damage: str | None


@dataclass(frozen=True)
class Removal:
    """What `remove` did.

    Attributes:
        freed: The removed files and their sizes in bytes.
        kept: Files of the net that stay, and why.

    Example:
        >>> from keras_caffe_zoo.weights import Removal
        >>> Removal(freed=(("a.h5", 1000), ("b.h5", 500)), kept=()).bytes_freed
        1500
    """

    freed: tuple[tuple[Path, int], ...]
    kept: tuple[tuple[Path, str], ...]

    @property
    def bytes_freed(self) -> int:
        """Sum of the sizes."""
        return sum(size for _, size in self.freed)


def verify_cache(names: Iterable[str] | None = None) -> Iterator[CheckedFile]:
    """Read every file that the cache has of some nets, and say which are damaged.

    Nothing is changed: a damaged file is replaced when it is next used.

    Args:
        names: Nets of the manifest; all of them if None.

    Returns:
        An iterator over the files, each once.

    Raises:
        ValueError: If the zoo has no net of such a name.

    Example:
        >>> import os
        >>> from unittest import mock
        >>> from keras_caffe_zoo.weights import install, verify_cache
        >>> model = kcz.enet(weights=None)  # in place of a file fetched by hand
        >>> kcz.to_caffe(model, "enet.prototxt", "enet.caffemodel")
        >>> with mock.patch.dict(os.environ, KERAS_CAFFE_ZOO_HOME="cache"):
        ...     path = install("enet", "enet.caffemodel", progress=False)
        ...     [(one.name, one.damage) for one in verify_cache()]
        [('enet', None)]
    """
    names = model_names() if names is None else names
    return _checked([model_entry(name) for name in names])


def _checked(entries: list[ModelEntry]) -> Iterator[CheckedFile]:
    seen = set()
    for entry in entries:
        for path, check in _checks(entry):
            if path not in seen and path.is_file():
                seen.add(path)
                size = path.stat().st_size
                yield CheckedFile(entry.name, path, size, _damage(check, path))


def _checks(entry: ModelEntry) -> Iterator[tuple[Path, Callable[[Path], object]]]:
    """Yield each file that may be there, and what raises ValueError if it is bad."""
    for path in converted_files(entry):
        yield path, check_sealed
    yield downloads_dir() / entry.file.name, lambda path: check_published(path, entry)
    mean = entry.mean
    if mean and mean.file:
        for path in mean_files(mean):
            yield path, lambda path: check_cached_mean(path, mean)
        yield downloads_dir() / mean.file.name, lambda path: check_mean(path, mean)


def _damage(check: Callable[[Path], object], path: Path) -> str | None:
    try:
        check(path)
    except ValueError as error:
        return str(error)
    return None


def remove(name: str) -> Removal:
    """Remove what the cache holds of one net, and nothing else.

    A mean image stays while another net in the cache uses it; a file that somebody put
    into `downloads/` by hand stays, since it may be hard to get again.

    Args:
        name: A net of the manifest.

    Raises:
        ValueError: If the zoo has no net of that name.
        WeightsDownloadError: If a file may not be removed.

    Example:
        >>> import os
        >>> from unittest import mock
        >>> from keras_caffe_zoo.weights import cached_path, install, remove
        >>> model = kcz.enet(weights=None)  # in place of a file fetched by hand
        >>> kcz.to_caffe(model, "enet.prototxt", "enet.caffemodel")
        >>> with mock.patch.dict(os.environ, KERAS_CAFFE_ZOO_HOME="cache"):
        ...     path = install("enet", "enet.caffemodel", progress=False)
        ...     remove("enet").bytes_freed > 1_400_000, path.exists()
        (True, False)
    """
    entry = model_entry(name)
    if not cache_dir().is_dir():
        return Removal((), ())
    with workspace(name):
        freed = _unlink(sorted(cache_dir().glob(f"{name}-{SHA16}.h5")))
        freed += _unlink(_left_by_downloads(entry.file))
    kept = _by_hand(entry.file)
    if entry.mean and entry.mean.file:
        more_freed, more_kept = _remove_mean(entry)
        freed, kept = freed + more_freed, kept + more_kept
    return Removal(tuple(freed), tuple(kept))


def _remove_mean(entry: ModelEntry) -> tuple[list, list]:
    file, means = entry.mean.file, mean_files(entry.mean)
    with workspace(file.name):
        freed = _unlink(_left_by_downloads(file))
        kept = _by_hand(file)
        if user := _other_user(entry):
            kept += [(path, f"{user} uses it") for path in means]
        else:
            freed += _unlink(means)
    return freed, kept


def _left_by_downloads(file: WeightFile) -> list[Path]:
    """Return what killed runs left: whole files that are ours, and parts."""
    folder, mark = downloads_dir(), mark_of(file)
    parts = [folder / f".{name}.part" for name in (file.name, file.archive) if name]
    return parts + ([folder / file.name, mark] if mark.exists() else [])


def _by_hand(file: WeightFile) -> list[tuple[Path, str]]:
    path = downloads_dir() / file.name
    by_hand = path.is_file() and not mark_of(file).exists()
    return [(path, "it was put there by hand")] * by_hand


def _other_user(entry: ModelEntry) -> str | None:
    """Return the name of another net in the cache that subtracts the same mean."""
    for name in model_names():
        other = model_entry(name)
        if name != entry.name and other.mean == entry.mean and converted_files(other):
            return name
    return None


def _unlink(paths: list[Path]) -> list[tuple[Path, int]]:
    freed = []
    for path in paths:
        if path.is_file():
            freed.append((path, path.stat().st_size))
            path.unlink()
    return freed
