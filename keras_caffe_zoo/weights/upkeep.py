"""Look after the cache: re-hash what is in it, remove what is no longer wanted."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from keras_caffe_zoo.weights.cache import check_published, converted_files
from keras_caffe_zoo.weights.home import (
    SHA16,
    cache_dir,
    downloads_dir,
    mark_of,
    workspace,
)
from keras_caffe_zoo.weights.manifest import (
    ModelEntry,
    WeightFile,
    model_entry,
    model_names,
)
from keras_caffe_zoo.weights.means import check_cached_mean, mean_files
from keras_caffe_zoo.weights.seal import check_sealed
from keras_caffe_zoo.weights.verify import check_mean


@dataclass(frozen=True)
class CheckedFile:
    """One file of the cache after a look at all of its bytes.

    Attributes:
        name: A net that uses the file; others may, too, if it is a mean.
        path: The file.
        size: Size in bytes.
        damage: What is wrong with it; `None` if nothing is.
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
    """

    freed: tuple[tuple[Path, int], ...]
    kept: tuple[tuple[Path, str], ...]

    @property
    def bytes_freed(self) -> int:
        """Sum of the sizes."""
        return sum(size for _, size in self.freed)


def verify_cache(names: Iterable[str] | None = None) -> Iterator[CheckedFile]:
    """Reads every file that the cache has of some nets, and says which are damaged.

    Nothing is changed: a damaged file is replaced when it is next used.

    Args:
        names: Nets of the manifest; all of them if None.

    Returns:
        An iterator over the files, each once.

    Raises:
        ValueError: If the zoo has no net of such a name.
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
    """Yields each file that may be there, and what raises ValueError if it is bad."""
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
    """Removes what the cache holds of one net, and nothing else.

    A mean image stays while another net in the cache uses it; a file that somebody put
    into `downloads/` by hand stays, since it may be hard to get again.

    Args:
        name: A net of the manifest.

    Raises:
        ValueError: If the zoo has no net of that name.
        WeightsDownloadError: If a file may not be removed.
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
    """What killed runs left: whole files that are ours, and parts."""
    folder, mark = downloads_dir(), mark_of(file)
    parts = [folder / f".{name}.part" for name in (file.name, file.archive) if name]
    return parts + ([folder / file.name, mark] if mark.exists() else [])


def _by_hand(file: WeightFile) -> list[tuple[Path, str]]:
    path = downloads_dir() / file.name
    by_hand = path.is_file() and not mark_of(file).exists()
    return [(path, "it was put there by hand")] * by_hand


def _other_user(entry: ModelEntry) -> str | None:
    """The name of another net in the cache that subtracts the same mean."""
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
