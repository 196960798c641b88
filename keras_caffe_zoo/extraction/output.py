"""Features into memory, or into a file that appears whole.

The parts that it is made of outlive any interruption.
"""

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from heapq import merge
from pathlib import Path
from types import ModuleType

import numpy as np

from keras_caffe_zoo.extraction import hdf5, parquet
from keras_caffe_zoo.extraction.block import Item
from keras_caffe_zoo.extraction.folder import Job, WorkingFolder, opened
from keras_caffe_zoo.extraction.provenance import Header, refuse_other
from keras_caffe_zoo.extraction.report import Features
from keras_caffe_zoo.extraction.sources import PictureSource, blocks_of, require_any
from keras_caffe_zoo.files import settle
from keras_caffe_zoo.progress import Progress

_FORMATS = {".h5": hdf5, ".hdf5": hdf5, ".parquet": parquet}
_FULL = (errno.ENOSPC, errno.EDQUOT)


def format_of(out) -> ModuleType:
    """Return the module that reads and writes files of a name's suffix.

    Raises:
        ValueError: If there is none.
    """
    suffix = Path(out).suffix
    if suffix not in _FORMATS:
        raise ValueError(
            f"Expected `out` to end in one of {', '.join(_FORMATS)}; received: {out}"
        )
    return _FORMATS[suffix]


def to_memory(source: PictureSource, compute: Callable, size: int) -> Features:
    """Return the features of a source.

    Args:
        source: The pictures.
        compute: Makes a generator of the blocks of lists of items, in any order.
        size: Pictures in a block.

    Raises:
        ValueError: If the source holds no picture.
    """
    tasks = blocks_of(require_any(source.items()), size)
    with contextlib.closing(compute(tasks)) as blocks:
        blocks = sorted(blocks, key=lambda block: block.first)
    values = {}
    for name in list(blocks[0].values):
        rows = [block.values.pop(name) for block in blocks]  # freed layer by layer
        # A block without good pictures may not know the shape of a row.
        values[name] = np.concatenate([r for r in rows if len(r)] or rows[:1])
    names = [name for block in blocks for name in block.names]
    bad = tuple(bad for block in blocks for bad in block.bad)
    shapes = {name: rows.shape[1:] for name, rows in values.items()}
    return Features(len(names), bad, shapes, names=names, values=values)


def to_file(
    out: Path,
    source: PictureSource,
    worker,
    compute: Callable,
    size: int,
    resume: bool,
    bar: Progress,
) -> Features:
    """Write the features of a source to a file.

    Args:
        out: The file.
        source: The pictures.
        worker: The `BlockWorker` that knows what is extracted.
        compute: Yields the blocks of lists of items, in any order.
        size: Pictures in a block.
        resume: Whether to go on with what is there.
        bar: Told of the pictures that need not be computed again.
    """
    files = format_of(out)
    with opened(out) as folder, disk_full_is_said(folder):
        there = _header(out, files, resume)
        first = there.items if there and resume else 0
        job = Job(worker.identity, size, first, there and there.id)
        job = folder.begin(job, resume)
        # 0 with a file there: a run that began anew over it, now or before.
        old = there if there and job.first else None
        items = source.items()
        if old:
            refuse_other(old.identity, worker.identity, out)
            _skip(items, out, files, old)
            bar.skip(old.items)
        else:
            items = require_any(items)
        tasks = missing(blocks_of(items, job.block_size), folder, bar)
        with contextlib.closing(compute(tasks)) as blocks:
            for block in blocks:
                folder.save(block)
        if folder.parts:
            header = Header(worker.identity)  # with an id and versions of its own
            if old:
                header = replace(header, items=old.items, bad=[*old.bad])
            with _room_for(folder, out if old else None):
                files.write(
                    folder.merged, header, folder.blocks(), out if old else None
                )
                settle(folder.merged, out)
        else:
            header = old
        folder.remove()
    return Features(header.rows, tuple(header.bad), files.read_shapes(out), path=out)


def _header(out: Path, files: ModuleType, resume: bool) -> Header | None:
    """Return the header of the file that is there, if one is."""
    if not out.exists():
        return None
    if out.is_dir():
        raise ValueError(
            f"Expected the name of a file, for engine='local'; received: {out}, a "
            "folder, as engine='ray' writes it. Write to another place."
        )
    try:
        return files.read_header(out)
    except ValueError as error:
        if not resume:
            return None
        raise ValueError(
            f"Expected no file, or one of extract_features, at {out}; received: "
            f"{error}. Write to another file, or begin anew with resume=False "
            "(--no-resume), which replaces it."
        ) from error


def _skip(items: Iterator[Item], out: Path, files: ModuleType, old: Header) -> None:
    """Pass over the items that a file tells of.

    Raises:
        ValueError: If they are others.
    """
    bad = [(index, name) for index, name, _ in old.bad]
    count = 0
    for index, name in merge(files.read_names(out), bad):
        _check_name(next(items, None), index, name, out)
        count += 1
    if count != old.items:
        raise ValueError(f"Expected {old.items} pictures in {out}; received: {count}")


def _check_name(item: Item | None, index: int, name: str, path: Path) -> None:
    if item is None or (item.index, item.name) != (index, name):
        now = "none" if item is None else item.name
        raise ValueError(
            f"Expected the pictures that {path} is of, at place {index} {name}; "
            f"received: {now}. The source has changed: write to another file, or begin "
            "anew with resume=False (--no-resume)."
        )


def missing(blocks, folder: WorkingFolder, bar: Progress) -> Iterator[list[Item]]:
    """Yield the blocks that are not there yet; refuse those of other pictures."""
    unseen = set(folder.parts)
    for items in blocks:
        first = items[0].index
        unseen.discard(first)
        part = folder.load(first)
        names = part.item_names() if part else []
        for item, name in zip(items, names, strict=False):
            _check_name(item, item.index, name, folder.path)
        if len(names) > len(items):
            place = first + len(items)
            _check_name(None, place, names[len(items)], folder.path)
        if len(names) == len(items):
            bar.skip(len(items))
        else:  # none, damaged, or the source's end when it had fewer pictures
            yield items
    for first in sorted(unseen):
        if part := folder.load(first):
            _check_name(None, first, part.item_names()[0], folder.path)
        folder.drop(first)


@contextlib.contextmanager
def _room_for(folder: WorkingFolder, old: Path | None) -> Iterator[None]:
    """Refuse to merge what cannot fit, and leave no half of it behind.

    (HDF5 does notice a full disk, but complains of every chunk it still held.)

    Raises:
        OSError: If there is less room than the parts take.
    """
    needed = folder.size + (old.stat().st_size if old else 0)
    disk = shutil.disk_usage(folder.path)
    if disk.total and disk.free < needed:  # some network disks tell of nothing
        raise OSError(
            errno.ENOSPC,
            f"No space left: {needed:,} bytes are needed, {disk.free:,} are free",
        )
    try:
        yield
    finally:
        folder.merged.unlink(missing_ok=True)


@contextlib.contextmanager
def disk_full_is_said(folder: WorkingFolder) -> Iterator[None]:
    """Say what to do when the disk is full; HDF5 hides the error's number."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None)
        if number not in _FULL and "No space left" not in str(error):
            raise
        raise OSError(
            number or errno.ENOSPC,
            f"Expected room on the disk; received: none left ({error}). What was "
            f"computed is kept in {folder.path}. Free some space and run the same "
            "again: it goes on from there.",
        ) from error
