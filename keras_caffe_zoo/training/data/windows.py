"""Caffe's WindowData: windows of pictures, warped to squares, which train R-CNN."""

import functools
import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_caffe_zoo.files import open_file
from keras_caffe_zoo.pictures import read_bgr
from keras_caffe_zoo.preprocessing.inputs import normalized
from keras_caffe_zoo.preprocessing.opencv import opencv_resize
from keras_caffe_zoo.training.data.order import (
    Chosen,
    below,
    check_seed,
    choice_draw,
    crop_draws,
)
from keras_caffe_zoo.training.data.pictures import path_in
from keras_caffe_zoo.training.data.pipeline import record_dataset
from keras_caffe_zoo.training.data.records import BadRecords
from keras_caffe_zoo.training.data.transform import Transform

CROP_MODES = ("warp", "square")

_CHUNK = 1 << 20  # bytes of a window file that are read at once
_LONGEST = 4096  # characters of a word in it, such as a path
_LARGEST = 4096  # side of a square: it must fit into memory many times
_COLUMNS = 6  # class, overlap, x1, y1, x2, y2


def window_dataset(
    source: str | os.PathLike,
    *,
    crop_size: int,
    batch_size: int = 128,
    fg_threshold: float = 0.5,
    bg_threshold: float = 0.5,
    fg_fraction: float = 0.25,
    context_pad: int = 0,
    crop_mode: str = "warp",
    mirror: bool = False,
    mean=None,
    scale: float = 1.0,
    cache_images: bool = False,
    seed: int = 0,
    repeat: bool = False,
    resume=None,
    bad_records: BadRecords | None = None,
    root: str | os.PathLike | None = None,
):
    """Return windows of pictures and their classes, as Caffe's WindowData reads them.

    The window file has, for each picture, `# number`, its path, channels, height and
    width, how many windows follow, and each window's class, overlap with an object of
    that class, x1, y1, x2 and y2, in pixels from 0, both corners inside. White space
    separates them, so a path has none.

    Each batch has first its background, then `batch_size * fg_fraction` windows of
    objects, rounded down; each is chosen by chance of all of its kind. So batches never
    end; an epoch has as many as there are windows to fill them.

    A window is warped by OpenCV's linear resize, to the byte; what lies outside the
    picture is 0, as is a pixel of the mean. In memory a window takes 24 bytes. (Facts:
    Caffe, window_data_layer.cpp.)

    Args:
        source: The window file.
        crop_size: Side of the square that windows become.
        batch_size: Windows in a batch.
        fg_threshold: Overlap from which on a window is one of an object.
        bg_threshold: Overlap below which it is background, whatever its class.
        fg_fraction: Share of objects in a batch.
        context_pad: Pixels of the square, on each side, that show what is around a
            window.
        crop_mode: `"warp"`, or `"square"` to keep a window's shape: then the square
            around its centre is taken.
        mirror: Whether half of the windows are mirrored, in tests too, as in Caffe.
        mean: One value, one for each channel (BGR), or an image `(H, W, 3)` at least
            as large as the square, of which the middle is taken; or the path of a
            `.binaryproto`. Nothing is subtracted if None.
        scale: What the difference is multiplied by.
        cache_images: Whether the pictures' files are kept in memory once they are read.
        seed: Chooses windows and mirrors.
        repeat: Whether a pass is endless.
        resume: The compiled model that is trained, to go on where it is: see
            `image_dataset`.
        bad_records: Where windows that cannot be read are counted and named; without
            it the first of them is an error.
        root: Folder of the pictures, and then none may lie outside it; if None, paths
            are relative to the window file's folder, or absolute.

    Returns:
        `tf.data.Dataset` of `(images, labels)`: float32 `(N, crop_size, crop_size, 3)`,
        BGR, and int32 `(N,)`, 0 for background.

    Raises:
        ValueError: If an argument or the file is wrong, a kind that batches need has no
            windows, or a record is bad.
        OSError: If the file cannot be opened.

    Example:
        >>> from PIL import Image
        >>> Image.new("RGB", (4, 4)).save("a.png")
        >>> with open("windows.txt", "w") as file:
        ...     _ = file.write('''# 0
        ...         a.png 3 4 4 2
        ...         7 0.9 0 0 1 1
        ...         7 0.1 2 0 3 1''')
        >>> data = kcz.training.window_dataset("windows.txt", crop_size=2, batch_size=4)
        >>> images, labels = next(iter(data))
        >>> tuple(images.shape)[1:], labels.numpy().tolist()  # objects are the last
        ((2, 2, 3), [0, 0, 0, 7])
    """
    windows = Windows(source, fg_threshold, bg_threshold, root, cache_images)
    transform = Warp(crop_size, context_pad, crop_mode, mirror, mean, scale)
    # Caffe multiplies in float32: of 100 and 0.29 that makes 29, in float64 28.
    objects = int(np.float32(batch_size) * np.float32(fg_fraction))
    if not 0 <= objects <= batch_size:
        raise ValueError(
            f"Expected fg_fraction of 0 to 1; received: fg_fraction={fg_fraction}"
        )
    windows.require(batch_size - objects, objects)
    choose = functools.partial(windows.choose, seed, batch_size, objects)
    return record_dataset(
        windows,
        transform,
        batch_size=batch_size,
        seed=seed,
        repeat=repeat,
        resume=resume,
        bad_records=bad_records,
        order=Chosen(len(windows), batch_size, choose, seed, repeat),
    )


