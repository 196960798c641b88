"""Features from many machines: Ray Data hands blocks of pictures to actors.

An actor loads the net once, computes a block and writes it as a part of the output;
only names and reasons come back. When an actor dies, Ray starts another and gives it
the same block again. Since a part appears whole or not at all, and is the same whoever
writes it, nothing else is needed.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras

from keras_caffe_zoo.extraction import local
from keras_caffe_zoo.extraction.block import Bad, Item
from keras_caffe_zoo.extraction.folder import opened
from keras_caffe_zoo.extraction.output import disk_full_is_said, missing
from keras_caffe_zoo.extraction.provenance import Header, differences
from keras_caffe_zoo.extraction.ray_cluster import connected, import_ray, shares
from keras_caffe_zoo.extraction.reading import NO_FILE
from keras_caffe_zoo.extraction.report import Features
from keras_caffe_zoo.extraction.shards import Shard, ShardFolder
from keras_caffe_zoo.extraction.sources import PictureSource, blocks_of, require_any
from keras_caffe_zoo.extraction.urls import absolute, is_url
from keras_caffe_zoo.extraction.worker import BlockWorker
from keras_caffe_zoo.pictures import silent_pillow
from keras_caffe_zoo.progress import Progress


def check(out, address: str | None = None, actors: int | None = None) -> None:
    """Refuse what does not fit, before any net is loaded.

    Raises:
        ValueError: If `out` is no name of a folder of Parquet files, or `actors` is no
            number of actors.
        ImportError: If Ray is missing.
    """
    if actors is not None and actors < 1:
        raise ValueError(f"Expected actors: 1 or more; received: {actors}")
    if out is None or Path(out).suffix != ".parquet":
        raise ValueError(
            "Expected `out` to end in .parquet for engine='ray': a folder in which "
            f"its actors write Parquet files; received: {out}"
        )
    import_ray()


def to_shards(
    out: str | os.PathLike,
    source: PictureSource,
    worker: BlockWorker,
    size: int,
    resume: bool,
    bar: Progress,
    address: str | None = None,
    actors: int | None = None,
) -> Features:
    """Write the features of a source to a folder of Parquet files.

    Args:
        out: The folder: a path or URL, the same on all machines.
        source: The pictures: paths and URLs, the same on all machines.
        worker: The `BlockWorker` that knows what is extracted.
        size: Pictures in a block.
        resume: Whether to go on with what is there.
        bar: Told of the pictures that are done.
        address: Of a Ray cluster; None for a Ray on this machine that ends with the
            call. Where this process is connected to Ray already, that is used.
        actors: How many nets work at once; None for one a GPU, or one for two CPUs
            where there is no GPU.
    """
    folder = ShardFolder(absolute(os.fspath(out)))
    with _held(folder.path), disk_full_is_said(folder):
        size = folder.begin(worker.identity, size, resume)
        blocks = blocks_of(require_any(_portable(source.items())), size)
        tasks = list(missing(_forget_lost(blocks, folder), folder, bar))
        done = folder.parts
        if tasks:
            with connected(address):
                for first, shard in _computed(tasks, folder, worker, actors):
                    done[first] = shard
                    bar.advance(shard.count)
        header = Header(worker.identity)
        for _, shard in sorted(done.items()):
            header.items += shard.count
            header.bad += shard.bad
        shapes = _one_shape(done, folder) or worker.shapes
        folder.finish(header, shapes)
    path = out if is_url(out) else Path(out)
    return Features(header.rows, tuple(header.bad), shapes, path=path)


@contextlib.contextmanager
def _held(out: str) -> Iterator[None]:
    """Keep other processes of this machine from writing to the same output."""
    if is_url(out):
        yield
        return
    with opened(Path(out)) as beside:
        if begun := [path for path in beside.path.iterdir() if path.name != ".lock"]:
            raise ValueError(
                f"Expected an output that Ray began; received: {out}, of which "
                f"{begun[0].parent} holds what engine='local' has computed. Go on with "
                "that, or write to another place."
            )
        yield


def _portable(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items whose paths hold in any folder; refuse arrays."""
    for item in items:
        if not isinstance(item.data, str):
            raise ValueError(
                "Expected paths or URLs of pictures for engine='ray'; received: an "
                f"array at place {item.index}. Use engine='local'."
            )
        yield item._replace(data=absolute(item.data))


def _lost(items: Iterable[Item], bad: Iterable[Bad]) -> Item | None:
    """Return a picture that an actor did not find and that is here."""
    missed = {one.index for one in bad if one.reason == NO_FILE}
    for item in items if missed else ():
        if item.index in missed and os.path.exists(item.data):
            return item
    return None


