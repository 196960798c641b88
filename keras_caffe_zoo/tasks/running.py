"""Pictures of any source through a task: decoded ahead, in batches, in order."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from keras_caffe_zoo.extraction.block import Item
from keras_caffe_zoo.extraction.local import answered
from keras_caffe_zoo.extraction.reading import read_item
from keras_caffe_zoo.extraction.sources import blocks_of, open_source, printable
from keras_caffe_zoo.messages import say
from keras_caffe_zoo.pictures import PictureError, has_suffix, silent_pillow
from keras_caffe_zoo.progress import Progress

_LISTED = 5  # bad files that a message names


class Task(Protocol):
    """What is done to pictures: how one becomes an input, and inputs become results.

    Attributes:
        batch_size: How many pictures go through the net at once.
        batches_at_once: How many batches may be answered at once.
    """

    batch_size: int
    batches_at_once: int

    def prepare(self, pixels: np.ndarray) -> Any:
        """Return what `answer` needs of a picture; threads call it.

        Args:
            pixels: RGB uint8 array `(H, W, 3)`.

        Raises:
            PictureError: If the picture is of no use for the task.
        """
        ...

    def answer(self, prepared: list) -> list:
        """Return the results of some pictures, `batch_size` at most."""
        ...


class Found(NamedTuple):
    """What a task says of one picture.

    Attributes:
        name: The picture's name in its source.
        result: The task's result; None of a bad picture.
        pixels: RGB uint8 array `(H, W, 3)`, if it was to be kept.
        bad: What is wrong with the picture, if something is.
    """

    name: str
    result: Any = None
    pixels: np.ndarray | None = None
    bad: PictureError | None = None


def stream(task: Task, source, keep_pixels: bool = False) -> Iterator[Found]:
    """Yield what a task says of each picture of a source, in order.

    Args:
        task: The task.
        source: Anything that `extract_features` takes: a folder, a list file, an
            iterable of paths and RGB uint8 arrays `(H, W, 3)`, ….
        keep_pixels: Whether pictures are to be handed on, to draw upon.
    """

    def prepare(item: Item):
        pixels = read_item(item)
        if isinstance(pixels, PictureError):
            return pixels
        try:
            return task.prepare(pixels), pixels if keep_pixels else None
        except PictureError as error:
            return error

    def answer(items: list[Item], inputs: list) -> list[Found]:
        good = [one for one in inputs if not isinstance(one, PictureError)]
        results = iter(task.answer([one for one, _ in good]) if good else ())
        return [
            Found(item.name, bad=one)
            if isinstance(one, PictureError)
            else Found(item.name, next(results), one[1])
            for item, one in zip(items, inputs, strict=True)
        ]

    blocks = blocks_of(open_source(source).items(), task.batch_size)
    pairs = ((items, items) for items in blocks)
    how = {"size": task.batch_size, "at_once": task.batches_at_once}
    batches = answered(pairs, prepare, answer, **how)
    with silent_pillow(), contextlib.closing(batches):
        for _, found in batches:
            yield from found


def answers(task: Task, images, progress: bool = True):
    """Return what a task says of a picture or of many, as all tasks' functions do.

    Args:
        task: The task.
        images: A picture: its path, or an RGB uint8 array `(H, W, 3)`; or several: a
            folder, a list file, or any other source of `extract_features`.
        progress: Whether to show how far a long work has come.

    Returns:
        Of a picture the result; of a folder or a list file a dict of results by name,
        without the files that are no pictures, which a message names; of several
        pictures given otherwise a list of results.

    Raises:
        ValueError: If a picture that was given is none, or of a folder none is.
        OSError: If a file cannot be read.
    """
    if _is_one(images):
        (found,) = stream(task, [images])
        return _good(found).result
    source = open_source(images)
    by_name = isinstance(images, str | os.PathLike)
    results, bad = {}, []
    line = Progress(source.total, "image", progress)
    with contextlib.closing(line):
        for place, found in enumerate(stream(task, source)):
            line.advance(1)
            if found.bad and by_name:
                bad.append(f"{found.name} ({found.bad.reason})")
            else:
                results[found.name if by_name else place] = _good(found).result
    if bad:
        _tell(bad, results, images)
    return results if by_name else list(results.values())


def _is_one(images) -> bool:
    """Tell whether it is one picture, not a source of several."""
    if isinstance(images, str | os.PathLike):
        return has_suffix(os.fspath(images)) and not os.path.isdir(images)
    return isinstance(images, np.ndarray) and images.ndim == 3


def _good(found: Found) -> Found:
    if found.bad:
        raise found.bad
    return found


def _tell(bad: list[str], results: dict, source) -> None:
    name = printable(os.fspath(source))
    if not results:
        raise ValueError(
            f"Expected at least one picture in {name}; received none that can be read: "
            f"{_listed(bad)}"
        )
    files = f"{len(bad)} files" if len(bad) > 1 else "a file"
    say(f"Left out {files} of {name}: {_listed(bad)}")


def _listed(names: list[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