class Window(NamedTuple):
    """A window of a picture.

    Attributes:
        picture: The picture, uint8 `(H, W, 3)`, BGR.
        box: `x1, y1, x2, y2`, both corners inside.
    """

    picture: np.ndarray
    box: tuple[int, int, int, int]


class Windows:
    """The windows of a window file: those of background, then those of objects.

    Windows that are neither are no records.

    Args:
        source: The file.
        fg_threshold: Overlap from which on a window is one of an object.
        bg_threshold: Overlap below which it is background.
        root: As in `window_dataset`.
        cache: Whether files of pictures are kept in memory.

    Attributes:
        background, objects: How many there are of each kind.

    Raises:
        ValueError: If the file is no window file.
        OSError: If it cannot be opened.
    """

    def __init__(
        self, source, fg_threshold=0.5, bg_threshold=0.5, root=None, cache=False
    ) -> None:
        self.source = Path(source)
        self._inside = root is not None
        self._root = os.path.abspath(self.source.parent if root is None else root)
        self._paths: list[str] = []
        self._cache: dict[str, bytes] | None = {} if cache else None
        thresholds = np.float32(fg_threshold), np.float32(bg_threshold)
        kinds: tuple[list, list] = ([], [])
        with open_file(source, "a window file") as file:
            words = _words(file)
            for mark in words:
                parts = self._picture(mark, words, thresholds)
                for kind, part in zip(kinds, parts, strict=True):
                    kind.append(part)
        if not self._paths:
            raise ValueError(f"Expected a window file; received: {source}, empty")
        self.background, self.objects = (sum(map(len, kind)) for kind in kinds)
        self._rows = np.concatenate([*kinds[0], *kinds[1]])
        if not len(self._rows):
            raise ValueError(
                f"Expected windows of objects or of background in {source}; received: "
                "none"
            )

    def __len__(self) -> int:
        return len(self._rows)

    def require(self, background: int, objects: int) -> None:
        """Check that there are windows of each kind of which a batch has some.

        Raises:
            ValueError: If not.
        """
        kinds = (
            ("of background", "below bg_threshold", background, self.background),
            ("of objects", "at least fg_threshold", objects, self.objects),
        )
        for kind, overlap, wanted, found in kinds:
            if wanted and not found:
                raise ValueError(
                    f"Expected windows {kind} in {self.source}, with an overlap "
                    f"{overlap}: a batch has {wanted}; received: none. Change the "
                    "threshold or fg_fraction"
                )

    def choose(self, seed: int, batch_size: int, objects: int, positions) -> list[int]:
        """Return the windows at positions in the sequence.

        Args:
            seed: Chooses the sequence.
            batch_size: Windows in a batch.
            objects: Those of objects, its last ones.
            positions: The positions.
        """
        return [
            self.background + below(choice_draw(seed, int(at)), self.objects)
            if at % batch_size >= batch_size - objects
            else below(choice_draw(seed, int(at)), self.background)
            for at in positions
        ]

    def name(self, index: int) -> str:
        """Return a window's picture, its box and its file."""
        picture, _, *box = self._rows[index].tolist()
        return f"window {box} of {self._paths[picture]} ({self.source})"

    def read(self, index: int) -> tuple[Window, int]:
        """Return a window and its class."""
        picture, label, *box = self._rows[index].tolist()
        path = path_in(self._root, self._paths[picture], self._inside)
        image = read_bgr(path if self._cache is None else self._file(path))
        return Window(image, tuple(box)), label

    def _file(self, path: str) -> bytes:
        data = self._cache.get(path)
        if data is None:
            data = self._cache[path] = Path(path).read_bytes()
        return data

    def _picture(self, mark: bytes, words, thresholds) -> tuple[np.ndarray, np.ndarray]:
        """Read what a file says of a picture: its background and its objects."""
        number = len(self._paths)
        head = list(itertools.islice(words, 6))
        if mark != b"#" or len(head) < 6:
            said = b" ".join([mark, *head])[:200]
            raise self._error(f"'# {number}' and what belongs to it", repr(said))
        index, path, *sizes, count = head
        numbers = [_integer(word) for word in (index, *sizes, count)]
        if None in numbers or numbers[0] != number or numbers[1] != 3:
            raise self._error(
                f"picture {number}, its path, 3 channels, height, width and the number "
                "of its windows",
                repr(b" ".join(head)[:200]),
            )
        self._paths.append(os.fsdecode(path))
        rows = self._table(words, numbers[-1])
        # As in Caffe: float32 on both sides.
        overlaps = rows[:, 1].astype("float32")
        is_object = overlaps >= thresholds[0]
        is_background = (overlaps < thresholds[1]) & ~is_object
        found = np.empty((len(rows), _COLUMNS), "int32")
        found[:, 0], found[:, 1], found[:, 2:] = number, rows[:, 0], rows[:, 2:]
        if (found[is_object, 1] < 1).any():
            raise self._error(
                "a class from 1 on where the overlap is an object's",
                str(found[is_object, 1].min()),
            )
        found[is_background, 1] = 0
        return found[is_background], found[is_object]

    def _table(self, words, count: int) -> np.ndarray:
        """Return the numbers of a picture's windows, float64 `(count, 6)`."""
        wanted = f"{count} windows of {_COLUMNS} numbers"
        try:
            values = map(float, itertools.islice(words, max(count, 0) * _COLUMNS))
            numbers = np.fromiter(values, "float64")
        except ValueError as error:
            raise self._error(wanted, str(error)[:200]) from None
        if len(numbers) != count * _COLUMNS:
            raise self._error(wanted, f"{len(numbers)} numbers")
        rows = numbers.reshape(-1, _COLUMNS)
        whole = rows[:, [0, 2, 3, 4, 5]]
        # A comparison with NaN is false.
        if not ((whole == np.trunc(whole)) & (np.abs(whole) < 2**31)).all():
            raise self._error(f"{wanted}, integers but for the overlap", "others")
        return rows

    def _error(self, expected: str, received: str) -> ValueError:
        behind = f"behind {self._paths[-1]}" if self._paths else "at its start"
        return ValueError(
            f"Expected {expected}; received: {received}, in {self.source}, {behind}"
        )