def _forget_lost(blocks, folder: ShardFolder) -> Iterator[list[Item]]:
    """Yield the blocks; forget parts that a machine without the pictures wrote."""
    for items in blocks:
        part = folder.load(items[0].index)
        if part and _lost(items, part.bad):
            del folder.parts[items[0].index]
        yield items


def _computed(
    tasks: list[list[Item]], folder: ShardFolder, worker, actors: int | None
) -> Iterator[tuple[int, Shard]]:
    """Let actors compute blocks; yield each one's first index and what it tells."""
    ray = import_ray()
    by_first = {items[0].index: items for items in tasks}
    share = shares(actors, len(tasks))
    net = ray.put(worker.spec)
    dataset = ray.data.from_items(
        [{"items": json.dumps(items)} for items in tasks],
        override_num_blocks=len(tasks),  # Ray's blocks: each goes to an actor by itself
    ).map_batches(
        BlockActor,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=share.actors),
        num_cpus=share.cpus,
        num_gpus=share.gpus or None,
        fn_constructor_args=(net, facts_of(worker), folder, share.cpus),
    )
    try:
        for row in dataset.iter_rows():
            first, name, shard = row["first"], row["name"], Shard.from_json(row["part"])
            _check_shared(by_first[first], shard, name, folder)
            yield first, shard
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error  # what the actor raised
    except ray.exceptions.RayError as error:
        raise RuntimeError(f"Expected Ray to finish; received: {error}") from error


def _check_shared(items, shard: Shard, name: str, folder: ShardFolder) -> None:
    """Refuse an actor's machine that has other files than this one."""
    if item := _lost(items, shard.bad):
        raise OSError(
            f"Expected pictures that all machines of the cluster can read; received: "
            f"{item.data}, which is here, but not where an actor looked for it"
        )
    if not folder.holds(name):
        raise OSError(
            f"Expected a folder that all machines of the cluster share; received: "
            f"{folder.path}, in which an actor wrote {name}, and here it is not"
        )


def _one_shape(done: dict[int, Shard], folder: ShardFolder) -> dict | None:
    """Return the shape of one row, by layer; None if there is no row."""
    shapes = [shard.shapes for shard in done.values() if shard.shapes]
    for one in shapes:
        if one != shapes[0]:
            raise ValueError(
                "Expected inputs of one shape, which `preprocess` decides; received: "
                f"rows of {shapes[0]} and {one} in {folder.path}"
            )
    return shapes[0] if shapes else None


def facts_of(worker) -> dict:
    """Return what must be the same on all machines.

    A function is not told by its source here: it was sent, and its source was not.
    """
    versions = Header({}).versions
    same = {name: versions[name] for name in ("keras_caffe_zoo", "backend")}
    facts = worker.identity | same
    if callable(worker.spec.preprocess):
        del facts["preprocessing"]
    return facts


class BlockActor:
    """Computes blocks and writes them, in a process that Ray starts.

    Args:
        spec: What Ray stored the `Spec` as.
        facts: `facts_of` the worker that the call began with.
        folder: Where the parts go.
        cpus: How many CPUs are this actor's.
    """

    def __init__(self, spec, facts: dict, folder: ShardFolder, cpus: float):
        self._spec, self._facts, self._folder = spec, facts, folder
        self._cpus = cpus
        self._worker: BlockWorker | None = None

    def __call__(self, batch: dict) -> dict:
        """Compute the blocks of a batch of Ray's, and return what they tell."""
        # Not in __init__: Ray says of its errors only that an actor has died.
        self._worker = self._worker or self._loaded()
        told = {"first": [], "name": [], "part": []}
        with silent_pillow():
            for text in batch["items"]:
                items = [Item(*one) for one in json.loads(str(text))]
                (block,) = local.compute(self._worker, [items])
                told["first"].append(block.first)
                told["name"].append(self._folder.save(block))
                told["part"].append(Shard.of(block).to_json())
        return told

    def _loaded(self) -> BlockWorker:
        import ray

        threads = max(1, round(self._cpus))
        _limit_threads(threads)
        worker = BlockWorker(ray.get(self._spec), threads)
        if found := differences(self._facts, facts_of(worker)):
            raise RuntimeError(
                "Expected the same net on all machines; received from "
                f"{ray.util.get_node_ip_address()}: {'; '.join(found)}"
            )
        return worker


def _limit_threads(count: int) -> None:
    """Keep TensorFlow to this actor's CPUs, before it begins."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
