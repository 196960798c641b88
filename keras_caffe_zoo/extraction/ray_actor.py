"""What runs in each process that Ray starts: one net."""

import json

import keras

from keras_caffe_zoo.extraction.block import Item
from keras_caffe_zoo.extraction.header import Header, differences
from keras_caffe_zoo.extraction.shards import Shard, ShardFolder
from keras_caffe_zoo.extraction.worker import BlockWorker
from keras_caffe_zoo.pictures import silent_pillow


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
    """Computes blocks and writes them.

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
                block = self._worker.block(items)
                told["first"].append(block.first)
                told["name"].append(self._folder.save(block))
                told["part"].append(Shard.of(block).to_json())
        return told

    def _loaded(self) -> BlockWorker:
        import ray

        _limit_threads(max(1, round(self._cpus)))
        worker = BlockWorker(ray.get(self._spec))
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
