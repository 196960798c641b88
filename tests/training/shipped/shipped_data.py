"""Small training sets, named as the shipped nets name theirs, made when a test runs.

MNIST's place is taken by scikit-learn's digits, enlarged to 28 x 28; that of the others
by waves whose direction depends on the class.
"""

from functools import cache
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
from data_files import datum, png, write_leveldb, write_lmdb
from PIL import Image
from sklearn.datasets import load_digits

from keras_caffe_zoo.caffe import write_mean


@cache
def digits():
    """Return digits as uint8 (N, 28, 28, 1), and which they are."""
    found = load_digits()
    pictures = (found.images * (255 / 16)).astype("uint8")
    large = [Image.fromarray(one).resize((28, 28)) for one in pictures]
    return np.stack([np.asarray(one) for one in large])[..., None], found.target


def waves(count, shape, classes, seed=0):
    """Return pictures, uint8 (N, H, W, C), and their classes."""
    channels, *sides = shape
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    y, x = np.indices(sides) / np.array(sides)[:, None, None]
    angles = labels[:, None] * np.pi / classes + np.arange(channels)
    angles = angles[:, None, None, :]
    phase = x[..., None] * np.cos(angles) + y[..., None] * np.sin(angles)
    noise = rng.normal(0, 20, (count, *sides, channels))
    pixels = 128 + 80 * np.sin(6 * np.pi * phase) + noise
    return np.clip(pixels, 0, 255).astype("uint8"), labels


def pairs(count, seed=0):
    """Return pairs of digits as pictures of two channels, and whether they are one."""
    (pictures, labels), rng = digits(), np.random.default_rng(seed)
    first = rng.integers(0, len(labels), count)
    second = rng.integers(0, len(labels), count)
    twin = first[: count // 2]  # half of the pairs are of one class
    for i, at in enumerate(twin):
        second[i] = rng.choice(np.flatnonzero(labels == labels[at]))
    order = rng.permutation(count)
    first, second = first[order], second[order]
    same = (labels[first] == labels[second]).astype(int)
    return np.concatenate([pictures[first], pictures[second]], -1), same


def write_data(shipped, folder, count=120):
    """Write what the data layers of a solver's nets read into a folder.

    Args:
        shipped: The solver.
        folder: Where it goes, under the last part of each layer's path.
        count: Records of each source.
    """
    folder = Path(folder)
    nets = [net.fields for net in shipped.nets.values()] or [
        shipped.fields["net_param"]
    ]
    layers = [layer for net in nets for layer in net["layer"] if not layer["bottom"]]
    for number, layer in enumerate(layers):
        field, write = KINDS[layer["type"]]
        path = folder / PurePosixPath(layer[field]["source"]).name
        if not path.exists():
            write(path, shipped, count, number)
        mean = layer.get("transform_param", {}).get("mean_file")
        if mean:
            values = np.full(shipped.images, 120.0, "float32")
            write_mean(folder / PurePosixPath(mean).name, values)


def _images(shipped, count, seed):
    if "siamese" in shipped.path:
        return pairs(count, seed)
    if "mnist" in shipped.path:
        order = np.random.default_rng(seed).permutation(len(digits()[1]))[:count]
        return tuple(part[order] for part in digits())
    return waves(count, shipped.images, shipped.classes, seed)


def _database(path, shipped, count, seed):
    images, labels = _images(shipped, count, seed)
    records = [datum(x, int(y)) for x, y in zip(images, labels, strict=True)]
    (write_leveldb if path.name.endswith("leveldb") else write_lmdb)(path, records)


def _hdf5(path, shipped, count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, shipped.classes, count)
    data = rng.normal(0, 1, (count, *shipped.images)) + labels[:, None] - 0.5
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["data"], file["label"] = data.astype("float32"), labels.astype("float32")
    path.write_text(f"{path.stem}.h5\n")


def _pictures(path, shipped, count, seed):
    images, labels = _images(shipped, count, seed)
    lines = []
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        name = f"{path.stem}_{i}.png"
        (path.parent / name).write_bytes(png(image))
        lines.append(f"{name} {label}\n")
    path.write_text("".join(lines))


def _windows(path, shipped, count, seed):
    """Write pictures with windows of objects, and of what is none."""
    images, labels = _images(shipped, max(count // 10, 4), seed)
    text = []
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        name = f"{path.stem}_{i}.png"
        (path.parent / name).write_bytes(png(image))
        windows = [
            f"{max(int(label), 1)} 0.9 20 30 180 200",
            f"{max(int(label), 1)} 0.7 60 10 240 150",
            "0 0.1 5 5 60 70",
            "0 0 100 120 160 250",
        ]
        size = (image.shape[2], *image.shape[:2])
        text += [f"# {i}", name, *map(str, size), str(len(windows)), *windows]
    path.write_text("\n".join(text) + "\n")


KINDS = {  # the field that has a layer's source, and what writes that
    "Data": ("data_param", _database),
    "HDF5Data": ("hdf5_data_param", _hdf5),
    "ImageData": ("image_data_param", _pictures),
    "WindowData": ("window_data_param", _windows),
}