def _words(file) -> Iterator[bytes]:
    """Yield a file's words, of which no more than a part is in memory."""
    rest = b""
    while chunk := file.read(_CHUNK):
        chunk = rest + chunk
        words = chunk.split()
        rest = words.pop() if words and not chunk[-1:].isspace() else b""
        if len(rest) > _LONGEST:
            break
        yield from words
    if len(rest) > _LONGEST:
        raise ValueError(
            f"Expected words of at most {_LONGEST} characters in a window file; "
            f"received: {rest[:40]!r}…, longer"
        )
    if rest:
        yield rest


def _integer(word: bytes) -> int | None:
    digits = word.removeprefix(b"-")
    return int(word) if digits.isdigit() and len(digits) < 10 else None


@dataclass(frozen=True, eq=False)
class Warp:
    """How WindowData makes a square of a window.

    Attributes:
        crop_size, context_pad, crop_mode, mirror, mean, scale: As in `window_dataset`.

    Raises:
        ValueError: If an attribute is none of these.
    """

    crop_size: int
    context_pad: int = 0
    crop_mode: str = "warp"
    mirror: bool = False
    mean: np.ndarray | None = None
    scale: float = 1.0

    def __post_init__(self):
        if not 1 <= self.crop_size <= _LARGEST:
            raise ValueError(
                f"Expected crop_size of 1 to {_LARGEST}; received: "
                f"crop_size={self.crop_size}"
            )
        if not 0 <= 2 * self.context_pad < self.crop_size:
            raise ValueError(
                "Expected context_pad of less than half the crop_size, "
                f"{self.crop_size}; received: context_pad={self.context_pad}"
            )
        if self.crop_mode not in CROP_MODES:
            raise ValueError(
                f"Expected crop_mode of {CROP_MODES}; received: {self.crop_mode!r}"
            )
        object.__setattr__(self, "mean", self._mean(Transform(mean=self.mean).mean))

    def __call__(self, window: Window, position: int = 0, seed: int = 0) -> np.ndarray:
        """Return a window as a square.

        Args:
            window: The window.
            position: Its place in the sequence of all records.
            seed: Chooses the sequence of draws.

        Returns:
            Float32 array `(crop_size, crop_size, 3)`.

        Raises:
            ValueError: If the window does not meet its picture, or leaves nothing in
                the square.
        """
        check_seed(seed)
        mirrored = self.mirror and bool(crop_draws(seed, position)[0] >> 63)
        x, y = self.place(window, mirrored)
        x1, y1, x2, y2 = x.start, y.start, x.stop, y.stop
        pixels = opencv_resize(window.picture[y1:y2, x1:x2], (y.size, x.size))
        pixels = pixels[:, ::-1] if mirrored else pixels
        place = np.s_[y.pad : y.pad + y.size, x.pad : x.pad + x.size]
        is_image = self.mean is not None and self.mean.ndim == 3
        mean = self.mean[place] if is_image else self.mean
        out = np.zeros((self.crop_size, self.crop_size, 3), "float32")
        inside = pixels.astype("float32", order="C")
        out[place] = normalized(inside, mean, np.float32(self.scale))
        return out

    def place(self, window: Window, mirrored: bool = False) -> tuple["Span", "Span"]:
        """Return where a window lies, along x and along y.

        Raises:
            ValueError: If it does not meet its picture, or leaves nothing.
        """
        x1, y1, x2, y2 = window.box
        height, width = window.picture.shape[:2]
        if x1 <= x2 and y1 <= y2:
            spans = self._spans(window.box, (width, height), mirrored)
            if all(
                0 <= span.start < span.stop <= side and span.size > 0
                for span, side in zip(spans, (width, height), strict=True)
            ):
                return spans
        raise ValueError(
            f"Expected a window in a picture of {width} x {height} pixels, and some of "
            f"it in the square; received: {list(window.box)}"
        )

    def _spans(self, box, sides, mirrored: bool) -> tuple["Span", "Span"]:
        x1, y1, x2, y2 = box
        if not self.context_pad and self.crop_mode == "warp":
            size = self.crop_size
            return Span(x1, x2 + 1, 0, size), Span(y1, y2 + 1, 0, size)
        across, down = (np.float32(b - a + 1) / 2 for a, b in ((x1, x2), (y1, y2)))
        centres = np.float32(x1) + across, np.float32(y1) + down
        if self.crop_mode == "square":
            across = down = max(across, down)
        return (
            self._widened(centres[0], across, sides[0], mirrored),
            self._widened(centres[1], down, sides[1], False),
        )

    def _widened(self, centre, half, side: int, mirrored: bool) -> "Span":
        """Return a window along an axis, with what is around it, in Caffe's float32."""
        crop = np.float32(self.crop_size)
        half = half * (crop / np.float32(self.crop_size - 2 * self.context_pad))
        first, last = _rounded(centre - half), _rounded(centre + half)
        scale = crop / np.float32(last - first + 1)
        before, behind = max(0, -first), max(0, last - side + 1)
        first, last = first + before, last - behind
        size = _rounded(np.float32(last - first + 1) * scale)
        pad = _rounded(np.float32(behind if mirrored else before) * scale)
        return Span(first, last + 1, pad, min(size, self.crop_size - pad))

    def _mean(self, mean) -> np.ndarray | None:
        """Return a mean as `(1,)`, `(3,)`, or the middle of an image."""
        if mean is None or mean.shape in ((1,), (3,)):
            return mean
        crop, shape = self.crop_size, mean.shape
        first = (shape[-2] - crop) // 2 if mean.ndim == 3 else -1
        if first < 0 or shape[0] < first + crop or shape[2] != 3:
            raise ValueError(
                f"Expected a mean of 1 or 3 values, or an image of at least {crop} x "
                f"{crop} pixels and 3 channels; received: shape {shape}"
            )
        return mean[first : first + crop, first : first + crop]


class Span(NamedTuple):
    """A window along an axis.

    Attributes:
        start, stop: Its pixels of the picture.
        pad: Where it starts in the square.
        size: How many pixels of the square it has.
    """

    start: int
    stop: int
    pad: int
    size: int


def _rounded(x) -> int:
    """Return the nearest integer, as C rounds: halves go away from 0."""
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), x))
