"""Published mean images in the cache."""

import os
import shutil
from pathlib import Path

import numpy as np

from keras_caffe_zoo.caffe import read_mean
from keras_caffe_zoo.messages import say
from keras_caffe_zoo.weights.download import WeightsDownloadError, unpack
from keras_caffe_zoo.weights.home import (
    SHA16,
    arrival,
    cache_dir,
    move,
    workspace,
)
from keras_caffe_zoo.weights.integrity import sha256_of
from keras_caffe_zoo.weights.manifest import MeanSpec, ModelEntry, model_entry

MEAN_TOLERANCE = 0.5  # of 255; a mean image this far from the known means is another


def cached_mean(name: str) -> Path | None:
    """Return the path of the net's published mean file; `None` if not in the cache.

    Example:
        >>> import os
        >>> from unittest import mock
        >>> from keras_caffe_zoo.weights import cached_mean
        >>> with mock.patch.dict(os.environ, KERAS_CAFFE_ZOO_HOME="cache"):
        ...     cached_mean("caffenet") is None  # not yet downloaded
        True
    """
    return next(iter(mean_files(model_entry(name).mean)), None)


def mean_image(
    name: str, *, download: bool = False, progress: bool = True
) -> np.ndarray | None:
    """Return the net's mean image, or `None` if it has none or it is not at hand.

    A cached file that is damaged is named and fetched again.

    Args:
        name: A net of the manifest.
        download: Whether to fetch the published file if it is not in the cache.
        progress: Whether to show progress.

    Returns:
        Array `(height, width, 3)`, BGR, 0-255, float32.

    Raises:
        WeightsDownloadError: If the published file cannot be had.

    Example:
        >>> from keras_caffe_zoo.weights import mean_image
        >>> mean_image("vgg16") is None  # its mean is three numbers
        True
        >>> kcz.model_info("vgg16").mean.channels
        (103.939, 116.779, 123.68)
    """
    mean = model_entry(name).mean
    if not (mean and mean.file):
        return None
    if (image := _intact_mean(name, mean)) is not None:
        return image
    damaged = cached_mean(name)
    if damaged is None and not download:
        return None
    with workspace(mean.file.name) as folder:
        if (image := _intact_mean(name, mean)) is not None:  # another was faster
            return image
        if damaged:
            say(f"{damaged} is damaged; replacing it")
        path = _fetch_mean(name, mean, folder, progress)
        if damaged and damaged != path:
            damaged.unlink(missing_ok=True)
    return check_cached_mean(path, mean)


def _intact_mean(name: str, mean: MeanSpec) -> np.ndarray | None:
    path = cached_mean(name)
    try:
        return path and check_cached_mean(path, mean)
    except ValueError:
        return None


def mean_files(mean: MeanSpec | None) -> list[Path]:
    """Return the cached files of this mean, damaged ones too, the newest first."""
    if not (mean and mean.file):
        return []
    stem, suffix = os.path.splitext(mean.file.name)
    found = (cache_dir() / "means").glob(f"{stem}-{SHA16}{suffix}")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def check_cached_mean(path: Path, mean: MeanSpec) -> np.ndarray:
    """Read a mean file of the cache.

    Raises:
        ValueError: If it is not what was put there.
    """
    if sha256_of(path)[:16] != path.stem[-16:]:
        raise ValueError("Expected the bytes that its name tells; received: others")
    return check_mean(path, mean)


def check_mean(path: Path, mean: MeanSpec) -> np.ndarray:
    """Read a mean image as float32 `(height, width, 3)`, BGR.

    Raises:
        ValueError: If its size or channel means are not those of this mean.
    """
    blob = np.asarray(read_mean(path), "float32")
    blob = blob[0] if blob.ndim == 4 else blob
    size = mean.shape or blob.shape[1:]
    if blob.ndim != 3 or blob.shape != (3, *size):
        raise ValueError(
            f"{path}: Expected a mean image of shape {(3, *size)}; "
            f"received: {blob.shape}"
        )
    channels = blob.mean(axis=(1, 2))
    if mean.channels and not np.allclose(channels, mean.channels, 0, MEAN_TOLERANCE):
        raise ValueError(
            f"{path}: Expected channel means {mean.channels}; received: {channels}"
        )
    return blob.transpose(1, 2, 0)


def install_mean(entry: ModelEntry, path: Path) -> Path:
    """Copy a mean file fetched by hand into the cache.

    Raises:
        ValueError: If the net has no mean file, or another one.
    """
    if not (entry.mean and entry.mean.file):
        raise ValueError(f"Expected no mean file for {entry.name}; received: {path}")
    check_mean(path, entry.mean)
    with workspace(entry.mean.file.name) as folder:
        return _put(path, entry.mean, folder)


def keep_mean_of_archive(entry: ModelEntry, archive: Path) -> None:
    """Take the mean out of the archive that the net comes in, if it is there too.

    The archive is large: nobody should download it twice. A mean that is missing or
    damaged in it is no reason to refuse the net.
    """
    mean = entry.mean
    in_it = mean and mean.file and mean.file.archive == entry.file.archive
    if not in_it or cached_mean(entry.name):
        return
    try:
        with workspace(mean.file.name) as folder:
            path = unpack(archive, mean.file, folder / "unpacked")
            check_mean(path, mean)
            _put(path, mean, folder)
    except (ValueError, WeightsDownloadError) as error:
        say(f"Note: no mean image for {entry.name}: {error}")


def _fetch_mean(name: str, mean: MeanSpec, folder: Path, progress: bool) -> Path:
    with arrival(
        mean.file,
        model=name,
        progress=progress,
        check=lambda path: check_mean(path, mean),
    ) as path:
        return _put(path, mean, folder)


def _put(path: Path, mean: MeanSpec, folder: Path) -> Path:
    copy = Path(shutil.copyfile(path, folder / "mean"))
    stem, suffix = os.path.splitext(mean.file.name)
    target = cache_dir() / "means" / f"{stem}-{sha256_of(copy)[:16]}{suffix}"
    move(copy, target)
    return target
