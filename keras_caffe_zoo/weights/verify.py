"""Is this the published file? By size and digests, else by what is inside."""

import hashlib
import os
from pathlib import Path

import numpy as np

from keras_caffe_zoo.weights.manifest import MeanSpec, ModelEntry, Shape, WeightFile

MAX_BYTES = 2 * 1024**3  # no published net is larger; a bound where no size is known
CHUNK_BYTES = 1 << 20
MEAN_TOLERANCE = 0.5  # of 255; a mean image this far from the known means is another


def verify_file(path: str | os.PathLike, file: WeightFile) -> None:
    """Compares a file on disk with the size and every digest the manifest knows.

    Raises:
        ValueError: If it is another file; says what was expected and received.
    """
    meter = Meter(file)
    with open(path, "rb") as handle:
        while chunk := handle.read(CHUNK_BYTES):
            meter.add(chunk)
    meter.verify()


def sha256_of(path: str | os.PathLike) -> str:
    """Hex sha256 of a file on disk."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while chunk := handle.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def check_structure(path: Path, entry: ModelEntry) -> None:
    """Where no checksum was published, compares layer names and shapes instead.

    Raises:
        ValueError: If a layer differs from the manifest, or it is no caffemodel.
    """
    if entry.file.hashes:
        return
    from keras_caffe_zoo.caffe import read_caffemodel

    found = {
        layer: tuple(_essential(blob.shape) for blob in blobs)
        for layer, blobs in read_caffemodel(path).items()
        if blobs
    }
    for layer in sorted(found.keys() | entry.blobs.keys()):
        expected = tuple(map(_essential, entry.blobs.get(layer, ())))
        if expected != found.get(layer, ()):
            received = found.get(layer, "no such layer")
            raise ValueError(
                f"Expected layer {layer!r} with shapes {expected or 'absent'}; "
                f"received: {received}"
            )


def _essential(shape: Shape) -> Shape:
    """Drops leading ones: old files store `(N,)` as `(1, 1, 1, N)`."""
    while shape and shape[0] == 1:
        shape = shape[1:]
    return tuple(shape)


def check_mean(path: Path, mean: MeanSpec) -> np.ndarray:
    """Reads a mean image as float32 `(height, width, 3)`, BGR.

    Raises:
        ValueError: If its size or channel means are not those of this mean.
    """
    from keras_caffe_zoo.caffe import read_mean

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


class Meter:
    """Counts and hashes bytes as they pass; `limit` is the most there may be."""

    def __init__(self, file: WeightFile):
        self.file = file
        self.size = 0
        self.limit = file.size or MAX_BYTES
        self.digests = {name: hashlib.new(name) for name in file.hashes}

    def add(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        self.size += len(chunk)
        for digest in self.digests.values():
            digest.update(chunk)

    def verify(self) -> None:
        """Raises `ValueError` unless these were the published bytes."""
        file = self.file
        if file.size is not None and self.size != file.size:
            raise ValueError(f"Expected {file.size} bytes; received: {self.size} bytes")
        if self.size < (file.payload_bytes or 1):
            least = file.payload_bytes or 1
            raise ValueError(
                f"Expected at least {least} bytes; received: {self.size} bytes"
            )
        for name, expected in file.hashes.items():
            received = self.digests[name].hexdigest()
            if received != expected:
                raise ValueError(f"Expected {name} {expected}; received: {received}")
