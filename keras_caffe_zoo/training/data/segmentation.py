"""Pictures and maps of labels, one at a time, as FCN's data layers read them."""

import functools
import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_caffe_zoo.files import check_file
from keras_caffe_zoo.pictures import read_numbers, read_picture
from keras_caffe_zoo.training.data.matlab import read_mat
from keras_caffe_zoo.training.data.order import Chosen, Order, check_seed
from keras_caffe_zoo.training.data.pictures import path_in
from keras_caffe_zoo.training.data.pipeline import loaded_dataset

IGNORED = 255  # the label of what belongs to no class

_MOST_LABEL = 1 << 30
_MOST_NAMES = 1 << 30  # bytes of a list
_DRAWS = 4096  # made at once


def segmentation_dataset(
    listfile: str | os.PathLike,
    *,
    images: str | None = None,
    labels: str | None = None,
    field: str | None = None,
    shift: int = 0,
    mean=None,
    batch_size: int = 1,
    randomize: bool = False,
    seed: int = 0,
    repeat: bool = False,
    resume=None,
    root: str | os.PathLike | None = None,
):
    """Return pictures and their maps of labels, as FCN's Python data layers read them.

    Each line of the list is a name, which stands in `images` and `labels` where these
    have `{}`; without these it is two paths with a space between. Pictures are neither
    resized nor cut, so they come in batches of one, unless all are of one size.

    Args:
        listfile: The list.
        images: Where a picture is, such as `"JPEGImages/{}.jpg"`.
        labels: Where its labels are, such as `"SegmentationClass/{}.png"`: a picture
            with a palette, or a grey one, whose numbers are labels; or a `.mat`.
        field: What the labels are called in a `.mat`, such as `"S"`, or in a struct,
            such as `"GTcls.Segmentation"`. MATLAB's files of version 5 are read.
        shift: Added to each label; one that becomes negative, such as 0 by -1, becomes
            255. That label belongs to no class: `ignore_label: 255` is for it.
        mean: One value or one for each channel (BGR); nothing is subtracted if None.
        batch_size: Pictures in a batch; an epoch's last batch may be smaller.
        randomize: Whether each picture is chosen by chance of all, again and again, as
            FCN does in training. The order is FCN's own for that seed: Python 2's
            `random.randint` after `random.seed(seed)`. Else it is the list's.
        seed: Chooses that order.
        repeat: Whether the dataset is endless.
        resume: The compiled model that is trained, to go on where it is: see
            `image_dataset`.
        root: Folder that all paths are relative to, and then none may lie outside it;
            that of the list if None.

    Returns:
        `tf.data.Dataset` of `(images, labels)`: float32 `(N, H, W, 3)`, BGR, and int32
        `(N, H, W)`.

    Raises:
        ValueError: If an argument is wrong, the list is empty, or a file cannot be
            read, which is named, or is of another size than what belongs to it.
        OSError: If the list cannot be opened.

    Example:
        >>> from PIL import Image
        >>> Image.new("RGB", (3, 1), (1, 2, 3)).save("a.png")
        >>> Image.fromarray(np.array([[0, 1, 20]], "uint8")).save("a_labels.png")
        >>> with open("train.txt", "w") as file:
        ...     _ = file.write("a")
        >>> data = kcz.training.segmentation_dataset(
        ...     "train.txt", images="{}.png", labels="{}_labels.png", shift=-1
        ... )
        >>> ((images, labels),) = data
        >>> images.numpy()[0, 0, 0].tolist(), labels.numpy()[0, 0].tolist()  # BGR
        ([3.0, 2.0, 1.0], [255, 0, 19])
    """
    if (images is None) != (labels is None):
        raise ValueError(
            "Expected both `images` and `labels`, or none for a list of both; "
            f"received: images={images!r}, labels={labels!r}"
        )
    mean = np.zeros(1) if mean is None else np.atleast_1d(np.asarray(mean, "float64"))
    if mean.shape not in ((1,), (3,)):
        raise ValueError(
            f"Expected a mean of 1 or 3 values; received: shape {mean.shape}"
        )
    folder = os.path.abspath(Path(listfile).parent if root is None else root)
    where = {"data": images or _WORDS[0], "label": labels or _WORDS[1]}
    readers = {
        "data": Top(functools.partial(read_colours, mean=mean), 3),
        "label": Top(functools.partial(read_labels, field=field, shift=shift)),
    }
    tops = {
        name: top._replace(path=where[name], root=folder, inside=root is not None)
        for name, top in readers.items()
    }
    return maps_dataset(
        Maps(listfile, tops),
        batch_size=batch_size,
        randomize=randomize,
        seed=seed,
        repeat=repeat,
        resume=resume,
    )


def maps_dataset(
    maps: "Maps", *, batch_size=1, randomize=False, seed=0, repeat=False, resume=None
):
    """Return records of several tops, structured as `Maps.structure` has them.

    Options are those of `segmentation_dataset`.
    """
    import tensorflow as tf

    order = Order(len(maps), batch_size, seed=seed, repeat=repeat)
    if randomize:
        choose = Choices(seed, len(maps))
        order = Chosen(len(maps), batch_size, choose, seed, repeat)
    specs = {
        name: tf.TensorSpec((None,) * 3, tf.int32)
        if top.channels is None
        else tf.TensorSpec((None, None, None, top.channels), tf.float32)
        for name, top in maps.tops.items()
    }

    return loaded_dataset(maps.batch, maps.structure(specs), order, resume)


