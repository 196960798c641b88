"""The folder beside the output in which an extraction keeps what it has computed.

    features.h5.parts/job.json              what is extracted, and into what
    features.h5.parts/part-000000000.npz    the block that begins with that picture
    features.h5.parts/merged.h5             the output in the making
    features.h5.parts/.lock                 held by the process at work

Which whole parts exist is all the state there is: a process may be killed at any time.
"""

import contextlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from keras_caffe_zoo.extraction.block import Block, load_block, save_block
from keras_caffe_zoo.extraction.provenance import refuse_other
from keras_caffe_zoo.files import replacing

JOB, LOCK = "job.json", ".lock"
_PART = re.compile(r"part-(\d+)\.npz")


@dataclass(frozen=True)
class Job:
    """What a working folder is for.

    Attributes:
        identity: What is extracted.
        block_size: Pictures in a block.
        first: The first picture to compute: those before it are in the output already.
        over: The id of the output that will be replaced; None if there is none.
        stamp: What its parts are stamped with.
    """

    identity: dict
    block_size: int
    first: int
    over: str | None
    stamp: str = field(default_factory=lambda: uuid.uuid4().hex)


class WorkingFolder:
    """The folder of one output; use `opened`."""

    def __init__(self, out: Path):
        self.path = out.with_name(f"{out.name}.parts")
        self.merged = self.path / f"merged{out.suffix}"
        self._stamp = ""
        self._parts: set[int] = set()

    def begin(self, job: Job, resume: bool) -> Job:
        """Go on with what is there, or begin anew.

        Args:
            job: What is to be done.
            resume: Whether to go on.

        Returns:
            The job of what is there, where that has the same identity and is to
            replace the same file (parts of another are of no use any more); else
            `job`.

        Raises:
            ValueError: If what is there is of another extraction.
        """
        found = self._job() if resume else None
        if found and found.over == job.over:
            refuse_other(found.identity, job.identity, self.path)
            for left in (*self.path.glob(".*.tmp*"), self.merged):
                left.unlink(missing_ok=True)
            self._stamp = found.stamp
            self._parts = self._on_disk()
            return found
        self.remove()
        with replacing(self.path / JOB) as file:
            file.write(json.dumps(asdict(job)).encode())
        self._stamp = job.stamp
        return job

    def _on_disk(self) -> set[int]:
        names = map(_PART.fullmatch, os.listdir(self.path))
        return {int(name[1]) for name in names if name}

    def _job(self) -> Job | None:
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
            return Job(**json.loads((self.path / JOB).read_text("utf-8")))
        return None

    def remove(self) -> None:
        """Remove what was computed: the output is there, or it is not wanted."""
        (self.path / JOB).unlink(missing_ok=True)  # first: nothing counts without it
        for path in self.path.iterdir():
            if path.name != LOCK:
                path.unlink()
        self._parts = set()

    def remove_if_empty(self) -> None:
        """Remove the folder if nothing was computed."""
        if not self._on_disk():
            shutil.rmtree(self.path, ignore_errors=True)

    @property
    def parts(self) -> list[int]:
        """The first pictures of the blocks that are there."""
        return sorted(self._parts)

    @property
    def size(self) -> int:
        """How many bytes the parts take."""
        return sum(self._path(first).stat().st_size for first in self._parts)

    def load(self, first: int) -> Block | None:
        """Return the block that begins with a picture; None if it is not there.

        Nor if it is damaged, or another extraction's.
        """
        if first not in self._parts:
            return None
        with contextlib.suppress(ValueError, FileNotFoundError):
            block = load_block(self._path(first), self._stamp)
            if block.first == first:
                return block
        return None

    def drop(self, first: int) -> None:
        """Do without a part."""
        self._path(first).unlink(missing_ok=True)
        self._parts.discard(first)

    def save(self, block: Block) -> None:
        """Keep a block."""
        save_block(self._path(block.first), block, self._stamp)
        self._parts.add(block.first)

    def blocks(self) -> Iterator[Block]:
        """Yield all blocks in order.

        Raises:
            ValueError: If one is damaged or missing.
        """
        after = None
        for first in self.parts:
            block = self.load(first)
            if block is None or after not in (None, first):
                raise ValueError(
                    f"Expected a whole block of features; received: "
                    f"{self._path(first)}, damaged since it was written. Run the same "
                    "again: it is computed anew."
                )
            after = first + block.count
            yield block

    def _path(self, first: int) -> Path:
        return self.path / f"part-{first:09}.npz"


@contextlib.contextmanager
def opened(out: Path) -> Iterator[WorkingFolder]:
    """Hold the working folder of an output.

    A killed process cannot leave it locked. A folder without parts disappears in the
    end.

    Raises:
        RuntimeError: If another process holds it.
    """
    folder = WorkingFolder(out)
    lock = FileLock(folder.path / LOCK)
    folder.path.mkdir(exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RuntimeError(
            f"Expected to be the only extraction into {out}; another process is at "
            "work on it. Wait for it, or write to another file."
        ) from error
    try:
        yield folder
    finally:
        folder.remove_if_empty()
        lock.release()
        with contextlib.suppress(OSError):
            folder.path.rmdir()  # where the lock, being open, could not be removed
