"""A folder of Parquet files, one for each block, which readers take as one table.

    features.parquet/part-000000000.parquet     the block that begins with that picture
    features.parquet/_provenance.json           what is extracted: see `Header`
    features.parquet/_report.json               counts and bad pictures, at the end

Each part is a whole file of features as `parquet` writes it. Readers pass over names
that begin with `_` or `.`. Which whole parts exist is all the state there is. The
folder may be behind a URL, which fsspec opens.
"""

import contextlib
import json
import re
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import merge
from pathlib import Path

from keras_caffe_zoo.extraction import parquet
from keras_caffe_zoo.extraction.block import Bad, Block
from keras_caffe_zoo.extraction.provenance import Header, refuse_other
from keras_caffe_zoo.extraction.urls import file_system, is_url
from keras_caffe_zoo.files import replacing_path

PROVENANCE, REPORT = "_provenance.json", "_report.json"
_PART = re.compile(r"_?part-\d+\.parquet")
# half-written; names of earlier versions are longer
_LEFT = re.compile(r"\.\w+(-\d+)?\.(parquet|json)\.[0-9a-f]{12,32}\.tmp.*")
_READERS = 16  # behind a URL it is the way there that takes time


@dataclass(frozen=True)
class Shard:
    """What a part tells without its features.

    Attributes:
        names: Of the good pictures: `(index, name)`.
        bad: The bad ones.
        shapes: The shape of one row, by layer; None if it has no row.
    """

    names: list[tuple[int, str]]
    bad: list[Bad]
    shapes: dict[str, tuple[int, ...]] | None

    @classmethod
    def of(cls, block: Block) -> "Shard":
        """Return what the part of a block tells."""
        rows = {name: values.shape[1:] for name, values in block.values.items()}
        names = [*zip(block.index.tolist(), block.names, strict=True)]
        return cls(names, block.bad, rows if names else None)

    def to_json(self) -> str:
        """Return all of it, for another process."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> "Shard":
        """Return what `to_json` wrote."""
        facts = json.loads(text)
        shapes = facts["shapes"] and {k: tuple(v) for k, v in facts["shapes"].items()}
        return cls(facts["names"], [Bad(*one) for one in facts["bad"]], shapes)

    @property
    def count(self) -> int:
        """How many pictures it is about, good and bad."""
        return len(self.names) + len(self.bad)

    def item_names(self) -> list[str]:
        """Return the names of all its pictures, good and bad, in order."""
        bad = [(index, name) for index, name, _ in self.bad]
        return [name for _, name in merge(self.names, bad)]


class ShardFolder:
    """The folder of an output. It can be pickled and sent to other machines.

    Args:
        path: A local path that holds in any working folder, or a URL.

    Attributes:
        path: The same.
        parts: By the index of a part's first picture, the parts found by `begin`.
    """

    def __init__(self, path: str):
        self.path = path.rstrip("/")
        self.parts: dict[int, Shard] = {}
        self._identity: dict = {}
        self._stamp = ""

    def __getstate__(self) -> dict:
        return self.__dict__ | {"parts": {}}

    def begin(self, identity: dict, block_size: int, resume: bool) -> int:
        """Go on with what is there, or begin anew.

        Args:
            identity: What is extracted.
            block_size: Pictures in a block.
            resume: Whether to go on.

        Returns:
            The size of a block in the parts that are there, or `block_size`.

        Raises:
            ValueError: If what is there is of another extraction, or no folder of
                features.
        """
        self._identity, found = identity, self._listed()
        begun = self._begun(found)
        if begun and resume:
            header = Header.from_json(json.dumps(begun | {"items": 0}), [])
            block_size = header.identity.pop("block_size")
            refuse_other(header.identity, identity, self.path)
            self._stamp = header.id
            self._read_all(found)
            return block_size
        header = Header(identity)
        self._stamp = header.id
        facts = json.loads(header.to_json()) | {"block_size": block_size}
        del facts["items"]  # not known yet
        self._write_json(PROVENANCE, facts)
        self._read_all(found)
        return block_size

    def _listed(self) -> list[str]:
        files, root = self._open()
        files.invalidate_cache()
        if not files.exists(root):
            files.makedirs(root, exist_ok=True)
            return []
        if not files.isdir(root):
            raise ValueError(
                f"Expected a folder of parts, which Ray writes; received: {self.path}, "
                "a file. Write to another place, or go on with engine='local'."
            )
        return sorted(
            one["name"].rstrip("/").rsplit("/", 1)[-1] for one in files.ls(root, True)
        )

    def _begun(self, found: list[str]) -> dict | None:
        if PROVENANCE in found:
            files, root = self._open()
            return json.loads(files.cat_file(f"{root}/{PROVENANCE}"))
        if strange := [name for name in found if not name.startswith(".")]:
            raise ValueError(
                f"Expected an empty folder, or one of features; received: {self.path}, "
                f"which holds {strange[0]}. Write to another place."
            )
        return None

    def load(self, first: int) -> Shard | None:
        """Return the part found that begins with a picture; None if there is none."""
        return self.parts.get(first)

    def _read_all(self, found: list[str]) -> None:
        """Find the whole parts; remove all others, which readers would take for ours.

        Of these are those of a run that was begun anew since.
        """
        names = [name for name in found if _PART.fullmatch(name)]
        with ThreadPoolExecutor(_READERS) as pool:
            shards = dict(zip(names, pool.map(self._read, names), strict=True))
        whole = {name: shard for name, shard in shards.items() if shard}
        self.parts = {_first(name): shard for name, shard in whole.items()}
        left = [name for name in found if _LEFT.fullmatch(name)]
        files, root = self._open()
        for name in [*left, *(shards.keys() - whole.keys())]:
            files.rm_file(f"{root}/{name}")

    def _read(self, name: str) -> Shard | None:
        """Return what a part tells; None if it is not whole, or of another folder."""
        files, root = self._open()
        with contextlib.suppress(ValueError, FileNotFoundError):
            with files.open(f"{root}/{name}", "rb") as file:
                header = parquet.read_header(file)
                names = list(parquet.read_names(file))
                shapes = parquet.read_shapes(file) if names else None
            shard = Shard(names, header.bad, shapes)
            if header.id == self._stamp and _places(shard, header, _first(name)):
                return shard
        return None

    def save(self, block: Block) -> str:
        """Write a part, which appears whole or not at all, and return its name."""
        header = Header(self._identity, id=self._stamp)
        name = _name(block)
        with self._replacing(name) as beside:
            parquet.write(beside, header, [block], None)
        return name

    def holds(self, name: str) -> bool:
        """Return whether this machine sees a part that another wrote."""
        files, root = self._open()
        return files.exists(f"{root}/{name}")

    def finish(self, header: Header, shapes: dict) -> None:
        """Write the report."""
        self._write_json(
            REPORT,
            {
                "items": header.items,
                "rows": header.rows,
                "shapes": shapes,
                "bad": header.bad,
            },
        )

    def _write_json(self, name: str, facts: dict) -> None:
        with self._replacing(name) as beside:
            beside.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")

    @contextlib.contextmanager
    def _replacing(self, name: str) -> Iterator[Path]:
        """Yield the path of a local file that takes the place of one in the folder."""
        if not is_url(self.path):
            with replacing_path(Path(self.path, name)) as beside:
                yield beside
            return
        files, root = self._open()
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, name)
            yield local
            beside = f"{root}/.{name}.{uuid.uuid4().hex}.tmp"
            files.put_file(str(local), beside)
            files.mv(beside, f"{root}/{name}")

    def _open(self) -> tuple:
        return file_system(self.path)


def _name(block: Block) -> str:
    """Return the name of a block's part.

    Readers must not see a part without rows that does not know the shape of a row:
    its columns would differ from the others'.
    """
    hidden = not block.names and any(0 in y.shape[1:] for y in block.values.values())
    return f"{'_' * hidden}part-{block.first:09}.parquet"


def _first(name: str) -> int:
    return int(name.split("-")[1].removesuffix(".parquet"))


def _places(shard: Shard, header: Header, first: int) -> bool:
    """Return whether a part tells of pictures that follow one another."""
    indices = sorted(i for i, *_ in (*shard.names, *shard.bad))
    return indices == list(range(first, first + header.items))