class Top(NamedTuple):
    """How one top of a data layer is read.

    Attributes:
        read: Function of a path: the array, float32 `(H, W, C)` or int32 `(H, W)`.
        channels: Its channels; None for labels.
        path: Where its files are, with `{}` for a name; or an index, of a word.
        root: The folder that this is relative to.
        inside: Whether none may lie outside it.
    """

    read: Callable[[str], np.ndarray]
    channels: int | None = None
    path: str | int = "{}"
    root: str = ""
    inside: bool = True


_WORDS = (0, 1)  # of a line that has two paths


class Maps:
    """Records that have a file for each of several tops, by the names in a list.

    Args:
        listfile: The list: a name on each line.
        tops: The tops by name.

    Raises:
        ValueError: If the list is empty.
        OSError: If it cannot be opened.
    """

    def __init__(self, listfile: str | os.PathLike, tops: Mapping[str, Top]):
        self.source, self.tops = os.fspath(listfile), dict(tops)
        check_file(listfile, "a list of names")
        with open(listfile, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(_MOST_NAMES).splitlines()
        self._names = [line.strip() for line in lines if line.strip()]
        if not self._names:
            raise ValueError(
                f"Expected a list of names; received an empty one: {listfile}"
            )

    def __len__(self) -> int:
        return len(self._names)

    def read(self, index: int) -> dict[str, np.ndarray]:
        """Return a record's arrays by top.

        Raises:
            ValueError: If one cannot be read, or has another size than the first.
        """
        found: dict[str, np.ndarray] = {}
        for name, top in self.tops.items():
            path = self._names[index]
            try:
                path = self._path(top, path)
                found[name] = top.read(path)
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", error)
                raise ValueError(
                    f"Expected a record that can be read; received: {path} "
                    f"({self.source}, {self._names[index]!r}): {reason}"
                ) from error
        sizes = {name: array.shape[:2] for name, array in found.items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(
                f"Expected {self._names[index]!r} of {self.source} to have one height "
                f"and width; received: {sizes}"
            )
        return found

    def structure(self, values: Mapping[str, Any]):
        """Return what there is for each top as `(x, y)`, or one of the two.

        Tops that have channels are in `x`, the others in `y`; each of both is one
        value, or a dict by top.
        """
        inputs = {k: values[k] for k, x in self.tops.items() if x.channels is not None}
        labels = {k: values[k] for k in self.tops if k not in inputs}
        parts = [
            next(iter(part.values())) if len(part) == 1 else part
            for part in (inputs, labels)
            if part
        ]
        return tuple(parts) if len(parts) > 1 else parts[0]

    def batch(self, positions: Sequence[int], indices: Sequence[int]):
        """Return records as one array `(N, …)` for each top, in their structure.

        Args:
            positions: Places in the sequence, of which nothing here depends.
            indices: The records.

        Raises:
            ValueError: If they differ in size.
        """
        records = [self.read(int(index)) for index in indices]
        sizes = {array.shape[:2] for record in records for array in record.values()}
        if len(sizes) > 1:
            raise ValueError(
                f"Expected pictures of one size in a batch; received: {sorted(sizes)}. "
                "Take batches of 1"
            )
        return self.structure(
            {name: np.stack([r[name] for r in records]) for name in self.tops}
        )

    def _path(self, top: Top, name: str) -> str:
        if isinstance(top.path, str):
            return path_in(top.root, top.path.replace("{}", name), top.inside)
        words = name.split()
        if len(words) != len(_WORDS):
            raise ValueError("Expected two paths, of a picture and of labels")
        return path_in(top.root, words[top.path], top.inside)


def read_colours(path: str, mean) -> np.ndarray:
    """Return a picture as it is stored, float32 BGR `(H, W, 3)`, minus a mean."""
    return less(read_picture(path, upright=False)[..., ::-1], mean)


def read_labels(path: str, field: str | None = None, shift: int = 0) -> np.ndarray:
    """Return a map of labels, int32 `(H, W)`; as `segmentation_dataset` tells.

    Raises:
        ValueError: If there is none in the file.
        OSError: If the file cannot be opened.
    """
    if path.lower().endswith(".mat"):
        if not field:
            raise ValueError(
                "Expected `field`, what labels are called in a .mat; received: None"
            )
        labels = read_mat(path, field)
    else:
        labels = read_numbers(path)
    # A comparison with NaN is false.
    if not ((labels == np.trunc(labels)) & (abs(labels) < _MOST_LABEL)).all():
        raise ValueError("Expected integers of 30 bits as labels; received: others")
    whole = labels.astype("int32") + np.int32(shift)
    whole[whole < 0] = IGNORED
    return whole


def less(pixels: np.ndarray, mean) -> np.ndarray:
    """Return pixels, float32, minus a mean."""
    # In float64 and then cut, as NumPy does it in FCN's layers.
    return np.subtract(pixels, mean, dtype="float64").astype("float32")


class Choices:
    """What Python 2's `random.randint(0, count - 1)` chooses after `random.seed(seed)`.

    It is the Mersenne Twister, whose numbers cannot be had without those before them:
    they are made once and kept, 4 bytes each.

    Args:
        seed: The seed.
        count: Of how many to choose.
    """

    def __init__(self, seed: int, count: int):
        check_seed(seed)
        self._random = random.Random(int(seed))  # from integers, as Python 2's
        self._count, self._lock = count, threading.Lock()
        self._chosen = np.zeros(0, "int32")

    def __call__(self, positions) -> np.ndarray:
        """Return what is chosen at positions of the sequence, from 0 on."""
        positions = np.asarray(positions)
        with self._lock:
            while len(self._chosen) <= positions.max():
                count = max(_DRAWS, len(self._chosen))
                chosen = [
                    int(self._random.random() * self._count) for _ in range(count)
                ]
                self._chosen = np.append(self._chosen, np.array(chosen, "int32"))
            return self._chosen[positions]
