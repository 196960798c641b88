"""Fetch a published file whole and verified, or say exactly why not.

The bytes go to a temporary file beside the target, are hashed on the way, and move into
place only when everything the manifest knows about them holds.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock

from keras_caffe_zoo.files import settle
from keras_caffe_zoo.messages import say
from keras_caffe_zoo.weights.integrity import verify_file
from keras_caffe_zoo.weights.manifest import WeightFile
from keras_caffe_zoo.weights.transfer import SourceError, transfer, unpack_member

MIRROR_ENV = "KERAS_CAFFE_ZOO_MIRROR"

Check = Callable[[Path], None]


class WeightsDownloadError(RuntimeError):
    """A file could not be had; the message says what was tried and what to do.

    Example:
        >>> import os
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, KERAS_CAFFE_ZOO_HOME="cache"):
        ...     try:
        ...         kcz.age_net(weights="caffe")  # whose file has no address
        ...     except kcz.WeightsDownloadError as error:
        ...         print("install" in str(error))
        True
    """


@dataclass(frozen=True)
class _Origin:
    url: str
    packed: bool  # the URL is that of the archive around the file


@dataclass(frozen=True)
class _Options:
    progress: bool
    check: Check | None
    on_archive: Check | None
    timeout: float
    attempts: int
    backoff: float


def fetch(
    file: WeightFile,
    directory: str | os.PathLike,
    *,
    model: str | None = None,
    mirror: str | None = None,
    progress: bool = True,
    check: Check | None = None,
    on_archive: Check | None = None,
    timeout: float = 30.0,
    attempts: int = 3,
    backoff: float = 0.5,
) -> Path:
    """Download and verify one file, unless the right one is already there.

    Sources are tried in order: the mirror, then the manifest's URLs. Any number of
    processes may call this at once; one downloads and the others wait for it.

    Args:
        file: What to fetch.
        directory: Where to put it; made if missing.
        model: Name of the net, for the advice in errors.
        mirror: Directory or URL prefix to try first; default `KERAS_CAFFE_ZOO_MIRROR`.
        progress: Whether to say what is downloaded, with a bar if it takes long.
        check: Called with the path of the complete file before it is accepted; a
            `ValueError` from it makes the source a bad one.
        on_archive: Called with the path of the archive, if the file came in one, when
            the file is verified and before the archive is removed.
        timeout: Seconds without a byte after which a connection counts as lost.
        attempts: Tries per source when the failure may pass.
        backoff: Seconds before the second try, doubled for each later one.

    Returns:
        Path of the file in `directory`.

    Raises:
        WeightsDownloadError: If no source gave the right file, or it cannot be stored.
    """
    directory = Path(directory)
    target = directory / file.name
    mirror = os.environ.get(MIRROR_ENV) if mirror is None else mirror
    options = _Options(progress, check, on_archive, timeout, attempts, backoff)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / f".{file.name}.lock"):
            if not _is_good(target, file, check):
                _fetch_from_any(_origins(file, mirror), file, target, model, options)
    except BrokenPipeError:  # nobody reads any more what is said meanwhile
        raise
    except OSError as error:  # network errors never come this far as OSError
        raise storage_error(error, directory) from error
    return target


def unpack(
    archive: str | os.PathLike, file: WeightFile, directory: str | os.PathLike
) -> Path:
    """Extract the one member `file` names from a `.tar.gz` or `.tgz`, verified.

    Raises:
        ValueError: If the archive is damaged or does not hold the right file.
        WeightsDownloadError: If it cannot be stored.
    """
    target = Path(directory) / file.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{file.name}.lock")), _part(target) as part:
            verify_file(archive, file.packed)
            unpack_member(Path(archive), file, part)
            settle(part, target)
    except (SourceError, ValueError) as error:
        raise ValueError(f"{archive}: {error}") from error
    except OSError as error:
        raise storage_error(error, target.parent) from error
    return target


def storage_error(error: OSError, directory: Path) -> WeightsDownloadError:
    """Turn a full disk or a missing permission into advice."""
    return WeightsDownloadError(
        f"Could not store files in {directory}: {error}. Free some space or set "
        "KERAS_CAFFE_ZOO_HOME to a directory with room and write permission."
    )


def _origins(file: WeightFile, mirror: str | None) -> list[_Origin]:
    origins = [_Origin(url, packed=bool(file.archive)) for url in file.urls]
    if mirror:
        names = [(file.name, False)] + [(file.archive, True)] * bool(file.archive)
        in_mirror = [_Origin(_mirror_url(mirror, name), kind) for name, kind in names]
        origins = in_mirror + origins
    return origins


def _mirror_url(mirror: str, name: str) -> str:
    if "://" not in mirror:
        return (Path(mirror).expanduser().resolve() / name).as_uri()
    return f"{mirror.rstrip('/')}/{quote(name)}"


def _is_good(path: Path, file: WeightFile, check: Check | None) -> bool:
    if not path.is_file():
        return False
    try:
        verify_file(path, file)
        if check:
            check(path)
    except ValueError as error:
        say(f"{path} is not the published file ({error}); fetching it again")
        return False
    return True


def _fetch_from_any(origins, file, target, model, options: _Options) -> None:
    failures = []
    for origin in origins:
        try:
            return _fetch_from(origin, file, target, options)
        except SourceError as error:
            failures.append(f"  {origin.url}: {error}")
    raise WeightsDownloadError(_advice(file, failures, target.parent, model))


def _fetch_from(origin: _Origin, file, target: Path, options: _Options) -> None:
    for attempt in range(1, options.attempts + 1):
        try:
            with _part(target) as part:
                _download(origin, file, part, options)
                settle(part, target)
            return
        except SourceError as error:
            if not error.transient or attempt == options.attempts:
                raise
            time.sleep(options.backoff * 2 ** (attempt - 1))


def _run_check(check: Check | None, path: Path) -> None:
    try:
        if check:
            check(path)
    except ValueError as error:
        raise SourceError(str(error)) from error


@contextlib.contextmanager
def _part(target: Path) -> Iterator[Path]:
    """A temporary path beside the target; its fixed name lets a rerun clean up."""
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _download(origin: _Origin, file: WeightFile, part: Path, options: _Options) -> None:
    link = {"progress": options.progress, "timeout": options.timeout}
    if not origin.packed:
        transfer(origin.url, file, part, **link)
        return _run_check(options.check, part)
    with _part(part.with_name(file.archive)) as archive:
        transfer(origin.url, file.packed, archive, **link)
        unpack_member(archive, file, part)
        _run_check(options.check, part)
        if options.on_archive:
            options.on_archive(archive)


def _advice(file, failures: list[str], directory: Path, model: str | None) -> str:
    known = [f"{file.size} bytes"] if file.size else []
    known += [f"{name} {digest}" for name, digest in file.hashes.items()]
    inside = f" (inside {file.archive})" if file.archive else ""
    install = (
        f"run\n  keras-caffe-zoo install {model} {file.name}"
        if model
        else f"put it into {directory}"
    )
    return "\n".join(
        [f"Could not get {file.name}. Tried:"]
        + (failures or ["  nothing: no URL of it is known"])
        + [f"Fetch {file.name}{inside} by hand and {install}"]
        + ([f"Expected: {', '.join(known)}."] if known else [])
        + [f"Or set {MIRROR_ENV} to a directory or URL prefix that has {file.name}."]
    )
